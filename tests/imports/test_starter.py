"""What `synthmon init` writes loads at once, and so does everything in it that is commented out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synthmon.core.errors import Invalid
from synthmon.imports.starter import starter_files
from synthmon.language.load import Loaded, load
from synthmon.language.settings_schema import SettingsKeys, SystemKeys


def load_starter(folder: Path, url: str, everything: bool = False) -> Loaded:
    for name, text in starter_files(url).items():
        whole = re.sub(r"(?m)^(\s*)#(?=\S| {2})", r"\1", text) if everything and name == "synthmon.yaml" else text
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(whole, encoding="utf-8")
    return load([folder / "probes"], [folder / "synthmon.yaml"], environ={})


@pytest.mark.parametrize(
    "url", ["", "https://shop.example.org/health", "http://10.0.0.1:8080", "https://x.example.org/a b/ü"]
)
@pytest.mark.parametrize("everything", [False, True], ids=["as it is", "with everything switched on"])
def test_the_first_probe_and_its_settings_load_without_a_word(url: str, everything: bool, tmp_path: Path) -> None:
    found = load_starter(tmp_path, url, everything)

    assert found.problems == ()
    assert [journey.name for journey in found.journeys] == ["first"]


def test_the_first_probe_asks_for_the_url_that_was_given(tmp_path: Path) -> None:
    files = starter_files("https://shop.example.org:8443/health")

    assert "http: GET /health\n" in files["probes/first.yaml"]
    assert "base: https://shop.example.org:8443\n" in files["synthmon.yaml"]
    assert "writes: false" in files["synthmon.yaml"]


def test_the_settings_name_every_key() -> None:
    settings = starter_files()["synthmon.yaml"]

    for name, field in {**SettingsKeys.model_fields, **SystemKeys.model_fields}.items():
        if name not in _RARE:
            assert f"{field.alias or name}:" in settings, name


_RARE = ("transport", "auth")  # a fallback, and what sessions explain


@pytest.mark.parametrize(
    "url",
    [
        "shop",
        "ftp://x.example.org",
        "https://a:b@x.example.org/",
        "https://x.example.org/?key=1",
        "https://x.org/jo@corp.com",
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="Give the address of a page"):
        starter_files(url)

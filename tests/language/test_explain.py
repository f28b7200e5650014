"""The manual and the editor's schema say what the language does."""

import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from synthmon.core.functions import CATALOGUE
from synthmon.language.codes import CODES
from synthmon.language.connections import find_connections
from synthmon.language.documents import read
from synthmon.language.evidence import find_sources
from synthmon.language.explain import PLACES, NoTopic, explain
from synthmon.language.json_schema import json_schema, settings_json_schema
from synthmon.language.kinds import find_kinds
from synthmon.language.load import load, load_text
from tests.language.paths import GOOD, SETTINGS, SHIPPED

PROBES = [*GOOD, *(path for path in sorted(SHIPPED.glob("*.yaml")) if path.name != "synthmon.yaml")]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_explained(code: str) -> None:
    assert CODES[code].means in explain(code)
    assert CODES[code].remedy in explain(code)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_function_is_explained(name: str) -> None:
    assert f"{name}(" in explain(name)
    assert f"{name}(" in explain("functions")


@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_key_is_explained(place: str) -> None:
    for field_name, field in PLACES[place].model_fields.items():
        key = field.alias or field_name
        assert field.description, f"{place}.{key} has no description"
        assert field.description in explain(f"{place}.{key}")
        assert key in explain(place)


@pytest.mark.parametrize("word", sorted(find_kinds()))
def test_every_kind_is_explained_with_its_keys_and_names(word: str) -> None:
    kind = find_kinds()[word].kind

    page = explain(word)

    assert kind.manual.strip() in page
    assert all(name in page for name in (*kind.offers, *kind.keys.model_json_schema()["properties"]))
    assert word in explain()


@pytest.mark.parametrize("word", sorted(find_kinds()))
def test_the_sample_of_every_manual_loads(word: str) -> None:
    settings = load([], [SETTINGS], environ={}).settings
    samples = re.findall(r"```yaml\n(.*?)```", find_kinds()[word].kind.manual, re.DOTALL)

    assert samples
    for sample in samples:
        assert load_text(sample, "manual.yaml", settings).errors == ()


@pytest.mark.parametrize("word", sorted(find_connections()))
def test_the_sample_of_every_connection_loads_and_its_manual_tells_its_keys(word: str, tmp_path: Path) -> None:
    kind = find_connections()[word].kind
    samples = re.findall(r"```yaml\n(.*?)```", kind.manual, re.DOTALL)

    assert samples
    for sample in samples:
        (tmp_path / "synthmon.yaml").write_text(sample)
        assert load([], [tmp_path / "synthmon.yaml"], environ={}).errors == ()
    page = explain(word)
    assert all(name in page for name in kind.keys.model_json_schema()["properties"])


@pytest.mark.parametrize("word", sorted(find_sources()))
def test_every_source_has_a_manual_with_a_sample_that_loads(word: str, tmp_path: Path) -> None:
    kind = find_sources()[word].kind
    samples = re.findall(r"```yaml\n(.*?)```", kind.manual, re.DOTALL)

    assert samples
    for sample in samples:
        (tmp_path / "synthmon.yaml").write_text(sample)
        assert load([], [tmp_path / "synthmon.yaml"], environ={}).errors == ()
    page = explain(word)
    assert all(name in page for name in kind.keys.model_json_schema()["properties"])


@pytest.mark.parametrize(
    "settings",
    [
        {"connections": {"bus": {"nats": "nats://h:4222", "colour": "red"}}},
        {"connections": {"bus": {"nots": "nats://h:4222"}}},
        {"connections": {"bus!": {"nats": "nats://h:4222"}}},
        {"evidence": {"logs": {"jsonl": "a.jsonl", "lags": "1s"}}},
    ],
    ids=str,
)
def test_wrong_settings_do_not_fit_the_schema(settings: dict[str, Any]) -> None:
    assert not Draft202012Validator(settings_json_schema()).is_valid(settings)


def test_a_misspelt_topic_is_answered_with_what_was_meant() -> None:
    with pytest.raises(NoTopic, match="Did you mean `within`"):
        explain("withn")


def test_the_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(json_schema())
    Draft202012Validator.check_schema(settings_json_schema())


@pytest.mark.parametrize("probe", PROBES, ids=lambda path: path.stem)
def test_every_good_probe_fits_the_schema(probe: Path) -> None:
    validator = Draft202012Validator(json_schema())
    documents, _ = read(str(probe), probe.read_text())

    for document in documents:
        assert [error.message for error in validator.iter_errors(document.tree)] == []


@pytest.mark.parametrize("file", [SETTINGS, SHIPPED / "synthmon.yaml"], ids=lambda path: path.parent.name)
def test_good_settings_fit_the_schema(file: Path) -> None:
    (document,), _ = read(str(file), file.read_text())

    assert list(Draft202012Validator(settings_json_schema()).iter_errors(document.tree)) == []


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("steps", 0),
        ("steps", 0, "undo"),
        ("steps", 0, "undo", "find"),
        ("steps", 0, "retry"),
        ("slo",),
        ("steps", 1, "together", 0),
    ],
    ids=str,
)
def test_an_unknown_key_does_not_fit_the_schema(path: tuple[str | int, ...]) -> None:
    validator = Draft202012Validator(json_schema())
    probe = next(probe for probe in GOOD if probe.stem == "order")
    (document,), _ = read(str(probe), probe.read_text())
    here: Any = document.tree
    for step in path:
        here = here[step]

    here["unheard_of"] = 1

    assert not validator.is_valid(document.tree)

"""What the image is made of is known to the last distribution, and said in a form that other programs read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.test_makefile import MAKEFILE, ROOT, make

LOCK = (ROOT / "deploy/requirements.lock").read_text()


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `make sbom` writes, written elsewhere."""
    (recipe,) = re.findall(r"(?m)^sbom: .*\n\t@\$\(PY\) ((?:.*\\\n)*.*)", MAKEFILE)
    file = tmp_path_factory.mktemp("sbom") / "synthmon.cdx.json"
    words = recipe.replace("\\\n", " ").replace("synthmon.cdx.json", str(file)).split()
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=120)
    return dict(json.loads(file.read_text()))


def test_the_bill_of_materials_lists_all_that_the_image_installs(bill: dict[str, object]) -> None:
    locked = dict(re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)==(\S+)", LOCK))
    components = bill["components"]
    assert isinstance(components, list)

    listed = {each["name"]: each["version"] for each in components}

    assert len(locked) > 30
    assert listed == locked
    assert all(each["purl"].startswith("pkg:pypi/") for each in components)


def test_the_bill_of_materials_has_the_hash_of_every_file_that_may_be_installed(bill: dict[str, object]) -> None:
    components = bill["components"]
    assert isinstance(components, list)

    hashes = [
        each["content"]
        for component in components
        for reference in component["externalReferences"]
        for each in reference.get("hashes", ())
    ]

    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", LOCK))


def test_the_bill_of_materials_says_what_it_is_of_and_is_the_same_every_time(bill: dict[str, object]) -> None:
    metadata = bill["metadata"]
    assert isinstance(metadata, dict)

    assert (bill["bomFormat"], metadata["component"]["name"]) == ("CycloneDX", "synthmon")
    assert metadata["component"]["licenses"][0]["license"]["id"] == "Apache-2.0"
    assert "timestamp" not in metadata


def test_the_audit_asks_about_the_lock_and_fails_if_it_gets_no_answer() -> None:
    told = make("--dry-run", "audit").stdout

    assert "pip_audit --strict" in told
    assert "--requirement deploy/requirements.lock" in told


def test_there_is_no_workflow_of_a_forge_that_nobody_looks_through() -> None:
    # zizmor would have to be run over the first one
    places = [".github/workflows", ".gitlab-ci.yml", ".forgejo", ".gitea", ".circleci"]

    assert [place for place in places if Path(ROOT / place).exists()] == []

"""What a person types: `make help` tells every target, and every target exists."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
SCRIPTS = [".ci/run", ".ci/venv", ".ci/services"]


def make(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words],
        cwd=ROOT,
        env={**clean, **(env or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def targets() -> set[str]:
    (phony,) = re.findall(r"(?m)^\.PHONY: (.*)$", MAKEFILE)
    return set(phony.split())


def test_make_alone_lists_every_target() -> None:
    told = set(re.findall(r"(?m)^  ([a-z]+) ", make().stdout))

    assert told == targets()


@pytest.mark.parametrize("target", sorted(targets()))
def test_a_target_can_be_made(target: str) -> None:
    done = make("--dry-run", target)

    assert done.returncode == 0, done.stderr


def test_for_ends_the_demo_by_itself() -> None:
    endless, ending = make("--dry-run", "demo"), make("--dry-run", "demo", "FOR=60s")

    assert endless.stdout.rstrip().endswith("bin/synthmon demo")
    assert ending.stdout.rstrip().endswith("bin/synthmon demo --for 60s")


def test_args_choose_the_tests() -> None:
    done = make("--dry-run", "test", "ARGS=tests/core -k slots")

    assert "-m pytest" in done.stdout
    assert done.stdout.rstrip().endswith("tests/core -k slots")


def test_without_a_python_that_fits_it_says_what_to_do(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(Path("/usr/bin") / tool)

    done = subprocess.run(
        [ROOT / ".ci/venv", str(tmp_path / "venv"), "demo"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "apt-get install" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_strict_executable_and_parses(script: str) -> None:
    text = (ROOT / script).read_text()

    assert os.access(ROOT / script, os.X_OK)
    assert "\nset -euo pipefail\n" in text
    assert subprocess.run(["bash", "-n", ROOT / script], check=False).returncode == 0


def test_no_index_is_named_where_things_are_installed() -> None:
    for file in ["Makefile", *SCRIPTS, "deploy/Dockerfile"]:
        text = (ROOT / file).read_text()
        assert re.findall(r"https?://(?!127\.0\.0\.1)|--(?:extra-)?index-url|--find-links", text) == []

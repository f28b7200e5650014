"""With CI=true a skip is a failure, save those that a probe of the platform pardons."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFTEST = (Path(__file__).parents[1] / "conftest.py").read_text()
# A limit that no machine grants, beside the real ones.
NEVER_GIVEN = '\nLIMITS["moon"] = ("the moon is not full", lambda: False)\nLIMITS["day"] = ("", lambda: True)\n'


def run(folder: Path, *tests: str, ci: str) -> tuple[int, str]:
    """The exit code and words of a pytest of its own, each test in a file of its own."""
    (folder / "conftest.py").write_text(CONFTEST + NEVER_GIVEN)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra --strict-markers -p no:cacheprovider\n")
    for number, test in enumerate(tests):
        (folder / f"test_{number}.py").write_text(f"import pytest\n{test}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--continue-on-collection-errors", str(folder)],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


SKIPS = {
    "in a test": "def test_a(): pytest.skip('no bus')",
    "by a marker": "@pytest.mark.skip(reason='no bus')\ndef test_a(): pass",
    "in a fixture": "@pytest.fixture\ndef bus(): pytest.skip('no bus')\ndef test_a(bus): pass",
    "of a module": "pytest.skip('no bus', allow_module_level=True)",
    "under a limit that is given": "@pytest.mark.platform_limit('day')\ndef test_a(): pytest.skip('no bus')",
}


def test_a_skip_is_a_failure_in_ci_and_tells_its_reason(tmp_path: Path) -> None:
    code, words = run(tmp_path, *(test.replace("no bus", where) for where, test in SKIPS.items()), ci="true")

    assert code != 0
    assert [where for where in SKIPS if f"a skip is a failure: {where}" not in words] == []
    assert "SKIPPED" not in words


def test_a_skip_at_home_is_only_printed(tmp_path: Path) -> None:
    code, words = run(tmp_path, SKIPS["in a test"], ci="")

    assert code == 0
    assert "SKIPPED" in words
    assert "no bus" in words


def test_a_limit_of_the_platform_is_pardoned_and_printed(tmp_path: Path) -> None:
    code, words = run(tmp_path, "@pytest.mark.platform_limit('moon')\ndef test_a(): assert False", ci="true")

    assert code == 0
    assert "platform limit moon: the moon is not full" in words


def test_a_limit_that_nobody_listed_pardons_nothing(tmp_path: Path) -> None:
    code, words = run(tmp_path, "@pytest.mark.platform_limit('mood')\ndef test_a(): pass", ci="true")

    assert code != 0
    assert "no such limit" in words


def test_an_expected_failure_is_not_a_skip(tmp_path: Path) -> None:
    code, words = run(tmp_path, "@pytest.mark.xfail(reason='known')\ndef test_a(): assert False", ci="true")

    assert code == 0
    assert "1 xfailed" in words

"""Every mistake that the language knows, with the exact words that a person gets for it.

Beside each `wrong/*.yaml` stands a `.txt` with what is said of it.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from synthmon.core.errors import Problem
from synthmon.language.codes import CODES
from synthmon.language.load import load
from tests.language.paths import HERE, SETTINGS, WRONG, WRONG_SETTINGS

SAYERS = {"Problem", "Said", "PydanticCustomError", "say", "say_inside", "warn", "fault", "_refuse", "_say"}
ELSEWHERE = {
    "local-time-gap": "test_schedules.py: its words name a year",
    "duplicate-journey": "test_load.py: needs two files",
    "budget-exceeded": "test_load.py: needs settings and journeys",
    "no-hooks": "tests/steps/test_hook.py: needs settings without `hooks`",
    "broken-kind": "tests/plugins: needs a package that is broken",
    "missing-program": "test_kinds.py: needs a program that is not there",
    "missing-extra": "test_kinds.py: needs a library that is not there",
    "yaml-too-large": "test_documents.py: needs a large file",
}


@pytest.mark.parametrize("probe", WRONG, ids=lambda path: path.stem)
def test_a_wrong_probe_is_told_with_place_fault_and_remedy_and_left_out(probe: Path) -> None:
    loaded = load([probe], [SETTINGS], environ={})

    assert _said(loaded.problems) == probe.with_suffix(".txt").read_text()
    assert not loaded.errors or "wrong" not in {journey.base_name for journey in loaded.journeys}


@pytest.mark.parametrize("settings", WRONG_SETTINGS, ids=lambda path: path.stem)
def test_wrong_settings_are_told_with_place_fault_and_remedy(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE.parents[1])

    loaded = load([], [settings], environ={})

    assert _said(loaded.problems) == settings.with_suffix(".txt").read_text()


def test_every_line_has_a_place_a_fault_a_remedy_and_a_code() -> None:
    lines = [line for probe in (*WRONG, *WRONG_SETTINGS) for line in probe.with_suffix(".txt").read_text().splitlines()]

    odd = [
        line
        for line in lines
        if not re.fullmatch(r"\S+?:\d+:\d+( .+?)?  (warning: )?.+[.?…] .+[.?…)]? \[[a-z-]+\]", line)
    ]
    assert odd == []
    assert len(lines) >= 120


def test_every_code_has_an_example_and_every_example_a_code() -> None:
    text = "".join(probe.with_suffix(".txt").read_text() for probe in (*WRONG, *WRONG_SETTINGS))
    shown = set(re.findall(r"\[([a-z-]+)\]$", text, re.MULTILINE))

    assert shown - set(CODES) == set()
    assert set(CODES) - shown - set(ELSEWHERE) == set()


def test_every_code_that_the_language_raises_is_explained() -> None:
    package = HERE.parents[1] / "synthmon"
    sources = [*(package / "language").glob("*.py"), *(package / "steps").glob("*.py")]

    raised = {code for source in sources for code in _codes_in(source)}

    assert len(raised) > 60
    assert raised - set(CODES) == set()


def _codes_in(source: Path) -> Iterator[str]:
    """The first text that is handed to anything that says a fault."""
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in SAYERS:
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if texts and texts[0] != "warning" and re.fullmatch(r"[a-z]+(-[a-z]+)*", texts[0]):
                yield texts[0]


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_is_a_warning_exactly_when_it_says_so(code: str) -> None:
    lines = [
        line
        for probe in (*WRONG, *WRONG_SETTINGS)
        for line in probe.with_suffix(".txt").read_text().splitlines()
        if line.endswith(f"[{code}]")
    ]

    assert {"  warning: " in line for line in lines} <= {CODES[code].warning}


def _said(problems: Sequence[Problem]) -> str:
    """The problems as they are printed, with paths as seen from the folder of the example."""
    text = "".join(f"{problem}\n" for problem in problems)
    for folder in ("wrong_settings", "wrong"):
        text = text.replace(f"{HERE / folder}/", "")
    return text.replace(f"{HERE}/", "../")

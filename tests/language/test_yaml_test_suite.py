"""The cases of https://github.com/yaml/yaml-test-suite (MIT): each is read as JSON says, or refused with a place.

`yaml_test_suite.json` holds 402 of its cases, by id: the text, the JSON that it stands for, or that it is no YAML.
What is used of YAML here is less than the whole of it (no tags, no keys but texts), and the parser below is one of
YAML 1.1: where it differs from the suite, the case stands in a list here, so that a change of it is seen.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from synthmon.language.documents import read

CASES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("yaml_test_suite.json").read_text())
INVALID = {name for name, case in CASES.items() if case.get("fail")}
AS_JSON = {name for name, case in CASES.items() if "json" in case}

# Not YAML 1.2, but the parser sees nothing wrong: a comment without a space, a bracket in column 0, and the like.
LENIENT = set("9C9N 9JBA CVW2 DK95-1 EB22 G5U8 MUS6-0 MUS6-1 QB6E RHX7 S98Z SU5Z X4QW Y79Y-3 YJV2".split())
# Read, but otherwise: `{?foo: bar}`, `[?x]`, a blank line behind a literal text, an anchor `&an:chor`.
OTHERWISE = set("652Z HM87-1 L24T-1 Y2GN".split())


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_read_or_refused_and_quickly(name: str) -> None:
    documents, problems = read("case.yaml", CASES[name]["yaml"])

    refused = any(problem.level == "error" for problem in problems)
    assert min(_took_s(CASES[name]["yaml"]) for _ in range(5)) < 0.2  # the least: a collection of garbage may hit one
    assert not (refused and documents)
    assert all(problem.place.line >= 1 and problem.fault and problem.remedy for problem in problems)


def _took_s(text: str) -> float:
    began_s = time.process_time()
    read("case.yaml", text)
    return time.process_time() - began_s


@pytest.mark.parametrize("name", sorted(INVALID))
def test_a_case_that_is_no_yaml_is_refused(name: str) -> None:
    _, problems = read("case.yaml", CASES[name]["yaml"])

    assert any(problem.level == "error" for problem in problems) == (name not in LENIENT)


@pytest.mark.parametrize("name", sorted(AS_JSON))
def test_a_case_that_is_read_means_what_json_says(name: str) -> None:
    documents, problems = read("case.yaml", CASES[name]["yaml"])

    if not any(problem.level == "error" for problem in problems):
        same = [document.tree for document in documents] == _values(CASES[name]["json"])
        assert same == (name not in OTHERWISE)


def test_most_cases_are_read() -> None:
    seen = [name for name in AS_JSON if read("case.yaml", CASES[name]["yaml"])[0]]

    assert len(CASES) >= 402
    assert len(seen) >= 190


def _values(text: str) -> list[Any]:
    """The JSON of each document; one that is null is none here."""
    decoder, values, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        values.append(value)
        rest = rest[end:].strip()
    return [value for value in values if value is not None]

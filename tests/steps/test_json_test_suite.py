"""JSONTestSuite: 188 documents that are no JSON pass no check, and 95 that are JSON are read as what they say.

`json_test_suite.json` holds those of https://github.com/nst/JSONTestSuite (MIT) by name,
each byte as the character of its number.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthmon.core.door import HttpAnswer, HttpRequest
from synthmon.core.expressions import Compiler, Scope
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.timing import Timing
from synthmon.steps.http import KIND, HttpKeys
from tests.steps.making import TestMaker
from tests.steps.test_http_json import CHECKS

DOCUMENTS = {
    name: text.encode("latin-1")
    for name, text in json.loads(Path(__file__).with_name("json_test_suite.json").read_text()).items()
}
INVALID = {name: content for name, content in DOCUMENTS.items() if name.startswith("n_")} | {
    "n_structure_100000_opening_arrays": b"[" * 100_000,
    "n_structure_open_array_object": b'[{"":' * 50_000 + b"\n",
}
VALID = {name: content for name, content in DOCUMENTS.items() if name.startswith("y_")}
# RFC 8259 §4 leaves it open what a key that stands twice means, so two readers may see two values.
AMBIGUOUS = {"y_object_duplicated_key", "y_object_duplicated_key_and_value"}


def test_all_of_the_suite_is_there() -> None:
    assert (len(INVALID), len(VALID)) == (188, 95)


@pytest.mark.parametrize("name", INVALID)
def test_a_document_that_is_no_json_passes_no_check(name: str) -> None:
    answer = HttpAnswer(200, (("content-type", "application/json"),), INVALID[name], Timing())
    request, spec = HttpRequest("GET", "/"), KIND.compile(HttpKeys(http="GET /"), TestMaker())
    scope, compiler = Scope(spec.see(request, answer)), Compiler()

    held = {check: compiler.compile(check, KIND.offers).holds(scope).ok for check in CHECKS}

    assert not any(held.values()), held
    assert "its body is not valid JSON: " in spec.complaint(request, answer)


@pytest.mark.parametrize("name", VALID)
def test_a_document_that_is_json_is_read(name: str) -> None:
    if name in AMBIGUOUS:
        with pytest.raises(InvalidJson, match="uplicate key"):
            parse_json(VALID[name])
    else:
        assert parse_json(VALID[name]) == json.loads(VALID[name])


@pytest.mark.parametrize(
    ("written", "check", "holds"),
    [
        (b"-9223372036854775808", "body == -9223372036854775808", True),
        (b"9223372036854775807", "body == 9223372036854775807", True),
        (b"9223372036854775808", "body == 9223372036854775807", False),
        (b"-9223372036854775809", "body == -9223372036854775808", False),
        (b"10000000000000000999", "body == 1000000000000000099", False),
        (b"1.0", "body == 1.0", True),
        (b"1.0", "body == 1", True),
        (b"1.000000000000000005", "body == 1.0", True),
        (b"1E6", "body == 1000000.0", True),
        (b"1E-999", "body == 0.0", True),
        (b"-0", "body == 0", True),
        (b"-0.0", "body == 0.0", True),
        (b"0.1", "body == 0.1", True),
        (b"9007199254740993", "body == 9007199254740993", True),
        (b"9007199254740993", "body == 9007199254740992", False),
        (b"9007199254740993.0", "body == 9007199254740993.0", True),
        (b"1e308", "body == 1e308", True),
        (b"1", 'body == "1"', False),
        (b'"1"', "body == 1", False),
        (b"true", "body == 1", False),
        (b"null", "body == 0", False),
        (b"12.50", "body == 12.5", True),
        (b'"12.50"', "body == 12.5", False),
    ],
)
def test_a_number_at_the_edge_is_the_number_that_was_sent(written: bytes, check: str, holds: bool) -> None:
    answer = HttpAnswer(200, (("content-type", "application/json"),), written, Timing())
    spec = KIND.compile(HttpKeys(http="GET /"), TestMaker())

    held = Compiler().compile(check, KIND.offers).holds(Scope(spec.see(HttpRequest("GET", "/"), answer)))

    assert held.ok is holds, held

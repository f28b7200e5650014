"""JSON that is none, or that two readers would read differently, never makes a check pass."""

from __future__ import annotations

import pytest

from synthmon.core.door import HttpAnswer, HttpRequest
from synthmon.core.expressions import Compiler, Scope
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.timing import Timing
from synthmon.steps.http import KIND, HttpKeys
from tests.steps.making import TestMaker

INVALID = {
    "nothing": b"",
    "a space": b" ",
    "byte order mark alone": b"\xef\xbb\xbf",
    "NaN": b"NaN",
    "NaN in a list": b"[NaN]",
    "minus NaN": b"[-NaN]",
    "nan": b"[nan]",
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "inf": b"[inf]",
    "a number over the largest double": b"[1e400]",
    "a number under the smallest double": b"[-1e400]",
    "a huge exponent": b"[123123e100000]",
    "a huge exponent with a sign": b"[1E+9999]",
    "a huge exponent with leading zeros": b"[1e0000000999]",
    "400 digits and a fraction": b"[" + b"9" * 400 + b".0]",
    "300 digits and an exponent": b"[" + b"9" * 300 + b"e20]",
    "overflow deep inside": b'{"a": [{"b": [1, 2, 1e999]}]}',
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice with the same value": b'{"a": 1, "a": 1}',
    "a key twice deep inside": b'{"x": [{"a": 1, "a": 2}]}',
    "a key twice, once escaped": b'{"a": 1, "\\u0061": 2}',
    "an empty key twice": b'{"": 1, "": 2}',
    "cut in an object": b'{"a": 1',
    "cut after a key": b'{"a"',
    "cut after a colon": b'{"a":',
    "cut in a list": b"[1, 2",
    "cut in a string": b'["abc',
    "cut in a word": b"[tru",
    "cut in an escape": b'["\\u00',
    "two documents": b"{}{}",
    "a comma behind": b"[1],",
    "a word behind": b"{} x",
    "a closing bracket too many": b"[1]]",
    "a comma at the end of a list": b"[1,]",
    "a comma at the end of an object": b'{"a": 1,}',
    "a comma at the beginning": b"[,1]",
    "two commas": b"[1,,2]",
    "no comma": b"[1 2]",
    "no comma in an object": b'{"a": 1 "b": 2}',
    "a colon in a list": b'["a": 1]',
    "two colons": b'{"a":: 1}',
    "a comma for a colon": b'{"a", 1}',
    "no value": b'{"a": }',
    "a key without quotes": b"{a: 1}",
    "a number as key": b"{1: 1}",
    "a key in single quotes": b"{'a': 1}",
    "a string in single quotes": b"['a']",
    "brackets that cross": b"[{]}",
    "a plus sign": b"[+1]",
    "a leading zero": b"[01]",
    "a minus and a leading zero": b"[-012]",
    "a minus alone": b"[-]",
    "two minus signs": b"[--1]",
    "a point at the end": b"[1.]",
    "a point at the beginning": b"[.5]",
    "an exponent without digits": b"[1e]",
    "an exponent with a sign alone": b"[1e+]",
    "two exponents": b"[1e2e3]",
    "two points": b"[1.2.3]",
    "hex": b"[0x1F]",
    "an underscore": b"[1_000]",
    "a letter behind a number": b"[1a]",
    "full-width digits": "[１]".encode(),
    "True": b"[True]",
    "None": b"[None]",
    "nul": b"[nul]",
    "undefined": b"undefined",
    "a comment": b"[1] // no",
    "a comment inside": b"[/* no */ 1]",
    "a tab in a string": b'["a\tb"]',
    "a line break in a string": b'["a\nb"]',
    "a NUL in a string": b'["a\x00b"]',
    "an unknown escape": b'["\\x41"]',
    "an escape without digits": b'["\\u"]',
    "an escape of three digits": b'["\\u00A"]',
    "a backslash at the end": b'["\\"]',
    "half of a surrogate pair": b'["\\ud800"]',
    "a surrogate and a letter": b'["\\ud800a"]',
    "bytes that are no UTF-8": b'["\xff"]',
    "an overlong form": b'["\xc0\xaf"]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "UTF-8 cut short": b'["\xe2\x82"]',
    "latin-1": b'["\xe9"]',
    "UTF-16": '{"ok": true}'.encode("utf-16"),
    "UTF-16 without a mark": '{"ok": true}'.encode("utf-16-le"),
    "a form feed between": b"[\x0c1]",
    "a no-break space between": "[\u00a01]".encode(),
    "a zero-width space between": "[\u200b1]".encode(),
    "a byte order mark twice": b"\xef\xbb\xbf\xef\xbb\xbf{}",
    "100,000 lists": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "300 lists that are closed": b"[" * 300 + b"]" * 300,
    "HTML": b"<html>login</html>",
    "JSON in a callback": b'callback({"ok": true})',
    "JSON behind a guard": b')]}\'\n{"ok": true}',
    "lines of JSON": b'{"ok": true}\n{"ok": true}',
}
CHECKS = (
    "body != null",
    "body == body",
    "size(body) >= 0",
    "type(body) == type(body)",
    'body == "" || body != ""',
    "has(body.ok) || !has(body.ok)",
    "!(body == 1)",
    "[1].all(x, body != x)",
)


def test_the_list_is_long_enough() -> None:
    assert len(INVALID) >= 60


@pytest.mark.parametrize("what", INVALID)
def test_invalid_json_passes_no_check_and_is_named(what: str) -> None:
    answer = HttpAnswer(200, (("content-type", "application/json"),), INVALID[what], Timing())
    request, spec = HttpRequest("GET", "/"), KIND.compile(HttpKeys(http="GET /"), TestMaker())
    scope, compiler = Scope(spec.see(request, answer)), Compiler()

    held = {check: compiler.compile(check, KIND.offers).holds(scope).ok for check in CHECKS}

    assert not any(held.values()), held
    assert "its body is not valid JSON: " in spec.complaint(request, answer)
    with pytest.raises(InvalidJson):
        parse_json(INVALID[what])


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"null", None),
        (b" [1, -0, 1e3, 1.5E-3, 1e308] ", [1, 0, 1000.0, 0.0015, 1e308]),
        (b'{"a": {"b": 1}, "c": {"b": 2}}', {"a": {"b": 1}, "c": {"b": 2}}),
        (b'"\\ud83d\\ude00 \\u00e9"', "😀 é"),
        (b"9223372036854775807", 2**63 - 1),
        (b"[1e-400]", [0.0]),
        (b"[" * 100 + b"]" * 100, None),
        (b'["8e1234"]', ["8e1234"]),
        (b"\xef\xbb\xbf{}", {}),
    ],
)
def test_valid_json_is_read_as_it_is(content: bytes, value: object) -> None:
    read = parse_json(content)

    if value is not None:
        assert read == value

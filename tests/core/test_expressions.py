"""CEL as journeys use it: names and types at load, values and their operands in a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from synthmon.core import secrets
from synthmon.core.expressions import CompileError, Compiler, ExpressionError, Scope
from synthmon.core.templates import compile_template
from synthmon.core.words import operands, references

NAMES = {
    "run.id": "string",
    "run.seed": "int",
    "run.started": "timestamp",
    "body": "dyn",
    "status": "int",
    "text": "string",
    "elapsed": "duration",
    "case.amount": "string",
    "secret.token": "string",
}
VALUES = {
    "run.id": "ab" * 16,
    "run.seed": 77,
    "run.started": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "body": {"items": [{"id": "a", "n": 1.5}], "total": 3, "nothing": None, "empty": []},
    "status": 200,
    "text": "<p class='code'> 12  34 </p>",
    "elapsed": timedelta(milliseconds=1500),
    "case.amount": "12.50",
    "secret.token": secrets.seal("secret.token"),
}
COMPILER = Compiler()


def value(text: str) -> Any:
    return COMPILER.compile(text, NAMES).value(Scope(VALUES))


def rendered(text: str) -> Any:
    return compile_template(COMPILER, text, NAMES).render(Scope(VALUES))


@pytest.mark.parametrize(
    ("text", "column", "fault"),
    [
        ("run.idd == 'a'", 4, "undeclared reference to 'run.idd'"),
        ("status == 'ok'", 8, "found no matching overload for '_==_' applied to '(int, string)'"),
        ("1 == nothing(2)", 13, "undeclared reference to 'nothing'"),
        ('elapsed < duration("14d")', 1, "String to Duration conversion failed"),
    ],
)
def test_a_wrong_name_type_or_constant_is_told_when_a_file_is_loaded(text: str, column: int, fault: str) -> None:
    if "duration(" in text:
        text = text.removeprefix("elapsed < ")
    with pytest.raises(CompileError) as caught:
        COMPILER.compile(text, NAMES)

    assert (caught.value.column, fault in caught.value.fault) == (column, True)


def test_a_column_in_a_template_counts_from_the_start_of_the_text() -> None:
    with pytest.raises(CompileError) as caught:
        compile_template(COMPILER, "order-${ run.idd }", NAMES)

    assert caught.value.column == 13


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("${body.total}", 3),
        ("${body.items}", [{"id": "a", "n": 1.5}]),
        ("n=${body.items[0].n} of ${body.total}", "n=1.5 of 3"),
        ("$${not.this} ${status}", "${not.this} 200"),
        ("${ {'a': '}'}['a'] }x", "}x"),
        ("${run.started}!", "2026-03-01T12:00:00Z!"),
        ("${elapsed} long", "1.5s long"),
    ],
)
def test_a_template_joins_text_and_keeps_the_type_of_a_lone_expression(text: str, expected: Any) -> None:
    assert rendered(text) == expected


@pytest.mark.parametrize("text", ["a ${body.nothing}", "a ${body.items}", "a ${body.missing}", "a ${body.empty[0]}"])
def test_what_cannot_be_joined_to_a_text_is_an_error_and_not_a_text(text: str) -> None:
    with pytest.raises(ExpressionError):
        rendered(text)


@pytest.mark.parametrize("text", ["body.missing", "body.empty[0]", "find(text, 'zzz')", "css(text, 'b')"])
def test_what_is_not_there_is_known_as_missing(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)

    assert caught.value.missing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("css(text, 'p.code')", "12 34"),
        ("find(text, '[0-9]+')", "12"),
        ("find(text, 'class=.([a-z]+)')", "code"),
        ("sha256('a')", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("hmac_sha256('key', 'text')", "6afa9046a9579cad143a384c1b564b9a250d27d6f6a63f9f20bf3a7594c9e2c6"),
        ("date(run.started, '%Y-%m-%d %H', 'Asia/Tokyo')", "2026-03-01 21"),
        ("run.started + days(2) > run.started", True),
        ("digits('account', 8) == digits('account', 8)", True),
        ("size(digits('account', 8))", 8),
        ("digits('account', 8) == digits('other', 8)", False),
        ("size(uuid('order'))", 36),
        ("basic('u', 'p')", "Basic dTpw"),
        ("body.?missing.orValue(7)", 7),
        ("'a,b'.split(',')", ["a", "b"]),
        ("base64.encode(b'abc')", "YWJj"),
    ],
)
def test_functions(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_the_sha256_of_a_secret_is_refused() -> None:
    with pytest.raises(ExpressionError, match="hmac_sha256"):
        value("sha256(secret.token)")


def test_a_bomb_of_nested_loops_ends_instead_of_running_on() -> None:
    ten = "[1,2,3,4,5,6,7,8,9,10]"
    bomb = ten
    for name in "abcdefgh":
        bomb = f"{ten}.map({name}, {bomb})"

    with pytest.raises((ExpressionError, CompileError), match=r"[Ii]teration budget"):
        value(f"size({bomb}) > 0 || status == 1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("body.total == status", ["body.total", "status"]),
        ("(size(body.items) == 2 && status == 200) || text == ''", ["size(body.items)", "status", "text"]),
        ("!(body.total in [1, 2])", ["body.total"]),
        ("body.items.exists(i, i.n == 2)", ["body.items"]),
        ("text.contains('x')", ["text"]),
        ("has(body.total)", []),
        ("text == 'a == b'", ["text"]),
    ],
)
def test_the_operands_of_a_check_are_what_is_worth_showing(text: str, shown: list[str]) -> None:
    assert list(operands(text)) == shown


def test_references_are_found_outside_of_strings_only() -> None:
    assert references("run.id + ' status ' + body.run.id", NAMES) == {"run.id", "body"}


def test_a_failed_check_shows_what_its_operands_were() -> None:
    held = COMPILER.compile("body.items[0].n == 2.0 && case.amount == text", NAMES).holds(Scope(VALUES))

    assert (held.ok, dict(held.values)["body.items[0].n"], dict(held.values)["case.amount"]) == (False, 1.5, "12.50")

"""How the fields of foreign records are found, whatever their writers do."""

from __future__ import annotations

import pytest

from synthmon.core.evidence import KEY_SLACK_NS, Wanted
from synthmon.core.fields import fields_of, flat, from_fields, instant_ns
from synthmon.core.secrets import seal

AT = 1_800_000_000_000_000_000
WANTED = Wanted("ab" * 16, "syn-abababababababab", AT, keys=("tea@example.com",), traces=("cd" * 16,))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'{"a": "\\ud83d\\ude00", "b": "\\ud800"}', {"a": "\ufffd\ufffd", "b": "\ufffd"}),
        (b'{"a": "\xe9"}', {"a": "\ufffd"}),
        ('{"a": "é😀"}'.encode(), {"a": "é😀"}),
        (
            b'{"log": "{\\"step\\": \\"posted\\"}\\n", "time": "t", "log.x": 1}',
            {"step": "posted", "time": "t", "log.x": 1},
        ),
        (b'{"message": "{not JSON}", "time": 1}', {"message": "{not JSON}", "time": 1}),
        (b'{"message": "{\\"time\\": 1}", "time": 2}', {"time": 1}),
    ],
)
def test_a_line_of_a_careless_logger_is_read_all_the_same(line: bytes, fields: dict[str, object]) -> None:
    assert fields_of(line) == fields


def test_numbers_that_json_does_not_know_do_not_spoil_a_line() -> None:
    fields = fields_of(b'{"step": "posted", "ratio": NaN, "most": -Infinity}')

    assert fields is not None
    assert flat(fields) == {"step": "posted", "ratio": "nan", "most": "-inf"}


@pytest.mark.parametrize(
    "line", [b"", b"[1]", b'"a"', b'{"a":', b"plain text", b'{"a":' + b"9" * 5000 + b"}", b"{" * 500]
)
def test_a_line_that_is_no_object_is_none(line: bytes) -> None:
    assert fields_of(line) is None


def test_a_mark_may_be_any_of_what_joins_a_run() -> None:
    assert WANTED.marks == ("ab" * 16, "syn-abababababababab", "cd" * 16, "tea@example.com")


@pytest.mark.parametrize(("before_ns", "counts"), [(0, True), (KEY_SLACK_NS, True), (KEY_SLACK_NS + 1, False)])
def test_what_only_a_key_joins_must_have_happened_in_the_run(before_ns: int, counts: bool) -> None:
    at = {"time": AT - before_ns, "step": "login"}

    assert (from_fields("logs", at | {"to": "tea@example.com"}, WANTED, 1, {}) is not None) is counts
    assert from_fields("logs", at | {"to": "ab" * 16}, WANTED, 1, {}) is not None


def test_a_record_without_a_mark_is_the_runs_when_the_question_named_it() -> None:
    fields = {"time": AT, "step": "posted"}

    assert from_fields("rows", fields, WANTED, 1, {}) is None
    record = from_fields("rows", fields, WANTED, 1, {}, "sql")
    assert record is not None
    assert record.matched_by == "sql"


def test_the_name_of_a_field_cannot_forge_a_secret() -> None:
    forged = seal("secret.token")

    assert not any(character in name for name in flat({forged: {forged: 1}}) for character in (forged[0], forged[-1]))


@pytest.mark.parametrize("text", ["1e300", "-5", "0", "9223372036854775808", "inf"])
def test_a_number_that_no_clock_shows_is_no_instant(text: str) -> None:
    assert instant_ns(text) == 0


OF_ANY_TIME = Wanted("ab" * 16, "syn-abababababababab", 0, keys=("tea@example.com",))


@pytest.mark.parametrize(
    ("fields", "step", "matched_by"),
    [
        ({"correlationId": "ab" * 16, "step": "posted", "time": "2026-01-01T00:00:00Z"}, "posted", "correlationId"),
        ({"a": {"b": "x syn-abababababababab"}, "event": "e", "ts": 1767225600}, "e", "a.b"),
        ({"to": "tea@example.com", "message": "mailed", "@timestamp": 1767225600123}, "mailed", "to (key)"),
    ],
)
def test_a_log_line_of_any_common_shape_is_understood(fields: dict[str, object], step: str, matched_by: str) -> None:
    record = from_fields("logs", fields, OF_ANY_TIME, 1, {})

    assert record is not None
    assert (record.step, record.matched_by) == (step, matched_by)
    assert record.at_ns // 10**9 == 1767225600


def test_a_line_of_another_run_or_without_a_time_is_no_evidence() -> None:
    assert from_fields("logs", {"correlationId": "cd" * 16, "time": 1767225600}, OF_ANY_TIME, 1, {}) is None
    assert from_fields("logs", {"correlationId": "ab" * 16}, OF_ANY_TIME, 1, {}) is None


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-01T00:00:00.123456789Z", 1767225600_123456789),
        ("2026-01-01T01:00:00+01:00", 1767225600_000000000),
        ("2026-01-01 00:00:00", 1767225600_000000000),
        ("1767225600", 1767225600_000000000),
        ("1767225600.5", 1767225600_500000000),
        ("1767225600123", 1767225600_123000000),
        ("1767225600123456", 1767225600_123456000),
        ("1767225600123456789", 1767225600_123456789),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_instants_in_every_common_form(text: str, ns: int) -> None:
    assert instant_ns(text) == ns

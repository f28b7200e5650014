"""Nouns survive storage exactly, and what other versions wrote is read as well as can be."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.core.evidence import Evidence
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, CheckRecord, ClauseRecord, DebtRecord, Record, StepRecord
from synthmon.core.timing import Timing
from synthmon.core.undo.intents import Entry, Intent, Learned, Opened, Settled
from synthmon.store import evidence_codec
from synthmon.store.journal_codec import entry_from, line_of
from synthmon.store.nouns import from_microseconds, microseconds
from synthmon.store.record_codec import detail_of, head_of, record_from
from tests.store.samples import NOON, a_record, intent, some_evidence

_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=_ZONES)
_TEXTS = st.text(max_size=20)  # lone surrogates as well: JSON from outside can hold them
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | _TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(_TEXTS, inside, max_size=3),
    max_leaves=6,
)
_VALUES = st.dictionaries(_TEXTS, _JSON, max_size=3)
_BY_TYPE = {
    "str": _TEXTS,
    "bool": st.booleans(),
    "bool | None": st.booleans() | st.none(),
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": _FLOATS,
    "float | None": _FLOATS | st.none(),
    "datetime": _INSTANTS,
    "datetime | None": _INSTANTS | st.none(),
    "Outcome": st.sampled_from(Outcome),
    "Reason": st.sampled_from(Reason),
    "Mapping[str, Any]": _VALUES,
    "Mapping[str, str]": st.dictionaries(_TEXTS, _TEXTS, max_size=3),
    "tuple[str, ...]": st.lists(_TEXTS, max_size=2).map(tuple),
    "tuple[tuple[str, str], ...]": st.lists(st.tuples(_TEXTS, _TEXTS), max_size=2).map(tuple),
}


def _there_and_back(evidence: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    document = b"".join(evidence_codec.written(evidence))
    return tuple(record for some, _ in evidence_codec.opened(document) for record in some)


def _any(noun: type[Any], **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A noun with anything in each of its fields."""
    plain = {f.name: _BY_TYPE[str(f.type)] for f in fields(noun) if f.name not in known}
    return st.builds(noun, **plain, **known)


def _few(nouns: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(nouns, max_size=2).map(tuple)


_ATTEMPTS = _few(_any(Attempt, timing=_any(Timing)))
_CHECKS = _few(_any(CheckRecord))
_STEPS = _few(_any(StepRecord, attempts=_ATTEMPTS, checks=_CHECKS))
_RECORDS = _any(
    Record,
    steps=_STEPS,
    verify=_CHECKS,
    clauses=_few(_any(ClauseRecord)),
    evidence=_few(_any(Evidence)),
    undo=_ATTEMPTS,
    debts=_few(_any(DebtRecord)),
)
_ENTRIES = st.one_of(_any(Opened), _any(Intent), _any(Learned), _any(Settled))


@settings(max_examples=150, deadline=None)
@given(_RECORDS)
def test_every_record_comes_back_as_it_was(record: Record) -> None:
    read = record_from(head_of(record), detail_of(record))

    assert replace(read, evidence=_there_and_back(record.evidence)) == record


@settings(max_examples=150, deadline=None)
@given(_ENTRIES)
def test_every_entry_comes_back_as_it_was(entry: Entry) -> None:
    assert entry_from(line_of(entry)) == entry


@given(_INSTANTS)
def test_an_instant_as_microseconds_is_exact(at: datetime) -> None:
    assert from_microseconds(microseconds(at)) == at


def test_the_head_alone_is_the_record_without_its_steps() -> None:
    record = a_record()

    assert record_from(head_of(record)) == replace(record, steps=(), verify=(), undo=())


def test_a_long_detail_is_squeezed_and_a_short_one_can_be_read_with_any_tool() -> None:
    short, long = a_record(), a_record(steps=a_record().steps * 30)

    assert orjson.loads(detail_of(short) or b"")["steps"][0]["id"] == "order"
    assert len(detail_of(long) or b"") < len(orjson.dumps(long)) / 5
    assert record_from(head_of(long), detail_of(long)) == long


def test_evidence_is_kept_however_much_it_is_and_read_in_pieces() -> None:
    few, many = some_evidence(3), some_evidence(2000)
    squeezed = b"".join(evidence_codec.written(many))

    pieces = [len(some) for some, _ in evidence_codec.opened(squeezed)]

    assert orjson.loads(b"".join(evidence_codec.written(few)).splitlines()[0])["step"] == "order.placed"
    assert _there_and_back(few) == few
    assert _there_and_back(many) == many
    assert max(pieces) <= evidence_codec.RECORDS_AT_ONCE
    assert sum(size for _, size in evidence_codec.opened(squeezed)) > 5 * len(squeezed)


def test_evidence_that_an_older_version_kept_among_the_steps_is_read() -> None:
    record = a_record(evidence=some_evidence(3))
    older = orjson.dumps({"steps": record.steps, "verify": record.verify, "evidence": record.evidence})

    assert record_from(head_of(record), older) == record


def test_keys_of_a_newer_version_are_passed_over_and_missing_ones_have_their_defaults() -> None:
    document = orjson.loads(head_of(a_record(location="fra")))
    document["colour"] = "green"
    del document["location"], document["took_ms"]

    read = record_from(orjson.dumps(document))

    assert (read.location, read.took_ms, read.run_id) == ("", 0.0, a_record().run_id)


def test_words_of_a_newer_version_are_read_as_unknown_and_never_as_green() -> None:
    document = orjson.loads(head_of(a_record())) | {"outcome": "splendid", "reason": "a_new_one"}

    read = record_from(orjson.dumps(document))

    assert (read.outcome, read.reason) == (Outcome.UNKNOWN, Reason.BROKEN)


def test_an_entry_of_a_newer_version_keeps_its_number() -> None:
    read = entry_from('{"consent": {"by": "somebody"}}')

    assert read == Learned("", {})


def test_what_a_target_answered_never_makes_its_record_unsavable() -> None:
    deep: Any = "bottom"
    for _ in range(3000):
        deep = [deep]
    strange = {"big": 10**30, "half": "\ud800", "not json": b"\xff", "infinite": float("inf"), "deep": deep}

    read = record_from(head_of(a_record(vars=strange)))

    assert read.vars["big"] == 10**30
    assert read.vars["half"] == "\ud800"
    assert read.vars["infinite"] is None
    assert "nested too deeply" in str(read.vars["deep"])


def test_a_damaged_document_is_said() -> None:
    with pytest.raises(ValueError, match="detail of a stored record is damaged"):
        record_from(head_of(a_record()), b"\x78\x01garbage")
    with pytest.raises(ValueError, match="stored Record cannot be read"):
        record_from("{}")
    squeezed = b"".join(evidence_codec.written(some_evidence(100)))
    for damaged in (b"\x78\x01garbage", squeezed[: len(squeezed) // 2], b'{"source": "logs"'):
        with pytest.raises(ValueError, match="evidence of a stored record is damaged"):
            list(evidence_codec.opened(damaged))


def test_an_instant_without_a_time_zone_is_refused() -> None:
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="has no time zone"):
        head_of(a_record(slot=naive))
    with pytest.raises(ValueError, match="has no time zone"):
        line_of(replace(intent(), expires=naive))
    assert record_from(head_of(a_record(slot=NOON))).slot.tzinfo is UTC

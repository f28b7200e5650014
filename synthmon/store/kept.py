"""Which records are the same, which are good, and which run a few digits name: one answer for every history."""

from __future__ import annotations

from collections.abc import Iterable

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.store.nouns import microseconds

Key = tuple[str, str, int, str]
SHORTEST_PREFIX = 6
GOOD = (Outcome.PASSED, Outcome.SKIPPED)


def key_of(record: Record) -> Key:
    """(journey, location, slot in µs, kept as): a slot of the schedule is kept once, other runs once by their id.

    Raises `ValueError` when the slot has no time zone.
    """
    kept_as = "" if is_scheduled(record) else record.run_id
    return record.journey, record.location, microseconds(record.slot), kept_as


def is_scheduled(record: Record) -> bool:
    """Whether the record fills a slot of the schedule."""
    return record.cause == "schedule"


def is_run(record: Record) -> bool:
    """Whether something was done: not so in a slot that was missed, or skipped before its first step."""
    done = record.steps or record.verify or record.clauses or record.undo
    return bool(done or record.evidence or record.evidence_forgotten)


def is_good(outcome: Outcome) -> bool:
    """Whether nobody will ask again: such records are forgotten first."""
    return outcome in GOOD


def prefix_of(run_id: str) -> str:
    """The digits that a person gave. Raises `LookupError` when they are too few."""
    start = run_id.strip()
    if len(start) < SHORTEST_PREFIX:
        raise LookupError(f"{run_id!r} is too short for a run id; give at least {SHORTEST_PREFIX} digits.")
    return start


def one_of(start: str, found: Iterable[str]) -> str:
    """The one run that the digits name. Raises `LookupError` when there are several."""
    ids = sorted(set(found))
    if start in ids:
        return start
    if len(ids) > 1:
        raise LookupError(f"Several runs start with {start!r}, {ids[0]} and {ids[1]} among them; give more digits.")
    return ids[0]

"""Who is due when: stable phases, spread starts, and what becomes of a slot whose bell rang late.

Every machine that knows a journey's name agrees on its slots, so nothing has to be negotiated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from synthmon.core.cron import instants, longest_s, stretch
from synthmon.core.journey import Cron, Every

ON_TIME_S = 0.25  # a bell this late is still on time
LONGEST_VALIDITY_S = 60.0
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """What becomes of slots that a bell brought: at most the newest runs, from `start` on; the others are missed."""

    run: datetime | None
    start: datetime | None
    missed: Gap | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots of a journey that follow each other."""

    count: int
    first: datetime
    last: datetime


def next_slot(schedule: Every | Cron, name: str, after: datetime) -> datetime:
    """The first slot later than `after` (UTC). For `every`, the phase is a hash of the name over the interval."""
    match schedule:
        case Cron():
            return next(instants(schedule, after))
        case Every(interval_s):
            first = _EPOCH + timedelta(seconds=round(unit(name) * interval_s, 3))
            gone = (after - first) / timedelta(seconds=interval_s)
            slot = first + timedelta(seconds=interval_s) * (int(gone // 1) + 1)
            return slot if slot > after else slot + timedelta(seconds=interval_s)


def gap(schedule: Every | Cron, name: str, after: datetime, until: datetime) -> Gap | None:
    """The slots in (after, until], None if there are none."""
    match schedule:
        case Every(interval_s):
            if (first := next_slot(schedule, name, after)) > until:
                return None
            count = int((until - first) / timedelta(seconds=interval_s)) + 1
            return Gap(count, first, next_slot(schedule, name, until - timedelta(seconds=interval_s)))
        case Cron():
            found = stretch(schedule, after, until)
            return Gap(*found) if found is not None else None


def interval_s(schedule: Every | Cron, now: datetime) -> float:
    """The seconds from one slot to the next; for cron, the shortest of the next eight."""
    match schedule:
        case Every(seconds):
            return seconds
        case Cron():
            times = list(islice(instants(schedule, now), 9))
            return min((b - a).total_seconds() for a, b in pairwise(times))


def longest_interval_s(schedule: Every | Cron) -> float:
    """The most seconds from one slot to the next: over a weekend, for a journey of working days."""
    match schedule:
        case Every(seconds):
            return seconds
        case Cron(text):
            return longest_s(text)


def due(come: Gap, schedule: Every | Cron, name: str, now: datetime) -> Due:
    """Decide over the slots that one bell brought, at the instant `now`.

    The newest runs: at its slot, or at once when it is hardly late. Later than that it is caught up if it is still
    valid (a quarter of the interval, at most a minute), at an instant spread by name, so that ten thousand journeys
    do not start together when a frozen machine thaws.
    """
    newest, a_moment = come.last, timedelta(microseconds=1)
    older = gap(schedule, name, come.first - a_moment, newest - a_moment) if come.count > 1 else None
    late_s = (now - newest).total_seconds()
    if late_s <= ON_TIME_S:
        return Due(newest, max(newest, now), older)
    validity_s = min(interval_s(schedule, now) / 4, LONGEST_VALIDITY_S)
    if late_s <= validity_s:
        return Due(newest, now + timedelta(seconds=unit(f"late {name}") * 2 * validity_s), older)
    return Due(None, None, come)


def too_late(start: datetime, schedule: Every | Cron, now: datetime) -> bool:
    """Whether the instant that `due` set for a run has gone by while the machine stood still: by an interval, or by as
    long as any slot is valid."""
    late_s = (now - start).total_seconds()
    return late_s > ON_TIME_S and late_s > min(interval_s(schedule, start), LONGEST_VALIDITY_S)


def unit(name: str) -> float:
    """A number in [0, 1) that a name has on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64

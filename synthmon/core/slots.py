"""Who is due when: stable phases, spread starts, and what becomes of a slot whose bell rang late.

Every machine that knows a journey's name agrees on its slots, so nothing has to be negotiated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile

from synthmon.core.cron import instants
from synthmon.core.journey import Cron, Every

ON_TIME_S = 0.25  # a bell this late is still on time
LONGEST_VALIDITY_S = 60.0
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """What becomes of the due times a bell brought: at most one runs, from `start` on; the others are missed."""

    run: datetime | None
    start: datetime | None
    missed: Sequence[datetime]


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots that follow each other."""

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
    first = next_slot(schedule, name, after)
    if first > until:
        return None
    match schedule:
        case Every(interval_s):
            count = int((until - first) / timedelta(seconds=interval_s)) + 1
            return Gap(count, first, next_slot(schedule, name, until - timedelta(seconds=interval_s)))
        case Cron():
            slots = list(takewhile(lambda instant: instant <= until, instants(schedule, after)))
            return Gap(len(slots), first, slots[-1])


def interval_s(schedule: Every | Cron, now: datetime) -> float:
    """The seconds from one slot to the next; for cron, the shortest of the next eight."""
    match schedule:
        case Every(seconds):
            return seconds
        case Cron():
            times = list(islice(instants(schedule, now), 9))
            return min((b - a).total_seconds() for a, b in pairwise(times))


def due(times: Sequence[datetime], now: datetime, name: str, every_s: float) -> Due:
    """Decide over the due times of one bell, oldest first, at the instant `now`.

    The newest runs: at its slot, or at once when it is hardly late. Later than that it is caught up if it is still
    valid (a quarter of the interval, at most a minute), at an instant spread by name, so that ten thousand journeys
    do not start together when a frozen machine thaws.
    """
    *older, newest = times
    late_s = (now - newest).total_seconds()
    validity_s = min(every_s / 4, LONGEST_VALIDITY_S)
    if late_s <= ON_TIME_S:
        return Due(newest, max(newest, now), older)
    if late_s <= validity_s:
        return Due(newest, now + timedelta(seconds=unit(f"late {name}") * 2 * validity_s), older)
    return Due(None, None, times)


def unit(name: str) -> float:
    """A number in [0, 1) that a name has on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64

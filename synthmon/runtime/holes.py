"""What a daemon finds when it starts: slots that a dead process had claimed, and slots that nobody was there for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from synthmon.core.history import History
from synthmon.core.intents import Claim, Journal
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import LONGEST_VALIDITY_S, gap

START_AND_END_S = 2 * LONGEST_VALIDITY_S + 60.0  # the latest start after a claim, and clean-up after the deadline
UNKNOWN_DEADLINE_S = 3600.0  # of a journey that is not loaded any more

Closed = tuple[Claim, Record]
"""A claim that nobody closed, and the record that closes it."""


async def find_holes(
    journeys: Mapping[str, Journey], journal: Journal, history: History, location: str, now: datetime, alone: bool
) -> tuple[Sequence[Closed], Sequence[Record]]:
    """(claims of the dead, one record for each journey's gap). Not `alone`, a claim may be of a process that lives.

    A claimed slot was at least prepared: its run is unknown (interrupted), since what it did cannot be told; a slot
    that had not come yet when the process ended is missed (prepared). Everything between the last slot remembered and
    now is missed (down), as one record that stands for all of them.
    """
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    last_slots = dict(await history.last_slots())  # after the claims: who lives may have closed some meanwhile
    closed = [_close(claim, journeys, now) for claim in claims if alone or _is_over(claim, journeys, now)]
    for claim in claims:
        key = (claim.journey, claim.location)
        last_slots[key] = max(claim.slot, last_slots.get(key, claim.slot))
    gaps = (_gap(journey, last_slots.get((journey.name, location)), location, now) for journey in journeys.values())
    return closed, [gap for gap in gaps if gap is not None]


async def find_given_up(
    journeys: Mapping[str, Journey], journal: Journal, location: str, before: datetime, now: datetime
) -> Sequence[Closed]:
    """Claims made `before` an instant by another process, so long ago that it must be dead."""
    claims = [claim for claim in await journal.unrecorded() if claim.location == location and claim.at < before]
    return [_close(claim, journeys, now) for claim in claims if _is_over(claim, journeys, now)]


def _is_over(claim: Claim, journeys: Mapping[str, Journey], now: datetime) -> bool:
    """Whether its run must have ended: it waits at most a deadline for a place, and then runs for one."""
    journey = journeys.get(claim.journey)
    deadline_s = journey.deadline_s if journey else UNKNOWN_DEADLINE_S
    return now > max(claim.slot, claim.at) + timedelta(seconds=2 * deadline_s + START_AND_END_S)


def _close(claim: Claim, journeys: Mapping[str, Journey], now: datetime) -> Closed:
    return claim, _closed(claim, journeys.get(claim.journey), now)


def _closed(claim: Claim, journey: Journey | None, now: datetime) -> Record:
    record = Record(
        journey=claim.journey,
        slot=claim.slot,
        outcome=Outcome.UNKNOWN,
        reason=Reason.INTERRUPTED,
        run_id=claim.run_id,
        version=journey.digest if journey else "",
        location=claim.location,
        started=claim.slot,
        ended=now,
        message="the process ended before the run did",
    )
    if claim.slot <= now:
        return record
    said = "the process ended before the slot came"
    return replace(record, outcome=Outcome.MISSED, reason=Reason.PREPARED, run_id="", started=None, message=said)


def _gap(journey: Journey, last: datetime | None, location: str, now: datetime) -> Record | None:
    if last is None or last >= now:
        return None
    missed = gap(journey.schedule, journey.name, last, now)
    if missed is None:
        return None
    said = f"synthmon was not running from {missed.first:%Y-%m-%d %H:%M:%S} UTC on: {missed.count} slots"
    return Record(  # at the last slot of the gap, so that the next start counts from there
        journey.name,
        missed.last,
        Outcome.MISSED,
        Reason.DOWN,
        location=location,
        message=said,
        slots=missed.count,
        ended=now,
    )

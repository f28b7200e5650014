"""What a daemon finds when it starts: slots that a dead process had claimed, and slots that nobody was there for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from synthmon.core.history import History
from synthmon.core.intents import Claim, Journal
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import gap


async def find_holes(
    journeys: Mapping[str, Journey], journal: Journal, history: History, location: str, now: datetime
) -> tuple[Sequence[tuple[Claim, Record]], Sequence[Record]]:
    """(claims nobody closed, with the record that closes each; one record for each journey's gap).

    A claimed slot was at least prepared: its run is unknown (interrupted), since what it did cannot be told; a slot
    that had not come yet when the process ended is missed (prepared). Everything between the last slot remembered and
    now is missed (down), as one record that stands for all of them.
    """
    last_slots = dict(await history.last_slots())
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    closed = [(claim, _closed(claim, journeys.get(claim.journey), now)) for claim in claims]
    for claim in claims:
        key = (claim.journey, claim.location)
        last_slots[key] = max(claim.slot, last_slots.get(key, claim.slot))
    gaps = (_gap(journey, last_slots.get((journey.name, location)), location, now) for journey in journeys.values())
    return closed, [gap for gap in gaps if gap is not None]


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

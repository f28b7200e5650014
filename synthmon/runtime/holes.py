"""What a daemon finds when it starts: slots that a dead process had claimed, and slots that nobody was there for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import gap
from synthmon.core.undo.intents import Claim, Journal, Whose
from synthmon.runtime.gaps import Closed, Missed, claim_gaps


async def close_holes(
    journeys: Mapping[str, Journey], journal: Journal, history: History, location: str, now: datetime
) -> tuple[Sequence[Closed], Sequence[Closed]]:
    """(claims of the dead, each journey's gap up to `now`), to be kept by the caller before its bell rings.

    A claimed slot was at least prepared: its run is unknown (interrupted), since what it did cannot be told; a slot
    that had not come yet when the process ended is missed (prepared). Everything between the last slot remembered or
    claimed and now is missed (down); of several daemons that start at once, one has it.
    """
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    last_slots = dict(await history.last_slots())  # after the claims: who lives may have closed some meanwhile
    for claim in claims:
        key = (claim.journey, claim.location)
        last_slots[key] = max(claim.slot, last_slots.get(key, claim.slot))
    closed = [_close(claim, journeys, now) for claim in claims if claim.whose is not Whose.ANOTHERS]
    missed = [
        Missed(journey, found, Reason.DOWN, location, now)
        for journey in journeys.values()
        if (last := last_slots.get((journey.name, location))) is not None and last < now
        if (found := gap(journey.schedule, journey.name, last, now)) is not None
    ]
    return closed, await claim_gaps(missed, journal)


async def close_the_deads(
    journeys: Mapping[str, Journey], journal: Journal, location: str, now: datetime
) -> Sequence[Closed]:
    """Claims of processes that have died meanwhile."""
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    return [_close(claim, journeys, now) for claim in claims if claim.whose is Whose.NOBODYS]


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
    if claim.run_id and claim.slot <= now:
        return record
    if claim.run_id:
        said, reason, slots = "the process ended before the slot came", Reason.PREPARED, 1
    else:
        said, reason, slots = "the process ended before it told this", Reason.DOWN, _count(claim, journey)
    return replace(record, outcome=Outcome.MISSED, reason=reason, run_id="", started=None, message=said, slots=slots)


def _count(claim: Claim, journey: Journey | None) -> int:
    """The slots that a claim stands for. Of a journey that is gone only their ends are known."""
    first = claim.first or claim.slot
    if journey is not None:
        found = gap(journey.schedule, journey.name, first - timedelta(microseconds=1), claim.slot)
        if found is not None:
            return found.count
    return len({first, claim.slot})

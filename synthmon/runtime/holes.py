"""What a daemon finds when it starts: slots that a dead process had claimed, and slots that nobody was there for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Gap, gap, next_slot
from synthmon.core.undo.intents import Claim, Journal, Whose

RIVALS_S = 60.0  # a slot older than this, not claimed when we looked, is claimed by nobody else who starts beside us

Closed = tuple[Sequence[Claim], Record]
"""Claims of ours or of the dead, and the record that closes them."""


async def close_holes(
    journeys: Mapping[str, Journey], journal: Journal, history: History, location: str, now: datetime
) -> tuple[Sequence[Closed], Sequence[Closed]]:
    """(claims of the dead, each journey's gap up to `now`), to be kept by the caller before its bell rings.

    A claimed slot was at least prepared: its run is unknown (interrupted), since what it did cannot be told; a slot
    that had not come yet when the process ended is missed (prepared). Everything between the last slot remembered and
    now is missed (down), as one record that stands for all of them; of several daemons that start at once, one has it.
    """
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    last_slots = dict(await history.last_slots())  # after the claims: who lives may have closed some meanwhile
    for claim in claims:
        key = (claim.journey, claim.location)
        if claim.run_id or claim.whose is Whose.ANOTHERS:
            last_slots[key] = max(claim.slot, last_slots.get(key, claim.slot))
    dead = [claim for claim in claims if claim.whose is not Whose.ANOTHERS]
    # Of a gap that a dead process took and could not tell: it is part of the one that we find.
    untold = [claim for claim in dead if claim.slot > last_slots.get((claim.journey, location), claim.slot)]
    closed = [_close(claim, journeys, now) for claim in dead if claim not in untold]
    downs = [
        _Down(journey, missed, location, now)
        for journey in journeys.values()
        if (last := last_slots.get((journey.name, location))) is not None and last < now
        if (missed := gap(journey.schedule, journey.name, last, now)) is not None
    ]
    return closed, await _claim_gaps(downs, untold, journal)


async def close_the_deads(
    journeys: Mapping[str, Journey], journal: Journal, location: str, now: datetime
) -> Sequence[Closed]:
    """Claims of processes that have died meanwhile."""
    claims = [claim for claim in await journal.unrecorded() if claim.location == location]
    return [_close(claim, journeys, now) for claim in claims if claim.whose is Whose.NOBODYS]


def _close(claim: Claim, journeys: Mapping[str, Journey], now: datetime) -> Closed:
    return [claim], _closed(claim, journeys.get(claim.journey), now)


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
    said = "the process ended before the slot came" if claim.run_id else "the process ended before it told this"
    reason = Reason.PREPARED if claim.run_id else Reason.DOWN
    return replace(record, outcome=Outcome.MISSED, reason=reason, run_id="", started=None, message=said)


@dataclass(frozen=True, slots=True)
class _Down:
    """The slots of a journey that nobody was there for."""

    journey: Journey
    missed: Gap
    location: str
    now: datetime

    def claims(self) -> Sequence[Claim]:
        """The first slot stands for those that are long gone; who starts beside us may be about to run the others."""
        slots = [self.missed.first]
        schedule, name = self.journey.schedule, self.journey.name
        slot = next_slot(schedule, name, max(self.missed.first, self.now - timedelta(seconds=RIVALS_S)))
        while slot <= self.missed.last:
            slots.append(slot)
            slot = next_slot(schedule, name, slot)
        return [Claim(name, slot, self.location, "", self.now) for slot in slots]

    def record(self, slot: datetime, count: int) -> Record:
        said = f"synthmon was not running from {self.missed.first:%Y-%m-%d %H:%M:%S} UTC on: {count} slots"
        return Record(  # at the last slot of the gap, so that the next start counts from there
            self.journey.name,
            slot,
            Outcome.MISSED,
            Reason.DOWN,
            location=self.location,
            message=said,
            slots=count,
            ended=self.now,
        )


async def _claim_gaps(downs: Sequence[_Down], untold: Sequence[Claim], journal: Journal) -> Sequence[Closed]:
    wanted = [down.claims() for down in downs]
    taken = iter(await journal.claim_each([claim for claims in wanted for claim in claims]))
    closed = []
    for down, claims in zip(downs, wanted, strict=True):
        adopted = {claim.slot: claim for claim in untold if claim.journey == down.journey.name}
        ours = [claim for claim in claims if next(taken) or claim.slot in adopted]
        if not ours:
            continue
        # Without the first slot another daemon tells the gap, up to the instant at which it began.
        count = down.missed.count - len(claims) + len(ours) if claims[0] in ours else len(ours)
        closed.append(([*ours, *adopted.values()], down.record(ours[-1].slot, count)))
    return closed

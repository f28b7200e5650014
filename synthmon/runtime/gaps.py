"""Slots of a journey that had no run, told as one record from the first to the last, however many they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Gap, gap
from synthmon.core.undo.intents import Claim, Journal

Closed = tuple[Claim, Record]
"""A claim of ours or of the dead, and the record that closes it."""

_SAID = {
    Reason.DOWN: "synthmon was not running",
    Reason.LATE_BELL: "synthmon stood still, or its clock was set,",
}


@dataclass(frozen=True, slots=True)
class Missed:
    """A gap in the slots of a journey, found at the instant `now`, and why there is one: `DOWN` or `LATE_BELL`."""

    journey: Journey
    gap: Gap
    reason: Reason
    location: str
    now: datetime

    def claim(self) -> Claim:
        return Claim(self.journey.name, self.gap.last, self.location, "", self.now, first=self.gap.first)

    def record(self) -> Record:
        """At the last slot of the gap, so that the next start counts from there."""
        slots = f"{self.gap.count} slots" if self.gap.count > 1 else "one slot"
        return Record(
            self.journey.name,
            self.gap.last,
            Outcome.MISSED,
            self.reason,
            location=self.location,
            message=f"{_SAID[self.reason]} from {self.gap.first:%Y-%m-%d %H:%M:%S} UTC on: {slots}",
            slots=self.gap.count,
            ended=self.now,
        )


async def claim_gaps(missed: Sequence[Missed], journal: Journal) -> Sequence[Closed]:
    """What nobody else has taken of them, claimed, to be kept by the caller before it claims later slots.

    Another daemon that has a slot of a gap has told all before it, or will: the slots after its newest are left to us.
    Raises `OSError` when the journal cannot be written.
    """
    closed: list[Closed] = []
    while missed:
        claims = [one.claim() for one in missed]
        left = []
        for one, claim, taken in zip(missed, claims, await journal.claim_gaps(claims), strict=True):
            if taken is None:
                closed.append((claim, one.record()))
            elif (rest := gap(one.journey.schedule, one.journey.name, taken, one.gap.last)) is not None:
                left.append(replace(one, gap=rest))
        missed = left
    return closed

"""What the bell rang too late for, gathered and told together: after a standstill it is slots of all journeys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from weakref import WeakValueDictionary

from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Gap
from synthmon.core.undo.intents import Journal
from synthmon.runtime.gaps import Missed, claim_gaps
from synthmon.runtime.instants import Clock
from synthmon.runtime.keeping import Keeping, Kept

AT_ONCE = 500  # gaps that are claimed and stored together


class Late:
    """Of one journey after the other: a slot waits until the gap before it is told (`told_before`).

    Otherwise who found the slot in the journal would take the gap for told, and if we died now it never would be.
    """

    def __init__(self, journal: Journal, keeping: Keeping, clock: Clock, scheduled: Callable[[int], None]) -> None:
        self._journal, self._keeping, self._clock, self._scheduled = journal, keeping, clock, scheduled
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by journey
        self._waiting: dict[str, Missed] = {}  # by journey, the oldest first
        self._writing = asyncio.Lock()

    async def told_before(self, journey: Journey) -> None:
        """Wait for a gap of this journey, if one is being told."""
        async with self._turn(journey):
            return

    async def tell(self, journey: Journey, missed: Gap, location: str) -> None:
        """Claim and keep what nobody else tells of a gap; returns when that is done."""
        async with self._turn(journey):
            self._waiting[journey.name] = Missed(journey, missed, Reason.LATE_BELL, location, self._clock.now())
            async with self._writing:
                if journey.name in self._waiting:  # else who was here before us took it along
                    await asyncio.sleep(0)  # until all are here whose bell rang with ours
                    await self._tell([self._waiting.pop(name) for name in list(islice(self._waiting, AT_ONCE))])

    async def _tell(self, missed: Sequence[Missed]) -> None:
        journeys = {one.journey.name: one.journey for one in missed}
        kept: Sequence[Kept]
        try:
            closed = await claim_gaps(missed, self._journal)
            kept = [(record, journeys[record.journey], claim) for claim, record in closed]
        except OSError as error:
            kept = [(_unclaimed(one, error), one.journey, None) for one in missed]
        self._scheduled(sum(record.slots for record, _, _ in kept))
        await self._keeping.keep_each(kept)

    def _turn(self, journey: Journey) -> asyncio.Lock:
        return self._turns.setdefault(journey.name, asyncio.Lock())


def _unclaimed(missed: Missed, error: OSError) -> Record:
    """So nobody can say whether another daemon had some of the slots."""
    told = missed.record()
    said = f"{told.message}; and the journal cannot be written: {error}"
    return replace(told, outcome=Outcome.UNKNOWN, reason=Reason.JOURNAL_UNWRITABLE, message=said)

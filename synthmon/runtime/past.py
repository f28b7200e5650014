"""Takes up what was before: the records that a page and its counters remember, and the slots that nobody told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from synthmon.core.journey import Journey
from synthmon.metrics.board import Board
from synthmon.runtime.desk import RECENT_IN_ALL, Desk
from synthmon.runtime.gaps import Closed
from synthmon.runtime.holes import close_holes, close_the_deads
from synthmon.runtime.house import House
from synthmon.runtime.late import AT_ONCE
from synthmon.runtime.runner import Runner

BURY_EVERY_S = 15.0

_log = structlog.get_logger(__name__)


class Past:
    """Of the journeys that are loaded now."""

    def __init__(self, house: House, runner: Runner, journeys: Callable[[], Mapping[str, Journey]]) -> None:
        self._house, self._runner, self._journeys = house, runner, journeys

    async def remember(self, desk: Desk, board: Board) -> None:
        """Tell the last records to whoever shows them."""
        journeys = self._journeys()
        records = await self._house.history.recent(limit=min(RECENT_IN_ALL, 60 * max(1, len(journeys))))
        oldest_first = list(reversed(records))
        desk.remember(oldest_first)
        for record in oldest_first:
            if (journey := journeys.get(record.journey)) is not None:
                board.recall(record, journey)

    async def close_holes(self, until: datetime) -> None:
        """Close the slots that a dead process had claimed, and those up to an instant that nobody was there for."""
        location = self._runner.lent.settings.location
        closed, gaps = await close_holes(self._journeys(), self._house.journal, self._house.history, location, until)
        await self._keep(closed)
        self._runner.scheduled(sum(gap.slots for _, gap in gaps))
        await self._keep(gaps)

    async def bury(self) -> None:
        """Close what was claimed by another process that has died since; as long as the daemon lives."""
        while True:
            await asyncio.sleep(BURY_EVERY_S)
            location, now = self._runner.lent.settings.location, self._house.clock.now()
            try:
                await self._keep(await close_the_deads(self._journeys(), self._house.journal, location, now))
            except OSError as error:
                _log.warning("claims of a dead process cannot be closed", fault=str(error))

    async def _keep(self, closed: Sequence[Closed]) -> None:
        for start in range(0, len(closed), AT_ONCE):
            journeys, some = self._journeys(), closed[start : start + AT_ONCE]
            if gone := [one for one in some if one[1].journey not in journeys]:
                await self._house.history.save([record for _, record in gone])
                await self._house.journal.release([claim for claim, _ in gone])
            await self._runner.keep_each(
                [(record, journeys[record.journey], claim) for claim, record in some if record.journey in journeys]
            )

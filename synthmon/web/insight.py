"""What many runs say together: read from history, and computed beside the loop, one question at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from synthmon.core.finding.compare import Comparison, compare
from synthmon.core.finding.investigation import Investigation, investigate
from synthmon.core.finding.peers import (
    BAD,
    GOOD,
    GOOD_RUNS,
    MOST_BAD,
    MOST_GOOD,
    Peers,
    Ranking,
    clocks_of,
    peers,
    rank,
)
from synthmon.core.history import History
from synthmon.core.run import Record
from synthmon.core.sources import DEFAULT_SKEW_S
from synthmon.core.status import Monitor

MOST_WAITING = 8


class Crowded(Exception):
    """So many ask already that one more would only wait: ask again soon."""


class Insight:
    """Answers one question after the other: each reads up to some hundred whole runs, and takes up to some hundred
    milliseconds in a thread. Past eight that wait it raises `Crowded`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def investigate(self, record: Record, good: int = GOOD_RUNS, skew_s: float = DEFAULT_SKEW_S) -> Investigation:
        """Look into a run, beside so many good ones."""
        async with self._my_turn():
            known = await self._known(record, good)
            return await asyncio.to_thread(_investigate, record, known, skew_s)

    async def compare(
        self, record: Record, good: int = GOOD_RUNS, skew_s: float = DEFAULT_SKEW_S
    ) -> tuple[Comparison, str]:
        """A run against so many good ones, and of which version they are."""
        async with self._my_turn():
            known = await self._known(record, good)
            return await asyncio.to_thread(_compare, record, known, skew_s), known.of

    async def compare_two(self, record: Record, other: Record, skew_s: float = DEFAULT_SKEW_S) -> Comparison:
        """A run against another."""
        async with self._my_turn():
            return await asyncio.to_thread(_compare, record, Peers((other,)), skew_s)

    async def rank(self, journey: str, version: str = "", skew_s: float = DEFAULT_SKEW_S) -> Ranking:
        """The suspects of a journey; without a version, of that of its newest run."""
        async with self._my_turn():
            good = await self._history.told(journey, GOOD, MOST_GOOD)
            bad = await self._history.told(journey, BAD, MOST_BAD)
            newest = max((*good[:1], *bad[:1]), key=lambda record: record.slot, default=None)
            known = peers(good, bad, version or (newest.version if newest else ""))
            return await asyncio.to_thread(_rank, journey, known, skew_s)

    async def _known(self, record: Record, most: int) -> Peers:
        good = await self._history.told(record.journey, GOOD, most + 1)  # one of them may be the run itself
        bad = await self._history.told(record.journey, BAD, MOST_BAD)
        return peers(good, bad, record.version, record.run_id, most)

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise Crowded("others ask already; ask again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                yield
        finally:
            self._waiting -= 1


def _investigate(record: Record, known: Peers, skew_s: float) -> Investigation:
    return investigate(record, known, clocks_of((record, *known.good, *known.bad), skew_s))


def _compare(record: Record, known: Peers, skew_s: float) -> Comparison:
    return compare(record, known.good, clocks_of((record, *known.good), skew_s))


def _rank(journey: str, known: Peers, skew_s: float) -> Ranking:
    return rank(journey, known, clocks_of((*known.good, *known.bad), skew_s))


def skew_of(monitor: Monitor, journey: str) -> float:
    """How far the clocks of a journey's sources may be apart while nothing better is known, in seconds."""
    status = monitor.journey(journey)
    sources = status.journey.promises.sources if status is not None else ()
    return max((source.skew_s for source in sources), default=DEFAULT_SKEW_S)

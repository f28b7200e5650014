"""What a daemon learns from runs that are over: how far clocks of systems are apart, and which order is normal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from synthmon.core.finding.happened import happened
from synthmon.core.finding.normal import Normal
from synthmon.core.finding.predicates import orders
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome
from synthmon.core.run import ODD_ORDER, Record
from synthmon.core.sequence.clocks import Clocks, Orders
from synthmon.core.sequence.offsets import RUNS, Offsets
from synthmon.core.sequence.sightings import Least, least
from synthmon.core.transact.gather import assuming

MOST_LOOKED_AT = 500  # records of one run, in order of time
MOST_NOTES = 5
READ_AT_ONCE = 20  # runs
READ_EVIDENCE = 1_000  # records in one reading: more of them together would hold the loop when memory is tidied
BREATH_S = 0.02  # between two readings, for the runs that are going on

_log = structlog.get_logger(__name__)

_Where = tuple[frozenset[str], str]
"""Whose clocks are the same: the sources of evidence, and the system of the journey."""


@dataclass(slots=True)
class _Clocks:
    """What is known of some clocks; `early` is what came while history was still being read."""

    unread: set[str]  # journeys whose history is yet to be read
    offsets: Offsets = field(default_factory=Offsets)
    recalled: list[tuple[datetime, Least]] = field(default_factory=list)
    early: deque[Least] = field(default_factory=lambda: deque(maxlen=RUNS))

    def take(self, run: Least) -> None:
        if self.unread:
            self.early.append(run)
        else:
            self.offsets.learn(run)

    def recall(self, runs: Iterable[tuple[datetime, Least]]) -> None:
        """Runs of before, the newest of which count."""
        self.recalled = sorted((*self.recalled, *runs), key=lambda one: one[0])[-RUNS:]

    def read(self, *names: str) -> None:
        """The history of these journeys is read; when all is, it is learnt in order of time."""
        self.unread.difference_update(names)
        if not self.unread:
            for run in (*(run for _, run in self.recalled), *self.early):
                self.offsets.learn(run)
            self.recalled.clear()
            self.early.clear()


class Learning:
    """Learns from each run that is over, and from those that history remembers. `location`: the daemon's own.

    Everything is in memory and bounded by the journeys that are loaded: the last 200 runs of each, at most 60 names.
    """

    def __init__(self, location: Callable[[], str]) -> None:
        self._location = location
        self._journeys: dict[str, Journey] = {}
        self._clocks: dict[_Where, _Clocks] = {}
        self._normal: dict[str, Normal] = {}
        self._orders: dict[str, tuple[Clocks, Journey, Orders]] = {}  # for as long as these clocks hold
        self._unread: set[str] = set()
        self._news = asyncio.Event()

    def load(self, journeys: Iterable[Journey]) -> None:
        """The journeys that there are now; a changed one begins anew with what history has of its version."""
        before = {name: journey.digest for name, journey in self._journeys.items()}
        self._journeys = {journey.name: journey for journey in journeys if journey.promises.sources}
        changed = {name for name, journey in self._journeys.items() if before.get(name) != journey.digest}
        self._normal = {
            name: Normal() if name in changed or name not in self._normal else self._normal[name]
            for name in self._journeys
        }
        self._orders = {name: self._orders[name] for name in self._orders.keys() & self._journeys.keys() - changed}
        together: dict[_Where, set[str]] = {}
        for name, journey in self._journeys.items():
            together.setdefault(_where(journey), set()).add(name)
        self._clocks = {where: self._clocks.get(where) or _Clocks(set(names)) for where, names in together.items()}
        for where, known in self._clocks.items():
            known.read(*(known.unread - together[where]))
        self._unread = (self._unread | changed) & self._journeys.keys()
        if self._unread:
            self._news.set()

    def clocks(self, journey: Journey) -> Clocks:
        """What is known of the clocks of the systems that a journey hears of."""
        known = self._clocks.get(_where(journey))
        return known.offsets.clocks if known is not None else Clocks()

    def take(self, record: Record, journey: Journey) -> Record:
        """Learn from a run that is over; answers its record, with a note if its order is odd.

        Of a replay nothing is learnt, for its order may have been forced.
        """
        if not record.evidence or record.cause == "replay" or journey.name not in self._journeys:
            return record
        seen = _looked_at(record)
        run = happened(seen)
        told = orders(run, self._orders_of(journey))
        if (known := self._clocks.get(_where(journey))) is not None:
            known.take(least(seen))
        normal = self._normal[journey.name]
        odd = normal.odd(told)
        if record.outcome is Outcome.PASSED:
            normal.learn(run, told)
        notes = tuple(f"{ODD_ORDER}{predicate.said}" for predicate in odd[:MOST_NOTES])
        return replace(record, notes=(*record.notes, *notes)) if notes else record

    def _orders_of(self, journey: Journey) -> Orders:
        learnt = self.clocks(journey)
        known = self._orders.get(journey.name)
        if known is None or known[0] is not learnt or known[1] is not journey:
            known = self._orders[journey.name] = learnt, journey, Orders(assuming(learnt, journey))
        return known[2]

    async def recall(self, history: History) -> None:
        """Learn from what history remembers, one journey after the other; for as long as the daemon lives."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._unread:
                journey = self._journeys[self._unread.pop()]
                known, normal = self._clocks[_where(journey)], self._normal[journey.name]
                await self._recall(history, journey, known, normal)
                known.read(journey.name)

    async def _recall(self, history: History, journey: Journey, known: _Clocks, normal: Normal) -> None:
        before, looked_at, limit = None, 0, 1
        while looked_at < RUNS:
            try:
                records = await history.told(journey.name, limit=limit, before=before)
            except (OSError, ValueError) as error:
                _log.warning("nothing is learnt from earlier runs", journey=journey.name, fault=str(error))
                break
            if not records:
                break
            for record in [one for one in records if one.cause != "replay"]:
                seen = _looked_at(record)
                if journey.name in known.unread and record.location == self._location():
                    known.recall([(record.slot, least(seen))])
                if record.outcome is Outcome.PASSED and record.version == journey.digest and record.evidence:
                    run = happened(seen)
                    normal.learn(run, orders(run, Orders(assuming(known.offsets.clocks, journey))))
                await asyncio.sleep(0)
            looked_at += len(records)
            before = records[-1].slot
            limit = min(READ_AT_ONCE, READ_EVIDENCE // (1 + max(len(record.evidence) for record in records)) + 1)
            await asyncio.sleep(BREATH_S)


def _where(journey: Journey) -> _Where:
    return frozenset(source.name for source in journey.promises.sources), journey.system


def _looked_at(record: Record) -> Record:
    if len(record.evidence) <= MOST_LOOKED_AT:
        return record
    return replace(record, evidence=record.evidence[:MOST_LOOKED_AT])

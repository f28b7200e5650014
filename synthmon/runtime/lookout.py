"""Sees in a journal which runs are over and what they owe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from synthmon.core.journey import Journey
from synthmon.core.undo.intents import Journal, Opened, OpenRun, Whose
from synthmon.core.undo.owed import OpenDebt, head_of, open_debts
from synthmon.language.kinds import Kinds
from synthmon.language.revive import revive
from synthmon.language.settings import Settings
from synthmon.runtime.instants import Clock
from synthmon.runtime.lent import CLEAN_UP_S

UNREADABLE_DEADLINE_S = 3600.0  # of a run whose journey cannot be read any more

FindVersion = Callable[[str, str], Awaitable[Journey | None]]
"""(version, name) → the journey of that version; None when it cannot be made any more."""


@dataclass(frozen=True, slots=True)
class Left:
    """A run that is over, the journey as it was then (None: nobody knows it any more), and its open debts."""

    run: OpenRun
    head: Opened
    journey: Journey | None
    debts: tuple[OpenDebt, ...]


class Lookout:
    """Remembers what it saw, so that a look costs little. `live` knows the runs of this process.

    A run is over when its process is dead, or when it has ended here. With `others` those count too that a process
    which lives has left open long past their deadline: for who only looks, since that process repays them.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        journal: Journal,
        clock: Clock,
        find: FindVersion,
        live: Callable[[str], bool],
        others: bool = False,
    ) -> None:
        self._settings, self._journal, self._clock, self._find, self._live = settings, journal, clock, find, live
        self._others = others
        self._ended: set[str] = set()
        self._left: dict[str, Left] = {}
        self._found: dict[tuple[str, str], Journey | None] = {}
        self._found_under: Settings | None = None  # the settings that these journeys were made with

    def take_over(self, run_id: str) -> None:
        """A run has ended here, or was taken over from a dead process."""
        self._ended.add(run_id)

    async def look(self) -> Mapping[str, Left]:
        """The runs with debts that are over, by id. Raises `OSError` when the journal cannot be read."""
        open_runs = {run.run_id: run for run in await self._journal.open_runs()}
        self._ended &= open_runs.keys()
        left: dict[str, Left] = {}
        for run_id, run in open_runs.items():
            head = head_of(run)
            if head is None or self._live(run_id):
                continue
            journey = await self._journey(head.version, head.journey)
            if self._is_over(run, head, journey):
                left[run_id] = self._tell(run, head, journey)
        self._left = left
        return left

    def _is_over(self, run: OpenRun, head: Opened, journey: Journey | None) -> bool:
        if run.whose is Whose.NOBODYS or run.run_id in self._ended:
            return True
        if run.whose is Whose.ANOTHERS and not self._others:
            return False
        deadline_s = journey.deadline_s if journey else UNREADABLE_DEADLINE_S
        return self._clock.now() > head.started + timedelta(seconds=deadline_s + 2 * CLEAN_UP_S)

    def _tell(self, run: OpenRun, head: Opened, journey: Journey | None) -> Left:
        before = self._left.get(run.run_id)
        if before is not None and len(before.run.entries) == len(run.entries) and before.journey is journey:
            return before
        return Left(run, head, journey, tuple(open_debts(run, journey, self._settings().secrets)))

    async def _journey(self, version: str, name: str) -> Journey | None:
        settings = self._settings()
        if self._found_under is not settings:
            self._found_under, self._found = settings, {}
        if (version, name) not in self._found:
            self._found[version, name] = await self._find(version, name)
        return self._found[version, name]


def find_in(journal: Journal, settings: Settings, forms: Kinds) -> FindVersion:
    """Finds journeys in the texts that the journal keeps, for a command that has loaded no probes."""

    async def find(version: str, name: str) -> Journey | None:
        kept = await journal.text(version)
        return revive(kept, name, settings, forms) if kept is not None else None

    return find

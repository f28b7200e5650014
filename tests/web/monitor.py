"""A whole small `Monitor`: journeys from a list, records from memory; a run now is a record at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from synthmon.core.errors import Problem
from synthmon.core.journey import Journey
from synthmon.core.replaying import Replaying, Stand, Wish
from synthmon.core.run import Record
from synthmon.core.status import Busy, JourneyStatus, Reloaded
from synthmon.core.undo.debt_budget import DebtBudget
from synthmon.store.memory import MemoryHistory
from tests.metrics.some import NOON


@dataclass
class MemoryMonitor:
    """Holds what it was told; `run_now` hands out the ids of `ids` in turn."""

    loaded: list[Journey] = field(default_factory=list)
    problems: Sequence[Problem] = ()
    open_debts: Sequence[Mapping[str, Any]] = ()
    budget: DebtBudget = DebtBudget()
    is_ready: bool = True
    running: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    reloads: int = 0
    history: MemoryHistory = field(default_factory=MemoryHistory)
    kept: dict[str, list[Record]] = field(default_factory=dict)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    people: Sequence[Mapping[str, Any]] = ()
    refusal: Exception | None = None  # what a replay, or a question for identities, meets with
    wishes: list[tuple[Wish, bool]] = field(default_factory=list)
    replays: dict[str, Replaying] = field(default_factory=dict)

    async def keep(self, *records: Record) -> None:
        """Save records, oldest first."""
        for record in await self.history.save(records):
            bare = replace(record, steps=(), verify=(), undo=())
            self.kept.setdefault(record.journey, []).insert(0, bare)

    def journeys(self) -> Sequence[JourneyStatus]:
        return [self._status(journey) for journey in self.loaded]

    def journey(self, name: str) -> JourneyStatus | None:
        return next((self._status(journey) for journey in self.loaded if journey.name == name), None)

    async def run_now(self, name: str) -> str:
        if name in self.running:
            raise Busy(f"{name} is running already.")
        self.running.add(name)
        return "ab" * 16

    def pause(self, name: str | None) -> None:
        self.paused |= {journey.name for journey in self.loaded if name in (None, journey.name)}

    def resume(self, name: str | None) -> None:
        self.paused -= {journey.name for journey in self.loaded if name in (None, journey.name)}

    async def picture(self, name: str) -> bytes | None:
        return self.pictures.get(name)

    async def replay(self, wish: Wish, yes: bool) -> Replaying:
        self.wishes.append((wish, yes))
        if self.refusal is not None:
            raise self.refusal
        stands = Replaying(wish.run, Stand.RUNNING if yes else Stand.PLANNED, a_plan(wish))
        if yes:
            self.replays[wish.run] = stands
        return stands

    def replaying(self, run_id: str) -> Replaying | None:
        return self.replays.get(run_id)

    async def identities(self) -> Sequence[Mapping[str, Any]]:
        if self.refusal is not None:
            raise self.refusal
        return self.people

    async def reload(self) -> Reloaded:
        self.reloads += 1
        return Reloaded(["new"], [], ["old"], self.problems)

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        return self.is_ready, {"journeys": len(self.loaded), "oldest_heartbeat_s": 0.4}

    def debts(self) -> Sequence[Mapping[str, Any]]:
        return self.open_debts

    def debt_budget(self) -> DebtBudget:
        return self.budget

    def _status(self, journey: Journey) -> JourneyStatus:
        return JourneyStatus(
            journey,
            journey.name in self.paused,
            journey.name in self.running,
            lambda: NOON + timedelta(seconds=40),
            self.kept.get(journey.name, [])[:60],
        )


def a_plan(wish: Wish) -> Mapping[str, Any]:
    """A plan in words, of one run."""
    return {
        "replay_of": wish.run,
        "journey": "invoice-close",
        "version": "d" * 64,
        "systems": ["billing"],
        "writes": ["invoice"],
        "runs": ["as it was"] * (wish.times or 1),
        "same_keys": wish.same_keys,
        "notes": [],
        "lines": [f"replays run {wish.run}, once"],
    }

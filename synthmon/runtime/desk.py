"""The daemon as the page and the API see it (`core.status.Monitor`): journeys, their last runs, and a few switches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from synthmon.core.errors import Problem
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.replaying import Replaying, Wish
from synthmon.core.run import Record
from synthmon.core.status import JourneyStatus, Reloaded, Unavailable
from synthmon.core.undo.debt_budget import DebtBudget
from synthmon.identities.pools import Leases, LeasesUnavailable
from synthmon.runtime.arrears import Owing
from synthmon.runtime.replays import Replays
from synthmon.runtime.roster import tell_identities
from synthmon.runtime.runner import Runner
from synthmon.runtime.switch import Switch

MOST_RECENT, LEAST_RECENT, RECENT_IN_ALL = 60, 5, 30_000


class Desk:
    """Answers from memory; only `history` asks the store."""

    def __init__(
        self,
        history: History,
        runner: Runner,
        switch: Switch,
        next_slot: Callable[[str], datetime | None],
        reload: Callable[[], Awaitable[Reloaded]],
        debts: Callable[[], Sequence[Owing]],
        budget: Callable[[], DebtBudget],
        ready: Callable[[], tuple[bool, Mapping[str, Any]]],
        replays: Replays,
        leases: Leases,
    ) -> None:
        self._history, self._runner, self._switch = history, runner, switch
        self._next_slot, self._reload, self._ready = next_slot, reload, ready
        self._debts, self._budget = debts, budget
        self._replays, self._leases = replays, leases
        self._journeys: dict[str, Journey] = {}
        self._recent: dict[str, tuple[Record, ...]] = {}  # the newest first; a deque of five takes 760 bytes
        self._most_recent = MOST_RECENT
        self._problems: Sequence[Problem] = ()

    # told by the daemon ---------------------------------------------------------------------------------------------

    def show(self, journeys: Mapping[str, Journey], problems: Sequence[Problem]) -> None:
        """What is loaded now."""
        self._most_recent = most = max(LEAST_RECENT, min(MOST_RECENT, RECENT_IN_ALL // max(1, len(journeys))))
        self._recent = {name: self._recent.get(name, ())[:most] for name in journeys}
        self._journeys, self._problems = dict(journeys), problems

    def remember(self, records: Iterable[Record]) -> None:
        """Records, oldest first; only their heads are kept. A replay says nothing of how a journey stands."""
        for record in records:
            if record.cause != "replay" and (recent := self._recent.get(record.journey)) is not None:
                self._recent[record.journey] = (record.head(), *recent)[: self._most_recent]

    # asked by the page and the API ----------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        return self._history

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems

    def journeys(self) -> Iterable[JourneyStatus]:
        return map(self._status, self._journeys.values())

    def journey(self, name: str) -> JourneyStatus | None:
        found = self._journeys.get(name)
        return self._status(found) if found is not None else None

    async def run_now(self, name: str) -> str:
        if name not in self._journeys:
            raise LookupError(f"there is no journey named {name}")
        return self._runner.run_now(self._journeys[name])

    def pause(self, name: str | None) -> None:
        self._switch.pause(self._known(name))

    def resume(self, name: str | None) -> None:
        self._switch.resume(self._known(name))

    async def replay(self, wish: Wish, yes: bool) -> Replaying:
        return await self._replays.ask(wish, yes)

    def replaying(self, run_id: str) -> Replaying | None:
        return self._replays.standing(run_id)

    async def identities(self) -> Sequence[Mapping[str, Any]]:
        try:
            return await tell_identities(self._runner.lent.settings, self._leases, datetime.now(UTC))
        except LeasesUnavailable as error:
            raise Unavailable(str(error)) from error

    async def reload(self) -> Reloaded:
        return await self._reload()

    async def picture(self, name: str) -> bytes | None:
        return await self._runner.lent.pictures.read(name)

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        return self._ready()

    def debts(self) -> Sequence[Mapping[str, Any]]:
        now = datetime.now(UTC)
        return [owing.told(now) for owing in self._debts()]

    def debt_budget(self) -> DebtBudget:
        return self._budget()

    def _status(self, journey: Journey) -> JourneyStatus:
        name = journey.name
        return JourneyStatus(
            journey,
            self._switch.paused(name),
            self._runner.is_running(name),
            partial(self._next_slot, name),
            self._recent.get(name, ()),
        )

    def _known(self, name: str | None) -> str | None:
        if name is not None and name not in self._journeys:
            raise LookupError(f"there is no journey named {name}")
        return name

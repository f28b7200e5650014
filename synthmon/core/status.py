"""What the daemon tells about a journey, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from synthmon.core.errors import Problem
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.replaying import Replaying, Wish
from synthmon.core.run import Record
from synthmon.core.undo.debt_budget import DebtBudget


@dataclass(frozen=True, slots=True)
class JourneyStatus:
    """One journey as it stands. `recent` are the last records, newest first, without steps; at most 60."""

    journey: Journey
    paused: bool
    running: bool
    find_next_slot: Callable[[], datetime | None]
    recent: Sequence[Record]

    @property
    def next_slot(self) -> datetime | None:
        """When it is due next; found when it is asked for, as lists of thousands show sixty."""
        return self.find_next_slot()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload changed; journeys with problems keep their old version."""

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]
    problems: Sequence[Problem]


class Monitor(Protocol):
    """The daemon as the page and the API see it."""

    @property
    def history(self) -> History: ...

    @property
    def problems(self) -> Sequence[Problem]:
        """What was wrong with the files at the last load."""
        ...

    def journeys(self) -> Iterable[JourneyStatus]:
        """Each as it stands when it is come to: whoever walks over thousands lets the loop go in between."""
        ...

    def journey(self, name: str) -> JourneyStatus | None: ...

    async def run_now(self, name: str) -> str:
        """Start one run outside the schedule; answers its id. Raises `LookupError`, or `Busy` when one is running."""
        ...

    def pause(self, name: str | None) -> None:
        """Pause one journey, or all, what is under way included; survives a restart."""
        ...

    def resume(self, name: str | None) -> None:
        """Let one journey, or all, go on. Raises `Busy` while a file stops everything."""
        ...

    async def replay(self, wish: Wish, yes: bool) -> Replaying:
        """What a replay would send; with `yes` it begins. Raises `replaying.Refused`, or `order.CannotForce`."""
        ...

    def replaying(self, run_id: str) -> Replaying | None:
        """How the last replay of a run stands that was asked for here, by the whole id; None when there was none."""
        ...

    async def identities(self) -> Sequence[Mapping[str, Any]]:
        """Whom journeys act as, and who has which account now; no secret of any. Raises `Unavailable`."""
        ...

    async def reload(self) -> Reloaded: ...

    async def picture(self, name: str) -> bytes | None:
        """A picture of a page that a run kept, as PNG; None when there is none of this name."""
        ...

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        """Whether journeys run as they should, and the facts behind it (for `/readyz`)."""
        ...

    def debts(self) -> Sequence[Mapping[str, Any]]:
        """Open debts, oldest first: id, journey, run, step, system, since, tries, by_hand, …"""
        ...

    def debt_budget(self) -> DebtBudget:
        """How many debts are open and how many may be."""
        ...


class Unavailable(Exception):
    """What has to be asked does not answer now; the message says what."""


class Busy(Exception):
    """The journey is running already, or no place is free."""

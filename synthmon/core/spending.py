"""How much of a system has been used: runs an hour, things made a day, counted before they happen.

The windows slide, in pieces: an hour in minutes, a day in quarters of an hour. What counts is everything in the last 60
minutes (96 quarters), the one that is going on included. So no hour that begins with a minute, and no day that begins
with a quarter, sees more than its budget, and a schedule that just fits is never refused. A run counts at its slot,
not at the instant at which it came to start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from synthmon.core.journey import Journey, Step
from synthmon.core.system import System


class Use(StrEnum):
    """What there are budgets for."""

    RUNS = "runs"
    CREATES = "creates"
    REPLAYS = "replays"  # of all systems together


PIECE_S = {Use.RUNS: 60, Use.CREATES: 900, Use.REPLAYS: 60}
PIECES = {Use.RUNS: 60, Use.CREATES: 96, Use.REPLAYS: 60}


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much of one use of a system in its window."""

    system: str
    use: Use
    most: int

    def __str__(self) -> str:
        """`120 runs an hour of shop`."""
        if self.use is Use.REPLAYS:
            return f"{self.most} replays an hour"
        words = "runs an hour" if self.use is Use.RUNS else "things made a day"
        return f"{self.most} {words} of {self.system}"

    def piece(self, at: datetime) -> int:
        """The number of the piece of time in which an instant lies."""
        return int(at.timestamp() // PIECE_S[self.use])

    def first(self, at: datetime) -> int:
        """The oldest piece that still counts then; younger ones than that of `at` count as well."""
        return self.piece(at) - PIECES[self.use] + 1


@dataclass(frozen=True, slots=True)
class Spend:
    """So much more of a budget."""

    budget: Budget
    amount: int = 1


class Spending(Protocol):
    """What was spent, shared by every process on one store. Raises `OSError` when it cannot be written down."""

    async def spend(self, spends: Sequence[Spend], at: datetime) -> Budget | None:
        """Count all of these, durably, or none: then the budget that does not allow it is answered."""
        ...

    async def spent(self, budget: Budget, at: datetime) -> int:
        """How much of a budget's window is used."""
        ...

    async def aclose(self) -> None: ...


def spends_of(journey: Journey, systems: Mapping[str, System]) -> tuple[Spend, ...]:
    """What one run of a journey uses, of the systems that have a budget for it.

    Everything that it may make is counted, whether it comes to making it or not: a run is never stopped half-way.
    """
    found = []
    if (budget := runs_budget(systems.get(journey.system))) is not None:
        found.append(Spend(budget))
    for name, amount in creates_of(journey).items():
        if (budget := creates_budget(systems.get(name))) is not None:
            found.append(Spend(budget, amount))
    return tuple(found)


def budgets_of(system: System) -> tuple[Budget, ...]:
    """The budgets that a system has."""
    return tuple(budget for budget in (runs_budget(system), creates_budget(system)) if budget is not None)


def runs_budget(system: System | None) -> Budget | None:
    """How often a system may be run against; None when nobody said."""
    if system is None or system.budget_runs_per_h is None:
        return None
    return Budget(system.name, Use.RUNS, system.budget_runs_per_h)


def creates_budget(system: System | None) -> Budget | None:
    """What may be made in a system; None when nobody said."""
    if system is None or system.budget_creates_per_d is None:
        return None
    return Budget(system.name, Use.CREATES, system.budget_creates_per_d)


def creates_of(journey: Journey) -> Mapping[str, int]:
    """System → things that one run makes there."""
    return Counter(step.system or journey.system for step in journey.flat if creates(step))


def creates(step: Step) -> bool:
    """Whether a step makes something: it writes, and is not said to leave nothing."""
    return step.spec is not None and step.spec.effect and step.leaves != "nothing"

"""Whether so much is left behind that nothing more may be created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from synthmon.core.journey import Journey
from synthmon.core.system import System

EVERYWHERE = ""
"""Stands for the whole daemon where a system is named."""


@dataclass(frozen=True, slots=True)
class DebtBudget:
    """How many debts are open, and how many may be: in each system, and in all (`EVERYWHERE`)."""

    open: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def over(self) -> tuple[str, ...]:
        """The systems with too many; `EVERYWHERE` first."""
        return tuple(sorted(name for name, limit in self.limits.items() if self.open.get(name, 0) > limit))

    def refusal(self, journey: Journey) -> str:
        """Why a journey may not run now; empty when it may. One that creates nothing always may."""
        creating = creates_in(journey)
        for name in self.over if creating else ():
            if name == EVERYWHERE or name in creating:
                where = f"in {name}" if name else "in all systems together"
                return f"{self.open[name]} open debts {where}, {self.limits[name]} are allowed: nothing is created"
        return ""


def debt_budget(by_system: Mapping[str, int], systems: Mapping[str, System], in_all: int) -> DebtBudget:
    """The budget of these systems, `in_all` for the whole daemon, and what is open against it."""
    limits = {EVERYWHERE: in_all, **{name: system.budget_debts for name, system in systems.items()}}
    return DebtBudget({EVERYWHERE: sum(by_system.values()), **by_system}, limits)


def creates_in(journey: Journey) -> frozenset[str]:
    """The systems in which a run may leave something behind."""
    return frozenset(
        step.system for step in journey.flat if step.spec and step.spec.effect and step.leaves != "nothing"
    )

"""What is owed and how its repayment stands: tries, rests, and whether there is too much of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from synthmon.core.undo.owed import OpenDebt
from synthmon.runtime.instants import Clock

FIRST_REST_S, LONGEST_REST_S = 10.0, 300.0  # between tries at one debt that its system answered
SYSTEM_REST_S = 60.0  # after a try that a system gave no usable answer to: all its debts wait, and one asks again


@dataclass(frozen=True, slots=True)
class Tried:
    """How often repayment was tried, when last, and what came of it."""

    times: int = 0
    at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Owing:
    """One open debt and how its repayment stands. `next_try` None: as soon as somebody looks."""

    debt: OpenDebt
    tried: Tried
    next_try: datetime | None

    def told(self, now: datetime) -> Mapping[str, Any]:
        """The debt for the API and for `synthmon debts`."""
        debt = self.debt
        return {
            "id": debt.id,
            "run": debt.run_id,
            "journey": debt.journey,
            "step": debt.path,
            "system": debt.system,
            "tag": debt.tag,
            "since": debt.since.isoformat(),
            "age_s": round((now - debt.since).total_seconds(), 1),
            "expires": debt.expires.isoformat(),
            "tries": self.tried.times,
            "last_fault": self.tried.reason,
            "next_try": self.next_try.isoformat() if self.next_try else None,
            "by_hand": debt.by_hand,
        }


class Arrears:
    """The open debts at the last look. Tries are kept in a small file across restarts; without one, in memory."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock, self._path = clock, path
        self._debts: dict[str, OpenDebt] = {}
        self._fresh: dict[str, Counter[str]] = {}  # run id → systems of debts that no look has seen yet
        self._rests_until_s: dict[str, float] = {}  # debt id → when it may be tried again
        self._silent_until_s: dict[str, float] = {}  # system → when one debt may ask it again
        self._tried = read_tried(path)
        self._changed = False

    # what is owed ---------------------------------------------------------------------------------------------------

    def look(self, debts: Iterable[OpenDebt]) -> frozenset[str]:
        """These are open, no others; answers the ids of those that were open and were not paid here."""
        before, self._debts = self._debts, {debt.id: debt for debt in debts}
        self._fresh.clear()
        gone = self._tried.keys() - self._debts.keys()
        for debt_id in gone:
            del self._tried[debt_id]
            self._rests_until_s.pop(debt_id, None)
        self._changed = self._changed or bool(gone)
        return frozenset(before.keys() - self._debts.keys())

    def add(self, run_id: str, systems: Iterable[str]) -> None:
        """A run has just ended and left something in these systems, one for each thing."""
        if not any(debt.run_id == run_id for debt in self._debts.values()):
            self._fresh[run_id] = Counter(systems)

    def debts(self) -> Sequence[Owing]:
        """Oldest first."""
        return [
            Owing(debt, self._tried.get(debt.id, Tried()), self._next_try(debt))
            for debt in sorted(self._debts.values(), key=lambda debt: (debt.since, debt.id))
        ]

    def oldest(self) -> datetime | None:
        """Since when the oldest is owed."""
        return min((debt.since for debt in self._debts.values()), default=None)

    def by_system(self) -> Mapping[str, int]:
        """How many are open in each system that has any."""
        counts = Counter(debt.system for debt in self._debts.values())
        for fresh in self._fresh.values():
            counts.update(fresh)
        return counts

    # its repayment --------------------------------------------------------------------------------------------------

    def due(self) -> Sequence[OpenDebt]:
        """What may be tried now: those that waited longest first, never tried before all others."""
        return sorted((debt for debt in self._debts.values() if self._is_due(debt)), key=self._waited)

    def due_of(self, debts: Iterable[OpenDebt]) -> frozenset[str]:
        """The paths of these debts of a run that may be tried now."""
        return frozenset(debt.path for debt in debts if debt.id in self._debts and self._is_due(debt))

    def ask(self, systems: Collection[str]) -> frozenset[str]:
        """Which of these systems may be asked now. One that was silent is asked once, by who comes first."""
        now_s = self._clock.monotonic_s()
        awake = frozenset(system for system in systems if now_s >= self._silent_until_s.get(system, 0.0))
        for system in awake & self._silent_until_s.keys():
            self._silent_until_s[system] = now_s + SYSTEM_REST_S
        return awake

    def answered(self, system: str) -> None:
        """A system gave a usable answer: all its debts may be tried."""
        self._silent_until_s.pop(system, None)

    def fell_silent(self, system: str) -> None:
        """A system gave no usable answer."""
        self._silent_until_s[system] = self._clock.monotonic_s() + SYSTEM_REST_S

    def tried(self, debt_id: str, reason: str, rest: bool = True) -> None:
        """A debt was tried and is still open; with `rest` it waits longer each time."""
        before = self._tried.get(debt_id, Tried())
        self._tried[debt_id] = Tried(before.times + 1, self._clock.now(), reason)
        self._changed = True
        if rest:
            rest_s = min(FIRST_REST_S * 2 ** min(before.times, 10), LONGEST_REST_S)
            self._rests_until_s[debt_id] = self._clock.monotonic_s() + rest_s

    def paid(self, debt_id: str) -> None:
        """A debt is no more."""
        self._debts.pop(debt_id, None)

    @property
    def unkept(self) -> bool:
        """Whether `keep` has something to write."""
        return self._path is not None and self._changed

    def keep(self) -> None:
        """Write the tries to their file; blocks. Raises `OSError`."""
        if self._path is None:
            return
        self._changed = False
        told = {
            name: [one.times, one.at.isoformat() if one.at else "", one.reason] for name, one in self._tried.items()
        }
        new = self._path.with_name(self._path.name + ".new")
        new.write_bytes(orjson.dumps(told))
        os.replace(new, self._path)

    def _is_due(self, debt: OpenDebt) -> bool:
        return self._clock.monotonic_s() >= self._until_s(debt)

    def _until_s(self, debt: OpenDebt) -> float:
        return max(self._rests_until_s.get(debt.id, 0.0), self._silent_until_s.get(debt.system, 0.0))

    def _waited(self, debt: OpenDebt) -> tuple[bool, datetime, str]:
        at = self._tried.get(debt.id, Tried()).at
        return at is not None, at or debt.since, debt.id

    def _next_try(self, debt: OpenDebt) -> datetime | None:
        left_s = self._until_s(debt) - self._clock.monotonic_s()
        return self._clock.now() + timedelta(seconds=left_s) if left_s > 0 else None


def tries_path(journal: Path | None) -> Path | None:
    """The file of the tries, beside the journal."""
    return journal.with_name(journal.stem + "-tries.json") if journal else None


def read_tried(path: Path | None) -> dict[str, Tried]:
    """The tries of the process before; none if they cannot be read, since no debt is lost with them."""
    if path is None:
        return {}
    try:
        told = orjson.loads(path.read_bytes())
        return {
            str(name): Tried(int(times), datetime.fromisoformat(at) if at else None, str(reason))
            for name, (times, at, reason) in told.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

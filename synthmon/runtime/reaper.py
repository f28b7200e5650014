"""Pays what dead or stopped runs owe: from their journal alone, again and again, until absence is verified."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from synthmon.core.debts import owed
from synthmon.core.intents import Intent, Journal, Opened, OpenRun, Settled
from synthmon.core.journey import Journey
from synthmon.core.run import Run
from synthmon.core.secrets import Vault, seal
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock
from synthmon.runtime.perform import Performer
from synthmon.runtime.runner import CLEAN_UP_S, Lent

ROUND_S = 5.0
FIRST_REST_S, LONGEST_REST_S = 10.0, 60.0  # between tries at one run's debts
SYSTEM_REST_S = 60.0  # after a try that a system did not answer: at most one a minute
PATIENCE_S = 60.0  # for one run's debts

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Owing:
    """A run with open debts, as far as the journal knows."""

    run_id: str
    journey: str
    system: str
    since: datetime
    expires: datetime
    paths: tuple[str, ...]
    tries: int = 0
    next_try_s: float = 0.0
    last_fault: str = ""


class Reaper:
    """Looks through the journal at the start and every few seconds, and repays. `find` is the journey of a version."""

    def __init__(
        self,
        lent: Callable[[], Lent],
        journal: Journal,
        clock: Clock,
        find: Callable[[str, str], Awaitable[Journey | None]],
        live: Callable[[str], bool],
        alone: bool,
    ) -> None:
        self._lent, self._journal, self._clock, self._find, self._live = lent, journal, clock, find, live
        self._alone = alone  # nobody else uses the journal: what was open at the start is of the dead
        self._dead: set[str] | None = None
        self._owing: dict[str, Owing] = {}
        self._rests_until_s: dict[str, float] = {}
        self._again = asyncio.Event()

    def debts(self) -> Sequence[Owing]:
        """What was owed at the last look, oldest first."""
        return sorted(self._owing.values(), key=lambda owing: owing.since)

    def take_over(self, run_id: str) -> None:
        """A run of this process has ended and left debts."""
        if self._dead is not None:
            self._dead.add(run_id)
        self._again.set()

    async def run(self) -> None:
        """For as long as the daemon lives."""
        while True:
            try:
                await self.round()
            except OSError as error:
                _log.warning("the journal cannot be read", fault=str(error))
            self._again.clear()
            try:
                async with asyncio.timeout(ROUND_S):
                    await self._again.wait()
            except TimeoutError:
                continue

    async def round(self) -> None:
        """One look at the journal, one try at each run that may be tried now."""
        open_runs = {run.run_id: run for run in await self._journal.open_runs()}
        if self._dead is None:
            self._dead = set(open_runs) if self._alone else set()
        self._owing = {
            run_id: self._known(run) for run_id, run in open_runs.items() if not self._live(run_id) and run.entries
        }
        by_system: dict[str, list[Owing]] = {}
        for owing in self.debts():
            by_system.setdefault(owing.system, []).append(owing)
        await asyncio.gather(*(self._pay_system(system, runs, open_runs) for system, runs in by_system.items()))

    def _known(self, run: OpenRun) -> Owing:
        head = next(entry for entry in run.entries if isinstance(entry, Opened))
        settled = {entry.path for entry in run.entries if isinstance(entry, Settled)}
        intents = [entry for entry in run.entries if isinstance(entry, Intent) and entry.path not in settled]
        paths, expires = tuple(intent.path for intent in intents), max(intent.expires for intent in intents)
        before = self._owing.get(run.run_id)
        if before is not None:
            return replace(before, paths=paths)
        return Owing(run.run_id, head.journey, head.system, head.started, expires, paths)

    async def _pay_system(self, system: str, runs: Sequence[Owing], open_runs: Mapping[str, OpenRun]) -> None:
        for owing in runs:
            now_s = self._clock.monotonic_s()
            if now_s < max(owing.next_try_s, self._rests_until_s.get(system, 0.0)):
                continue
            if not await self._pay(owing, open_runs[owing.run_id]):
                self._rests_until_s[system] = self._clock.monotonic_s() + SYSTEM_REST_S
                return

    async def _pay(self, owing: Owing, run: OpenRun) -> bool:
        """One try at one run; False when the system gave no usable answer."""
        journey = await self._find(_version(run), owing.journey)
        if journey is None:
            self._rest(owing, "its journey cannot be read any more")
            return True
        if not self._is_dead(run, journey):
            return True
        head = next(entry for entry in run.entries if isinstance(entry, Opened))
        if head.base != self._lent().base_of(head.system, head.location):
            self._rest(owing, f"{head.system} was at {head.base} then; what was made there is not undone elsewhere")
            return True
        answered = await self._repay(run, journey)
        self._rest(owing, "" if answered else "the system does not answer")
        return answered

    async def _repay(self, run: OpenRun, journey: Journey) -> bool:
        lent, now_s = self._lent(), self._clock.monotonic_s()
        vault = Vault({f"secret.{name}": value for name, value in lent.secrets.items()})
        head = next(entry for entry in run.entries if isinstance(entry, Opened))
        as_run = Run(run.run_id, journey.name, journey.digest, head.started, head.started, head.location, "clean-up")
        core = owed(run, journey, now_s, self._clock.now())
        for debt in core.debts:
            debt.names.update((f"secret.{name}", seal(f"secret.{name}")) for name in lent.settings.secrets)
        door = lent.open_door(as_run, journey, vault)
        book = Book(self._journal, run.run_id, seq=len(run.entries))
        names = core.debts[0].names if core.debts else {}
        sign = lent.sign(door, self._journal, self._clock, as_run, names, vault)
        performer = Performer(run.run_id, journey.name, head.location, door, lent.kinds, book, self._clock, sign=sign)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await performer.drive(core, core.drain())
        except TimeoutError:
            return False
        finally:
            await door.aclose()
        attempts = [attempt for debt in core.debts for attempt in debt.attempts]
        paid = [debt.path for debt in core.debts if debt.state != "owed"]
        if paid:
            _log.info("debts paid", journey=journey.name, run=run.run_id, paid=paid)
        return bool(paid) or not attempts or any(not attempt.reason for attempt in attempts)

    def _rest(self, owing: Owing, fault: str) -> None:
        rest_s = min(FIRST_REST_S * 2**owing.tries, LONGEST_REST_S)
        tried = replace(owing, tries=owing.tries + 1, next_try_s=self._clock.monotonic_s() + rest_s, last_fault=fault)
        self._owing[owing.run_id] = tried

    def _is_dead(self, run: OpenRun, journey: Journey) -> bool:
        """Whether nobody can still be running it: open at a start that was alone, or long past its deadline."""
        if self._live(run.run_id):
            return False
        if self._dead is not None and run.run_id in self._dead:
            return True
        head = next(entry for entry in run.entries if isinstance(entry, Opened))
        return self._clock.now() > head.started + timedelta(seconds=journey.deadline_s + 2 * CLEAN_UP_S)


def _version(run: OpenRun) -> str:
    return next(entry.version for entry in run.entries if isinstance(entry, Opened))

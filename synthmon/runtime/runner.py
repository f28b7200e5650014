"""Fills slots: every slot that is due ends as exactly one record, whatever happens."""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.quiet import quiet
from synthmon.core.run import Record, Run
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.slots import Due, interval_s, too_late
from synthmon.core.spending import Spending, spends_of
from synthmon.core.status import Busy
from synthmon.core.transact.verdict import unstarted
from synthmon.core.undo.debts import Clean
from synthmon.core.undo.intents import Claim, Journal
from synthmon.runtime.instants import Clock
from synthmon.runtime.keeping import Keeping, Kept
from synthmon.runtime.late import Late
from synthmon.runtime.lent import Lent
from synthmon.runtime.perform import Performer
from synthmon.runtime.walk import Means, walk
from synthmon.store.spending_memory import MemorySpending

REPLAY = "replay"

_log = structlog.get_logger(__name__)

_Seat = tuple[str, bool]
"""(journey, is a replay): of each one run at a time. A replay stands beside, so that no slot is missed for it."""


class Runner:
    """Runs journeys and keeps their records. `tell` hears of each record once it is safe, or could not be made so."""

    def __init__(
        self, lent: Lent, journal: Journal, history: History, clock: Clock, tell: Callable[[Record, Journey], None]
    ) -> None:
        self.lent = lent
        self._journal, self._clock = journal, clock
        self._keeping = Keeping(history, journal, tell)
        self._late = Late(journal, self._keeping, clock, lambda slots: self.scheduled(slots))
        self._places = asyncio.Semaphore(lent.settings.concurrency)
        self._running: dict[_Seat, Performer | None] = {}
        self._live: dict[str, Performer] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._texts: set[str] = set()
        self._stopping = False
        self.paused: Callable[[str], bool] = lambda name: False
        self.halted: Callable[[], bool] = lambda: False  # everything is paused: not even by hand
        self.spending: Spending = MemorySpending()
        self.indebted: Callable[[Journey], str] = lambda journey: ""  # why nothing may be created now; empty: it may
        self.watch: Callable[[Clean], None] | None = None
        self.clocks: Callable[[Journey], Clocks] = lambda journey: TRUSTED  # what is known of those of its systems
        self.learn: Callable[[Record, Journey], Record] = lambda record, journey: record  # hears of each run, may note
        self.scheduled: Callable[[int], None] = lambda slots: None  # hears of slots that are ours to tell

    # what is asked of it --------------------------------------------------------------------------------------------

    def take(self, journey: Journey, due: Due) -> None:
        """Fill the slots that a bell brought; returns at once."""
        self._spawn(self._answer(journey, due))

    def run_now(self, journey: Journey, cause: str = "manual", shape: Callable[[Run], Run] | None = None) -> str:
        """Start a run outside of the schedule; answers its id. `shape` makes a replay of it. Raises `Busy`."""
        if (journey.name, cause == REPLAY) in self._running or self._stopping:
            raise Busy(f"{journey.name} is running already")
        if self.halted():
            raise Busy("everything is paused: resume first")
        now = self._clock.now()
        run = self._make_run(journey, now, now, cause)
        run = shape(run) if shape is not None else run
        self._running[_seat(run)] = None
        self._spawn(self._run_and_keep(journey, run, None))
        return run.id

    def is_running(self, name: str) -> bool:
        """Whether a run of this journey is going on; a replay is none."""
        return (name, False) in self._running

    def is_live(self, run_id: str) -> bool:
        """Whether this process is running that run, so that nobody else pays its debts."""
        return run_id in self._live

    def running(self) -> int:
        """How many runs are going on."""
        return len(self._running)

    async def stop(self, grace_s: float) -> None:
        """Interrupt every run, let them clean up for `grace_s`, then let go; their debts are paid at the next start."""
        self._stopping = True
        self.interrupt()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._keeping.keep_the_late()

    def interrupt(self, names: Callable[[str], bool] = lambda name: True) -> None:
        """Ask every run, or those of the journeys that are named, to stop going forward and to clean up."""
        for (name, _), performer in list(self._running.items()):
            if performer is not None and names(name):
                performer.interrupt()

    def let_go(self) -> None:
        """Stop at once: what runs owe is paid at the next start."""
        for task in self._tasks:
            task.cancel()

    # a slot ---------------------------------------------------------------------------------------------------------

    async def _answer(self, journey: Journey, due: Due) -> None:
        if due.missed is not None:
            await self._late.tell(journey, due.missed, self.lent.settings.location)
        else:
            await self._late.told_before(journey)
        if due.run is not None and due.start is not None:
            await self.fill(journey, due.run, due.start)

    async def fill(self, journey: Journey, slot: datetime, start: datetime) -> None:
        """One scheduled slot: claim it, wait for its instant, run, keep the record."""
        run = self._make_run(journey, slot, start, "schedule")
        claim = Claim(journey.name, slot, run.location, run.id, self._clock.now())
        try:
            if not await self._journal.claim(claim):
                return  # another daemon has it, and will tell
        except OSError as error:
            self.scheduled(1)
            said = f"the journal cannot be written: {error}"
            await self.keep(unstarted(run, Outcome.UNKNOWN, Reason.JOURNAL_UNWRITABLE, said), journey)
            return
        self.scheduled(1)
        await self._sleep_until(start)
        outcome, reason, said = self._refusal(journey, slot, start)
        if outcome is not None:
            await self.keep(unstarted(run, outcome, reason, said), journey, claim)
            return
        self._running[_seat(run)] = None
        await self._run_and_keep(journey, replace(run, started=self._clock.now()), claim)

    def _refusal(self, journey: Journey, slot: datetime, start: datetime) -> tuple[Outcome | None, Reason, str]:
        if self._stopping:
            return Outcome.MISSED, Reason.PREPARED, "the daemon was stopping"
        if self.paused(journey.name):
            return Outcome.SKIPPED, Reason.PAUSED, "paused"
        if self._is_quiet(journey, slot):
            return Outcome.SKIPPED, Reason.QUIET, "in a quiet window"
        if self.is_running(journey.name):
            return Outcome.MISSED, Reason.OVERLAP, "the run before was still going"
        if too_late(start, journey.schedule, self._clock.now()):
            return Outcome.MISSED, Reason.LATE_BELL, "synthmon stood still when it was to start"
        return None, Reason.NONE, ""

    def _held_back(self, journey: Journey, run: Run) -> bool:
        """Whether it is paused; a run by hand is held back only when everything is."""
        return self.halted() or (run.cause != "manual" and self.paused(journey.name))

    def _is_quiet(self, journey: Journey, slot: datetime) -> bool:
        """Neither the slot nor the start may lie in a window: the start may come later."""
        windows = self.lent.settings.quiet
        return quiet(windows, journey.name, slot) or quiet(windows, journey.name, self._clock.now())

    async def _over_budget(self, journey: Journey, run: Run) -> Record | None:
        """Count what the run will use; the record to keep instead when that is too much, or cannot be counted."""
        spends = spends_of(journey, self.lent.settings.systems)
        if not spends:
            return None
        try:
            budget = await self.spending.spend(spends, run.slot)
        except OSError as error:
            said = f"what the run uses cannot be counted: {error}"
            return unstarted(run, Outcome.UNKNOWN, Reason.UNCOUNTED, said, self._clock.now())
        if budget is None:
            return None
        said = f"the budget of {budget} is used up"
        return unstarted(run, Outcome.SKIPPED, Reason.BUDGET, said, self._clock.now())

    async def _run_and_keep(self, journey: Journey, run: Run, claim: Claim | None) -> None:
        try:
            record = await self._run(journey, run)
        except Exception:  # noqa: BLE001  a defect costs one run and not the daemon; it is told as ours
            _log.exception("a run broke", journey=journey.name, run=run.id)
            record = unstarted(run, Outcome.UNKNOWN, Reason.BROKEN, "a defect in synthmon; see its log")
        finally:
            self._running.pop(_seat(run), None)
            self._live.pop(run.id, None)
        await self.keep(record, journey, claim)

    async def _run(self, journey: Journey, run: Run) -> Record:
        if self._places.locked():
            patience_s = min(interval_s(journey.schedule, run.slot), journey.deadline_s)
            try:
                async with asyncio.timeout(patience_s):
                    await self._places.acquire()
            except TimeoutError:
                said = f"no place among {self.lent.settings.concurrency} to run in for {patience_s:g}s"
                return unstarted(run, Outcome.MISSED, Reason.BACKLOG, said)
            run = replace(run, started=self._clock.now())  # what it hears of is timed by when it truly began
        else:
            await self._places.acquire()
        try:
            return await self._run_here(journey, run)
        finally:
            self._places.release()

    async def _run_here(self, journey: Journey, run: Run) -> Record:
        if self._held_back(journey, run):  # it may have waited for a place
            return unstarted(run, Outcome.SKIPPED, Reason.PAUSED, "paused", self._clock.now())
        if run.cause == "schedule" and self._is_quiet(journey, run.slot):
            return unstarted(run, Outcome.SKIPPED, Reason.QUIET, "in a quiet window", self._clock.now())
        if said := self.indebted(journey):
            return unstarted(run, Outcome.SKIPPED, Reason.DEBTS, said, self._clock.now())
        if (refused := await self._over_budget(journey, run)) is not None:
            return refused
        means = Means(
            self.lent,
            self._journal,
            self._clock,
            self.spending,
            self.clocks(journey),
            self.learn,
            self.watch,
            self._texts,
        )
        return await walk(journey, run, means, lambda performer: self._begun(journey, run, performer))

    def _begun(self, journey: Journey, run: Run, performer: Performer) -> None:
        self._running[_seat(run)] = self._live[run.id] = performer
        if self._stopping or self._held_back(journey, run):
            performer.interrupt()

    # a record -------------------------------------------------------------------------------------------------------

    async def keep(self, record: Record, journey: Journey, claim: Claim | None = None) -> None:
        """Save a record that closes this claim, then tell it."""
        await self.keep_each([(record, journey, claim)])

    async def keep_each(self, kept: Sequence[Kept]) -> None:
        """Save records together, then tell them (`runtime.keeping`)."""
        await self._keeping.keep_each(kept)

    # its own means --------------------------------------------------------------------------------------------------

    def _make_run(self, journey: Journey, slot: datetime, started: datetime, cause: str) -> Run:
        location, instance = self.lent.settings.location, self.lent.settings.instance
        return Run(
            chance.token_hex(16), journey.name, journey.digest, slot, started, location, cause, instance=instance
        )

    async def _sleep_until(self, start: datetime) -> None:
        while (delay_s := (start - self._clock.now()).total_seconds()) > 0 and not self._stopping:  # noqa: ASYNC110
            await asyncio.sleep(delay_s)  # again if the loop's clock and ours disagree by a little

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _seat(run: Run) -> _Seat:
    return run.journey, run.cause == REPLAY

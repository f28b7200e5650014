"""Pays what dead or stopped runs owe: from their journal alone, again and again, until absence is verified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import structlog

from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.core.secrets import seal
from synthmon.core.undo.debt_budget import DebtBudget, debt_budget
from synthmon.core.undo.debts import Clean, Debt
from synthmon.core.undo.intents import Journal, Whose
from synthmon.core.undo.owed import debts_of, repaying, run_of, step_of
from synthmon.runtime.arrears import Arrears, Owing
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock
from synthmon.runtime.lent import Lent
from synthmon.runtime.lookout import FindVersion, Left, Lookout
from synthmon.runtime.perform import Performer

ROUND_S = 5.0
PATIENCE_S = 60.0  # for one run's debts

_log = structlog.get_logger(__name__)


class Reaper:
    """Looks through the journal at the start and every few seconds, and repays. `find` is the journey of a version.

    A system that gives no usable answer is left alone for a minute; then one debt asks, with one request, and only if
    it is answered the others follow. `tries` is a file that keeps how often each debt was tried.
    """

    def __init__(
        self,
        lent: Callable[[], Lent],
        journal: Journal,
        clock: Clock,
        find: FindVersion,
        live: Callable[[str], bool],
        tries: Path | None = None,
    ) -> None:
        self._lent, self._journal, self._clock = lent, journal, clock
        self._lookout = Lookout(lambda: lent().settings, journal, clock, find, live)
        self._arrears = Arrears(clock, tries)
        self._left: Mapping[str, Left] = {}
        self._again = asyncio.Event()

    # what is asked of it --------------------------------------------------------------------------------------------

    def debts(self) -> Sequence[Owing]:
        """What was owed at the last look, oldest first."""
        return self._arrears.debts()

    def oldest_s(self) -> float:
        """The age of the oldest debt; 0 when there is none."""
        since = self._arrears.oldest()
        return (self._clock.now() - since).total_seconds() if since else 0.0

    def budget(self) -> DebtBudget:
        """How much is owed, what was left since the last look included, and how much may be."""
        settings = self._lent().settings
        return debt_budget(self._arrears.by_system(), settings.systems, settings.debts)

    def take_over(self, record: Record, journey: Journey) -> None:
        """A run of this process has ended and left debts."""
        self._lookout.take_over(record.run_id)
        systems = {step.id: step.system for step in journey.flat}
        left = (step_of(debt.path) for debt in record.debts if debt.state == "owed")
        self._arrears.add(record.run_id, [systems.get(step_id, journey.system) for step_id in left])
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

    async def round(self) -> int:
        """One look at the journal, one try at each debt that may be tried now; answers how many were paid.

        Raises `OSError` when the journal cannot be read.
        """
        await self.look()
        queues: dict[str, dict[str, None]] = {}
        for debt in self._arrears.due():
            queues.setdefault(self._left[debt.run_id].head.system, {}).setdefault(debt.run_id)
        paid = await asyncio.gather(*(self._pay_each(runs) for runs in queues.values()))
        try:
            if self._arrears.unkept:
                await asyncio.to_thread(self._arrears.keep)
        except OSError as error:
            _log.warning("the tries at open debts cannot be kept", fault=str(error))
        return sum(paid)

    async def look(self) -> None:
        """See what is owed. Raises `OSError` when the journal cannot be read."""
        self._left = await self._lookout.look()
        gone = self._arrears.look(debt for left in self._left.values() for debt in left.debts)
        if gone:
            _log.info("debts were settled by somebody else: paid or forgotten", debts=sorted(gone))

    # one run --------------------------------------------------------------------------------------------------------

    async def _pay_each(self, runs: Iterable[str]) -> int:
        paid = 0
        for run_id in runs:
            if paths := self._arrears.due_of(self._left[run_id].debts):
                paid += await self._pay(self._left[run_id], paths)
        return paid

    async def _pay(self, left: Left, paths: frozenset[str]) -> int:
        """One try at these debts of a run; answers how many are paid."""
        head = left.head
        if left.journey is None:
            self._give_up(left, paths, "its journey cannot be read any more")
            return 0
        if head.base != self._lent().base_of(head.system, head.location):
            said = f"{head.system} was at {head.base} then; what was made there is not undone elsewhere"
            self._give_up(left, paths, said)
            return 0
        debts = {debt.path: debt for debt in debts_of(left.run, left.journey) if debt.path in paths}
        self._give_up(left, paths - debts.keys(), "the journey has no such step any more")
        if (seq := await self._make_ours(left)) is None:
            return 0
        awake = self._arrears.ask({debt.step.system for debt in debts.values()})
        asking = [debt for debt in debts.values() if debt.step.system in awake]
        return await self._repay(left, left.journey, asking, seq) if asking else 0

    async def _make_ours(self, left: Left) -> int | None:
        """Take a dead process's run over; the number of its last entry. None when somebody else was quicker."""
        run = left.run
        if run.whose is Whose.OURS:
            return len(run.entries)
        taken = await self._journal.take_over(run.run_id, len(run.entries))
        if not isinstance(taken, int):
            return None
        self._lookout.take_over(run.run_id)
        return taken

    def _give_up(self, left: Left, paths: Iterable[str], said: str) -> None:
        for path in paths:
            self._arrears.tried(f"{left.run.run_id}:{path}", said)

    async def _repay(self, left: Left, journey: Journey, debts: Sequence[Debt], seq: int) -> int:
        lent, run, head = self._lent(), left.run, left.head
        vault = lent.make_vault()
        as_run = run_of(run.run_id, head)
        for debt in debts:
            debt.names.update((f"secret.{name}", seal(f"secret.{name}")) for name in lent.settings.secrets)
        core = repaying(debts, self._clock.monotonic_s(), self._clock.now(), patient=False)
        door = lent.open_door(as_run, journey, vault)
        book = Book(self._journal, run.run_id, vault, seq=seq)
        sign = lent.sign(door, self._journal, self._clock, as_run, debts[0].names, vault)
        performer = Performer(run.run_id, journey.name, head.location, door, lent.kinds, book, self._clock, sign=sign)
        hung = False
        try:
            async with asyncio.timeout(PATIENCE_S):
                await performer.drive(core, core.drain())
        except TimeoutError:
            hung = True
        finally:
            await door.aclose()
        return self._account(run.run_id, journey.name, core, hung)

    def _account(self, run_id: str, journey: str, core: Clean, hung: bool) -> int:
        """Note what became of each debt and of each system that was asked."""
        for system in {debt.step.system for debt in core.debts}:
            if system in core.silent or hung:
                self._arrears.fell_silent(system)
            else:
                self._arrears.answered(system)
        for debt in core.debts:
            self._note(f"{run_id}:{debt.path}", debt, core.silent)
        paid = [debt.path for debt in core.debts if debt.state != "owed"]
        if paid:
            _log.info("debts paid", journey=journey, run=run_id, paid=paid)
        return len(paid)

    def _note(self, debt_id: str, debt: Debt, silent: Mapping[str, str]) -> None:
        if debt.state != "owed":
            self._arrears.paid(debt_id)
        elif debt.step.system not in silent:
            self._arrears.tried(debt_id, debt.last_words or "not found yet: it may still be on its way")
        elif debt.attempts:  # it is not this debt's fault: it is tried again as soon as its system answers
            self._arrears.tried(debt_id, debt.last_words, rest=False)

"""Runs journeys now, outside of any schedule: what `synthmon run` does."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from synthmon.core.journey import Journey
from synthmon.core.run import Record, Run
from synthmon.core.undo.debt_budget import DebtBudget, debt_budget
from synthmon.core.undo.debts import Clean
from synthmon.core.undo.intents import Journal
from synthmon.language.settings import Settings
from synthmon.runtime.house import House, open_house
from synthmon.runtime.inbound import open_hooks
from synthmon.runtime.lookout import Lookout, find_in
from synthmon.runtime.runner import Runner

_log = structlog.get_logger("synthmon")


async def run_once(
    journeys: Sequence[Journey],
    settings: Settings,
    store: str,
    times: int = 1,
    watch: Callable[[Clean], None] | None = None,
) -> AsyncGenerator[Record, None]:
    """Each journey in turn, `times` times; the record of each run once it is kept. SIGINT ends after clean-up."""
    async with open_house(store) as house, open_once(house, journeys, settings, watch) as once:
        for _ in range(times):
            for journey in journeys:
                if once.stopping:
                    return
                yield await once.run(journey)


class LetGo(KeyboardInterrupt):
    """A second signal: the run under way was left as it stood. What it owes stands in the journal of its store."""


class Once:
    """Where journeys run one after the other. `stopping`: a signal asked to stop; the run under way cleans up."""

    def __init__(self, house: House, runner: Runner, records: asyncio.Queue[Record], lookout: Lookout) -> None:
        self.house, self.runner = house, runner
        self._records, self._lookout = records, lookout
        self.stopping = False
        self._gone = asyncio.Event()

    async def run(self, journey: Journey, cause: str = "manual", shape: Callable[[Run], Run] | None = None) -> Record:
        """One run, once what is owed has been counted; its record when it is kept. Raises `Busy` and `LetGo`."""
        self.runner.indebted = (await self._budget()).refusal
        self.runner.run_now(journey, cause, shape)
        record, gone = asyncio.ensure_future(self._records.get()), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait((record, gone), return_when=asyncio.FIRST_COMPLETED)
            if not record.done():
                raise LetGo
            return record.result()
        finally:
            record.cancel()
            gone.cancel()

    def interrupt(self) -> None:
        """Stop going forward, clean up; asked for again, let go at once."""
        if self.stopping:
            self.runner.let_go()
            self._gone.set()
            return
        self.stopping = True
        self.runner.interrupt()
        _log.warning("stopping: what this run made is taken back first; Ctrl-C again stops at once")

    async def _budget(self) -> DebtBudget:
        """What is owed before a run begins."""
        settings = self.runner.lent.settings
        open_now = Counter(debt.system for left in (await self._lookout.look()).values() for debt in left.debts)
        return debt_budget(open_now, settings.systems, settings.debts)


@asynccontextmanager
async def open_once(
    house: House,
    journeys: Sequence[Journey],
    settings: Settings,
    watch: Callable[[Clean], None] | None = None,
    wrap: Callable[[Journal], Journal] = lambda journal: journal,
    deaf: bool = True,
) -> AsyncIterator[Once]:
    """What these journeys need to run here, signals included. `wrap` stands before the journal of the runs.

    Raises `CannotHear` unless they may be `deaf`.
    """
    records: asyncio.Queue[Record] = asyncio.Queue()
    async with open_hooks(settings, journeys, deaf) as (house.doors.hooks, house.doors.otlp):
        lent, _ = house.lend(settings)
        await house.keyring.fetch()
        journal = wrap(house.journal)
        runner = Runner(lent, journal, house.history, house.clock, lambda record, _: records.put_nowait(record))
        runner.watch, runner.spending = watch, house.spending
        find = find_in(house.journal, settings, house.forms)
        lookout = Lookout(lambda: settings, house.journal, house.clock, find, runner.is_live, others=True)
        once = Once(house, runner, records, lookout)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, once.interrupt)
        try:
            yield once
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await runner.stop(settings.grace_s)

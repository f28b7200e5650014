"""Runs journeys now, outside of any schedule: what `synthmon run` does."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack

from synthmon.core.debt_budget import DebtBudget, debt_budget
from synthmon.core.debts import Clean
from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.language.settings import Settings
from synthmon.runtime.house import open_house
from synthmon.runtime.inbound import open_hooks
from synthmon.runtime.lookout import Lookout, find_in
from synthmon.runtime.runner import Runner


async def run_once(
    journeys: Sequence[Journey],
    settings: Settings,
    store: str,
    times: int = 1,
    watch: Callable[[Clean], None] | None = None,
) -> AsyncGenerator[Record, None]:
    """Each journey in turn, `times` times; the record of each run once it is kept. SIGINT ends after clean-up."""
    records: asyncio.Queue[Record] = asyncio.Queue()
    stopping = False
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(open_house(store))
        house.doors.hooks = await stack.enter_async_context(open_hooks(settings, journeys))
        lent, _ = house.lend(settings)
        await house.keyring.fetch()
        runner = Runner(lent, house.journal, house.history, house.clock, lambda record, _: records.put_nowait(record))
        runner.watch, runner.spending = watch, house.spending
        find = find_in(house.journal, settings, house.forms)
        lookout = Lookout(lambda: settings, house.journal, house.clock, find, runner.is_live, others=True)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            nonlocal stopping
            runner.let_go() if stopping else runner.interrupt()
            stopping = True

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            for _ in range(times):
                for journey in journeys:
                    if stopping:
                        return
                    runner.indebted = (await _budget(lookout, settings)).refusal
                    runner.run_now(journey)
                    yield await records.get()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            await runner.stop(settings.grace_s)


async def _budget(lookout: Lookout, settings: Settings) -> DebtBudget:
    """What is owed before a run begins."""
    open_now = Counter(debt.system for left in (await lookout.look()).values() for debt in left.debts)
    return debt_budget(open_now, settings.systems, settings.debts)

"""Runs one of our own runs again, on purpose: from its inputs and its seed, with its old keys, or in a forced order.

A replay is a run like any other: the same guard, journal, budgets, kill switch and clean-up. It has a run id, an
identity and idempotency keys of its own, unless the old ones are asked for. One at a time on a store, 20 an hour.
"""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from synthmon.core.debts import Clean
from synthmon.core.finding.order import Trial, shows
from synthmon.core.run import Record
from synthmon.core.spending import Spend
from synthmon.core.status import Busy
from synthmon.identities.pools import Account, Lease, LeasesUnavailable, Pool
from synthmon.language.settings import Settings
from synthmon.runtime.house import House, open_house
from synthmon.runtime.once import open_once
from synthmon.runtime.pauses import open_pauses
from synthmon.runtime.replay_plan import BUDGET, Plan, Refused, Turn
from synthmon.runtime.runner import CLEAN_UP_S
from synthmon.runtime.switch import Switch

HOPELESS = 2  # so many runs in which an order did not come about, and none in which it did, are enough
_LOCK = Pool("synthmon replay", (Account("replay", {}),))


async def replay(
    plan: Plan, settings: Settings, store: str, watch: Callable[[Clean], None] | None = None
) -> AsyncGenerator[tuple[Turn, Record], None]:
    """Make the runs of a plan, one after the other; each with its record once that is kept. Raises `Refused`."""
    trials: list[Trial] = []
    async with (
        open_house(store) as house,
        open_once(house, (plan.journey,), settings, watch) as once,
        _alone(house) as keep,
    ):
        pauses = open_pauses(settings, house.beside)
        switch = Switch(pauses, once.runner, lambda: (plan.journey.name,), lambda name, paused: None)
        watching = asyncio.create_task(switch.watch())
        try:
            for turn in plan.turns:
                if once.stopping or hopeless(plan, trials):
                    return
                if switch.paused(turn.journey.name):
                    raise Refused(f"{turn.journey.name} was paused meanwhile, and so are its replays.")
                await _count(house)
                await keep(turn.journey.deadline_s + turn.journey.promises.linger_s + CLEAN_UP_S)
                try:
                    record = await once.run(turn.journey, "replay", plan.shape(turn))
                except Busy as error:
                    raise Refused(str(error)) from error
                if turn.hold is not None:
                    trials.append(trial(plan, turn, record))
                yield turn, record
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def trial(plan: Plan, turn: Turn, record: Record) -> Trial:
    """A run in which an order was to be forced, and whether it was."""
    assert turn.hold is not None  # only such a turn is a trial
    return Trial(turn.hold, record, shows(record, turn.hold, plan.clocks))


def hopeless(plan: Plan, trials: Sequence[Trial]) -> bool:
    """Whether one of the two orders never came about, often enough to go on no more."""
    for what in (plan.order, plan.reverse):
        made = [one for one in trials if one.what == what]
        if len(made) >= HOPELESS and not any(one.shown for one in made):
            return True
    return False


async def _count(house: House) -> None:
    """One more replay in this hour, durably; raises `Refused` when there were too many."""
    try:
        over = await house.spending.spend([Spend(BUDGET)], house.clock.now())
    except OSError as error:
        raise Refused(f"this replay cannot be counted, so it is not made: {error}") from error
    if over is not None:
        raise Refused(f"there were {over} already. Wait until the hour is over.")


@asynccontextmanager
async def _alone(house: House) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """The only replay on this store for as long as the block lasts; a dead one lets go after its last run's limit.

    What it yields takes the lock for so many seconds more.
    """
    held: Lease | None = None
    name = chance.token_hex(8)

    async def keep(seconds: float) -> None:
        nonlocal held
        now_s = house.clock.now().timestamp()
        try:
            mine = await house.leases.renew(held, now_s, now_s + seconds) if held is not None else None
            held = mine or await house.leases.lease(_LOCK, name, now_s, now_s + seconds)
            others = () if held is not None else await house.leases.held(_LOCK)
        except LeasesUnavailable as error:
            raise Refused(f"whether another replay is going on cannot be told: {error}") from error
        if held is None:
            until_s = max((one.until for one in others), default=now_s)
            raise Refused(f"another replay is going on, for {max(0.0, until_s - now_s):.0f} s at most. Wait for it.")

    await keep(CLEAN_UP_S)
    try:
        yield keep
    finally:
        if held is not None:
            with suppress(LeasesUnavailable):  # it ends by itself
                await asyncio.shield(house.leases.release(held, house.clock.now().timestamp()))

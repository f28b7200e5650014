"""Runs one of our own runs again, on purpose: from its inputs and its seed, with its old keys, or in a forced order.

A replay is a run like any other: the same guard, journal, budgets, kill switch and clean-up. It has a run id, an
identity and idempotency keys of its own, unless the old ones are asked for. One at a time on a store, 20 an hour.
"""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from synthmon.core.finding.order import Finding, Trial, find, shows
from synthmon.core.journey import Journey
from synthmon.core.replaying import NotNow, Plan, Refused, Turn
from synthmon.core.run import Record, Run
from synthmon.core.spending import Spend
from synthmon.core.status import Busy
from synthmon.core.undo.debts import Clean
from synthmon.identities.pools import Account, Lease, LeasesUnavailable, Pool
from synthmon.language.settings import Settings
from synthmon.runtime.house import House, open_house
from synthmon.runtime.inbound import CannotHear, beside_a_daemon
from synthmon.runtime.lent import CLEAN_UP_S
from synthmon.runtime.once import Once, open_once
from synthmon.runtime.pauses import open_pauses
from synthmon.runtime.replay_plan import BUDGET, check_fits, check_not_quiet
from synthmon.runtime.switch import Switch

HOPELESS = 2  # so many runs in which an order did not come about, and none in which it did, are enough

Keep = Callable[[float], Awaitable[None]]
"""Takes the lock of `alone` for so many seconds more."""

_LOCK = Pool("synthmon replay", (Account("replay", {}),))


class Stage(Protocol):
    """Where the runs of a replay are made: in a process of their own, or in a daemon beside those on schedule."""

    @property
    def stopping(self) -> bool:
        """Whether somebody asked for an end: the run under way cleans up, and no more are made."""
        ...

    @property
    def settings(self) -> Settings:
        """Those that hold now: a daemon may have read them anew since the plan was made."""
        ...

    def paused(self, name: str) -> bool:
        """Whether a journey is paused."""
        ...

    async def run(self, journey: Journey, shape: Callable[[Run], Run]) -> Record:
        """One run, with the cause `replay`; its record once that is kept. Raises `Busy`."""
        ...


async def make(plan: Plan, house: House, stage: Stage, keep: Keep) -> AsyncGenerator[tuple[Turn, Record], None]:
    """Make the runs of a plan, one after the other, each with its record; `keep` is that of `alone`.

    Raises `Refused` before a run that may not be made any more.
    """
    trials: list[Trial] = []
    for turn in plan.turns:
        if stage.stopping or hopeless(plan, trials):
            return
        if stage.paused(turn.journey.name):
            raise NotNow(f"{turn.journey.name} was paused meanwhile, and so are its replays.")
        check_fits(turn.journey, stage.settings)
        check_not_quiet(turn.journey, stage.settings, house.clock.now())
        await _count(house)
        await keep(turn.journey.deadline_s + turn.journey.promises.linger_s + CLEAN_UP_S)
        try:
            record = await stage.run(turn.journey, plan.shape(turn))
        except Busy as error:
            raise NotNow(str(error)) from error
        if turn.hold is not None:
            trials.append(trial(plan, turn, record))
        yield turn, record


async def replay(
    plan: Plan, settings: Settings, store: str, watch: Callable[[Clean], None] | None = None
) -> AsyncGenerator[tuple[Turn, Record], None]:
    """Make the runs of a plan in this process, which is that of a command. Raises `Refused`."""
    try:
        async with (
            open_house(store) as house,
            open_once(house, (plan.journey,), settings, watch, deaf=False) as once,
            alone(house) as keep,
            _own_stage(plan, settings, once) as stage,
        ):
            async for made in make(plan, house, stage, keep):
                yield made
    except CannotHear as error:
        raise Refused(f"{error} {beside_a_daemon(settings, f'replay {plan.original.run_id[:12]}')}") from error


@dataclass(frozen=True, slots=True)
class _OwnStage:
    once: Once
    switch: Switch
    settings: Settings

    @property
    def stopping(self) -> bool:
        return self.once.stopping

    def paused(self, name: str) -> bool:
        return self.switch.paused(name)

    async def run(self, journey: Journey, shape: Callable[[Run], Run]) -> Record:
        return await self.once.run(journey, "replay", shape)


@asynccontextmanager
async def _own_stage(plan: Plan, settings: Settings, once: Once) -> AsyncIterator[Stage]:
    """A stage that heeds the switch as long as the block lasts."""
    pauses = open_pauses(settings, once.house.beside)
    switch = Switch(pauses, once.runner, lambda: (plan.journey.name,), lambda name, paused: None)
    watching = asyncio.create_task(switch.watch())
    try:
        yield _OwnStage(once, switch, settings)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def finding_of(plan: Plan, made: Sequence[tuple[Turn, Record]]) -> Finding | None:
    """What the runs say of the order that was forced; None where none was."""
    if plan.order is None or plan.reverse is None:
        return None
    return find(plan.order, plan.reverse, [trial(plan, turn, record) for turn, record in made])


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
        raise NotNow(f"there were {over} already. Wait until the hour is over.")


@asynccontextmanager
async def alone(house: House) -> AsyncIterator[Keep]:
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
            raise NotNow(f"whether another replay is going on cannot be told: {error}") from error
        if held is None:
            until_s = max((one.until for one in others), default=now_s)
            left_s = max(0.0, until_s - now_s)
            raise NotNow(f"another replay is going on, for {left_s:.0f} s at most. Wait for it.", left_s)

    await keep(CLEAN_UP_S)
    try:
        yield keep
    finally:
        if held is not None:
            with suppress(LeasesUnavailable):  # it ends by itself
                await asyncio.shield(house.leases.release(held, house.clock.now().timestamp()))

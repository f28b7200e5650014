"""Makes the replays that a daemon is asked for, beside its runs on schedule, and tells how they stand."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import structlog

from synthmon.core.journey import Journey
from synthmon.core.replaying import Made, NotNow, Plan, Refused, Replaying, Stand, Turn, Wish
from synthmon.core.run import Record, Run
from synthmon.language.load import Loaded
from synthmon.language.settings import Settings
from synthmon.runtime.house import House
from synthmon.runtime.replay import Keep, alone, finding_of, make
from synthmon.runtime.replay_plan import prepare
from synthmon.runtime.replay_words import plan_words, replay_lines
from synthmon.runtime.runner import REPLAY, Runner

REMEMBERED = 20  # as many as there may be in an hour
LET_GO_S = 5.0  # for the lock to be given back

_log = structlog.get_logger(__name__)


class Replays:
    """One at a time, as everywhere on a store. `loaded` is what the daemon has read, and may read anew meanwhile.

    A run of a replay is made by the daemon's own runner: the same guard, budgets, switch, journal and clean-up.
    """

    def __init__(
        self, house: House, runner: Runner, loaded: Callable[[], Loaded], paused: Callable[[str], bool]
    ) -> None:
        self._house, self._runner, self._loaded, self.paused = house, runner, loaded, paused
        self._known: OrderedDict[str, Replaying] = OrderedDict()  # by the run that is replayed, the newest last
        self._awaited: dict[str, asyncio.Future[Record]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = False

    async def ask(self, wish: Wish, yes: bool) -> Replaying:
        """What would be sent, or with `yes` how it stands now that it has begun. Raises `Refused`, `CannotForce`."""
        loaded = self._loaded()
        plan = await prepare(wish, loaded, self._house)
        lines = replay_lines(plan, loaded.settings)
        told = [self._house.keyring.redact("".join(text for text, _ in line)) for line in lines]
        planned = Replaying(plan.original.run_id, Stand.PLANNED, {**plan_words(plan), "lines": told})
        if not yes:
            return planned
        if self.stopping:
            raise NotNow("the daemon is stopping. Ask it when it is back.")
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._replay(plan, planned, begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: begun.cancel())
        await asyncio.shield(begun)
        return self._known[planned.replay_of]  # it has begun

    def standing(self, run_id: str) -> Replaying | None:
        """How the last replay of a run stands; None when this process was asked for none, or has forgotten."""
        return self._known.get(run_id)

    def told(self, record: Record) -> None:
        """A run is over, and its record is kept."""
        if (awaited := self._awaited.get(record.run_id)) is not None and not awaited.done():
            awaited.set_result(record)

    async def stop(self) -> None:
        """Once the runner has stopped: what it did not tell it never will, so nobody waits for it."""
        for awaited in self._awaited.values():
            awaited.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=LET_GO_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # as a stage (`replay.Stage`) ------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        return self._loaded().settings

    async def run(self, journey: Journey, shape: Callable[[Run], Run]) -> Record:
        """One run by the daemon's runner; its record once it is kept. Raises `Busy`."""
        run_id = self._runner.run_now(journey, REPLAY, shape)
        self._awaited[run_id] = asyncio.get_running_loop().create_future()
        try:
            return await self._awaited[run_id]
        finally:
            del self._awaited[run_id]

    # one replay -----------------------------------------------------------------------------------------------------

    async def _replay(self, plan: Plan, planned: Replaying, begun: asyncio.Future[None]) -> None:
        stands = replace(planned, state=Stand.RUNNING)
        ended = replace(stands, state=Stand.STOPPED, said="the daemon was stopped")
        try:
            async with alone(self._house) as keep:
                self._remember(stands)
                begun.set_result(None)
                ended = await self._make(plan, stands, keep)
        except Refused as refused:
            begun.set_exception(refused)
        except asyncio.CancelledError:
            ended = replace(self.standing(stands.replay_of) or ended, state=ended.state, said=ended.said)
            raise
        finally:
            if stands.replay_of in self._known and begun.done() and not begun.exception():
                self._remember(ended)
                _log.info("a replay is over", run=ended.replay_of, state=ended.state, said=ended.said)

    async def _make(self, plan: Plan, stands: Replaying, keep: Keep) -> Replaying:
        """How it stands in the end."""
        made: list[tuple[Turn, Record]] = []
        try:
            async for turn, record in make(plan, self._house, self, keep):
                made.append((turn, record))
                order = turn.hold.text if turn.hold is not None else None
                told = Made(order, record.run_id, record.outcome, record.message)
                stands = replace(stands, runs=(*stands.runs, told))
                self._remember(stands)
        except Refused as refused:
            return replace(stands, state=Stand.STOPPED, said=str(refused))
        except Exception:  # noqa: BLE001  a defect costs one replay and not the daemon; it is told as ours
            _log.exception("a replay broke", run=stands.replay_of)
            return replace(stands, state=Stand.STOPPED, said="a defect in synthmon; see its log")
        if self.stopping:
            return replace(stands, state=Stand.STOPPED, said="the daemon was stopped")
        return replace(stands, state=Stand.OVER, finding=finding_of(plan, made))

    def _remember(self, stands: Replaying) -> None:
        self._known[stands.replay_of] = stands
        self._known.move_to_end(stands.replay_of)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

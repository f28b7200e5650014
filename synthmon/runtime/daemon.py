"""The daemon: journeys on a schedule, until told to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from synthmon import __version__
from synthmon.core.errors import Problem
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.slots import Gap, due
from synthmon.core.status import Reloaded
from synthmon.core.undo.debt_budget import DebtBudget
from synthmon.language.load import Loaded, Loader
from synthmon.language.revive import revive
from synthmon.metrics.board import Board
from synthmon.metrics.own import Own
from synthmon.runtime.arrears import tries_path
from synthmon.runtime.chores import Pulse, forget_what_is_old, watch_budgets
from synthmon.runtime.clock import Bell
from synthmon.runtime.desk import Desk
from synthmon.runtime.garbage import spare_what_stays
from synthmon.runtime.house import House
from synthmon.runtime.inbound import Inbound
from synthmon.runtime.learning import Learning
from synthmon.runtime.past import Past
from synthmon.runtime.pauses import open_pauses, stop_file
from synthmon.runtime.reaper import Reaper
from synthmon.runtime.replays import Replays
from synthmon.runtime.runner import REPLAY, Runner
from synthmon.runtime.switch import Switch
from synthmon.runtime.watch import watch_files

READY_LAG_S = 60.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for on top of the settings."""

    paths: Sequence[str]
    settings_files: Sequence[str] = ()
    listen: str = ""
    store: str = ""
    for_s: float | None = None


class Daemon:
    """Journeys on a schedule, until told to stop."""

    def __init__(self, house: House, loader: Loader, loaded: Loaded, wishes: Wishes) -> None:
        self.house, self._loader, self._loaded, self._wishes = house, loader, loaded, wishes
        self.board = Board(home=self._loaded.settings.location)
        self.own = Own(__version__, self._loaded.settings.location)
        lent, _ = house.lend(self._loaded.settings)
        self.runner = Runner(lent, house.journal, house.history, house.clock, self._told)
        self.runner.spending = house.spending
        pauses = open_pauses(loaded.settings, house.beside)
        self.switch = Switch(pauses, self.runner, lambda: self.journeys, self.board.pause)
        self.runner.scheduled = self.own.scheduled
        self.learning = Learning(lambda: self.runner.lent.settings.location)
        self.runner.clocks, self.runner.learn = self.learning.clocks, self.learning.take
        self.runner.indebted = lambda journey: self._budget().refusal(journey)
        self.past = Past(house, self.runner, lambda: self.journeys)
        self.replays = Replays(house, self.runner, lambda: self._loaded, self.switch.paused)
        self.bell = Bell(self._rung, house.clock)
        self.pulse = Pulse(house.clock, house.doors.lag, self.bell.clock_was_set)
        self.reaper: Reaper | None = None
        self.inbound: Inbound | None = None  # hooks and OTLP, if the settings have `hooks:`
        self.desk = Desk(
            house.history,
            self.runner,
            self.switch,
            self.bell.next_slot,
            self.reload,
            lambda: self.reaper.debts() if self.reaper else (),
            self._budget,
            self._ready,
            self.replays,
            house.leases,
        )
        self.journeys: dict[str, Journey] = {}
        self._stop = asyncio.Event()
        self._chores: list[asyncio.Task[None]] = []
        self._reloading = asyncio.Lock()

    # its life -------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Take up what a dead process left, then ring."""
        loaded = self._loaded
        await self.house.keyring.fetch()
        await asyncio.to_thread(self.runner.lent.people.warm)
        until = self._take(loaded)
        await self.past.remember(self.desk, self.board)
        await self.past.close_holes(until)
        self.reaper = Reaper(
            lambda: self.runner.lent,
            self.house.journal,
            self.house.clock,
            self._find_version,
            self.runner.is_live,
            tries_path(self.house.beside),
        )
        await self._first_look(self.reaper)
        self.own.watch_running(self.runner.running)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        loop.add_signal_handler(signal.SIGUSR1, self.switch.pause_all)
        loop.add_signal_handler(signal.SIGUSR2, self.switch.resume_all)
        spare_what_stays()
        self.bell.start()
        self._chores = [
            asyncio.create_task(self.reaper.run()),
            asyncio.create_task(self.house.keyring.watch()),
            asyncio.create_task(self.pulse.beat(self._take_pulse)),
            asyncio.create_task(forget_what_is_old(self.house, lambda: self.runner.lent.settings)),
            asyncio.create_task(self.learning.recall(self.house.history)),
            asyncio.create_task(self.past.bury()),
            asyncio.create_task(self.switch.watch()),
            asyncio.create_task(watch_budgets(self.house, lambda: self.runner.lent.settings, self.own.spent)),
            asyncio.create_task(watch_files(self._watched(), self._quiet_reload)),
        ]
        _log.info("ready", journeys=len(self.journeys), problems=len(loaded.problems), store=loaded.settings.store)

    async def live(self) -> None:
        """Until somebody says stop, or a chore breaks."""
        stop = asyncio.create_task(self._stop.wait())
        limit = self._wishes.for_s
        done, _ = await asyncio.wait([stop, *self._chores], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for chore in done - {stop}:
            chore.result()  # a chore never ends by itself: what broke it ends the daemon, loudly

    async def end(self) -> None:
        """Ring no more, let runs clean up, save everything."""
        self.bell.stop()
        grace_s = self.runner.lent.settings.grace_s
        _log.info("stopping", running=self.runner.running(), grace_s=grace_s)
        self.replays.stopping = True
        await self.runner.stop(grace_s)
        await self.replays.stop()
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        if self.reaper is not None and (debts := await self._open_debts()):
            _log.warning("open debts are paid at the next start", debts=debts)

    # slots and records ----------------------------------------------------------------------------------------------

    def _rung(self, name: str, come: Gap) -> None:
        journey = self.journeys.get(name)
        if journey is None:
            return
        self.runner.take(journey, due(come, journey.schedule, name, self.house.clock.now()))

    def _told(self, record: Record, journey: Journey) -> None:
        self.replays.told(record)
        if record.journey in self.journeys and record.cause != REPLAY:  # that one says nothing of how a journey stands
            self.board.record(record, journey)
            self.desk.remember([record])
        if record.run_id and record.cause == "schedule":
            self.own.started(record.lateness_ms / 1e3)
        if record.reason == "history_unwritable":
            self.own.unsaved()
        if self.reaper is not None and any(debt.state == "owed" for debt in record.debts):
            self.reaper.take_over(record, journey)
        if record.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            words = {"reason": str(record.reason), "step": record.step, "run": record.run_id}
            _log.warning(str(record.outcome), journey=record.journey, said=record.message, **words)

    # files ----------------------------------------------------------------------------------------------------------

    async def reload(self) -> Reloaded:
        """Read the files again; a bad one is told, and what was good before goes on."""
        async with self._reloading:
            loaded = await asyncio.to_thread(self._loader.reload)
            before = self.journeys
            self._loaded = loaded
            lent, _ = self.house.lend(loaded.settings)
            await self.house.keyring.fetch()
            await asyncio.to_thread(lent.people.warm)
            self.runner.lent = lent
            self._take(loaded)
            tell_problems(loaded.problems)
            now = self.journeys
            changed = [name for name in now if name in before and now[name].digest != before[name].digest]
            told = Reloaded(
                sorted(now.keys() - before.keys()), sorted(changed), sorted(before.keys() - now.keys()), loaded.problems
            )
            _log.info("reloaded", added=told.added, changed=told.changed, removed=told.removed)
            return told

    def _take(self, loaded: Loaded) -> datetime:
        """Ring for these journeys from now on; answers that instant."""
        here = loaded.settings.location
        self.journeys = {j.name: j for j in loaded.journeys if not j.locations or not here or here in j.locations}
        self.board.load(self.journeys.values())
        self.learning.load(self.journeys.values())
        self.desk.show(self.journeys, loaded.problems)
        schedules = ((journey.name, journey.schedule) for journey in self.journeys.values())
        now = self.house.clock.now()
        self.bell.keep(schedules, now)
        errors = sum(problem.level == "error" for problem in loaded.problems)
        self.own.loaded(len(self.journeys), errors, len(loaded.problems) - errors, time.time())
        self.switch.look_at(stop_file(loaded.settings, self.house.beside))
        self.switch.tell()
        return now

    async def _find_version(self, version: str, name: str) -> Journey | None:
        """The journey of a version: loaded now, or made again from the text that the journal keeps."""
        journey = self.journeys.get(name)
        if journey is not None and journey.digest == version:
            return journey
        kept = await self.house.journal.text(version)
        if kept is None:
            return None
        return await asyncio.to_thread(revive, kept, name, self.runner.lent.settings, self.house.forms)

    def _watched(self) -> Sequence[Path]:
        return [Path(path) for path in (*self._wishes.paths, *self._loaded.settings.files)]

    async def _quiet_reload(self) -> None:
        await self.reload()

    # what is asked of it --------------------------------------------------------------------------------------------

    def _ready(self) -> tuple[bool, Mapping[str, Any]]:
        beat_age_s = self.pulse.age_s
        facts = {
            "journeys": len(self.journeys),
            "running": self.runner.running(),
            "beat_age_s": round(beat_age_s, 1),
            "problems": sum(problem.level == "error" for problem in self._loaded.problems),
            "unreadable_secrets": sorted(self.house.keyring.faults),
            "stopping": self._stop.is_set(),
        }
        return beat_age_s < READY_LAG_S and bool(self.journeys) and not self._stop.is_set(), facts

    def _take_pulse(self) -> None:
        """Tell our own metrics how things stand; once a beat."""
        self.own.owes(self._budget(), self.reaper.oldest_s() if self.reaper else 0.0)
        self.own.paused(sum(self.switch.paused(name) for name in self.journeys))
        self.own.circuits(self.house.doors.circuits())
        self.own.lagged(self.pulse.late_s, self.pulse.latest_s)
        self.own.beat(time.time(), up=self._ready()[0])

    async def _first_look(self, reaper: Reaper) -> None:
        """Know what is owed before the first run, which may be one too many."""
        try:
            await reaper.look()
        except OSError as error:
            _log.warning("the journal cannot be read", fault=str(error))

    def _budget(self) -> DebtBudget:
        return self.reaper.budget() if self.reaper else DebtBudget()

    async def _open_debts(self) -> int:
        try:
            return len(await self.house.journal.open_runs())
        except OSError:
            return 0

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            self.runner.let_go()
        self._stop.set()

    def _asked_to_reload(self) -> None:
        task = asyncio.create_task(self._quiet_reload())
        self._chores.append(task)
        task.add_done_callback(lambda done: self._chores.remove(done) if done in self._chores else None)


def tell_problems(problems: Sequence[Problem]) -> None:
    """Mistakes in files, in the log."""
    for problem in problems:
        tell = _log.error if problem.level == "error" else _log.warning
        tell("a mistake in a file", at=str(problem.place), fault=problem.fault, remedy=problem.remedy)

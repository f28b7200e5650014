"""The switch that stops everything, or some journeys, and lets them go on: by API, by signal, or by a file.

What is paused sends nothing forward any more: no run starts, the runs under way stop where they are, and what they
made is taken back. Clean-up goes on as ever. It stays so across restarts, until somebody resumes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from synthmon.core.status import Busy
from synthmon.runtime.pauses import Pauses
from synthmon.runtime.runner import Runner

LOOK_EVERY_S = 0.25

_log = structlog.get_logger(__name__)


class Switch:
    """`journeys` names those that are loaded; `tell` hears of each whether it is paused."""

    def __init__(
        self,
        pauses: Pauses,
        runner: Runner,
        journeys: Callable[[], Iterable[str]],
        tell: Callable[[str, bool], None],
    ) -> None:
        self._pauses, self._runner, self._journeys, self._tell = pauses, runner, journeys, tell
        runner.paused, runner.halted = pauses.paused, pauses.halted

    def paused(self, name: str) -> bool:
        """Whether a journey is paused, by itself or with all."""
        return self._pauses.paused(name)

    def pause(self, name: str | None) -> None:
        """Pause one journey, or all. Raises `OSError` when it will not survive a restart; paused it is all the same."""
        try:
            self._pauses.pause(name)
        finally:
            _log.warning("paused", journey=name or "all of them")
            self._runner.interrupt(lambda journey: name in (None, journey))
            self.tell()

    def resume(self, name: str | None) -> None:
        """Let one journey, or all, go on. Raises `OSError`, or `Busy` as long as the stop file is there."""
        self._pauses.resume(name)
        self.tell()
        if self._pauses.stopped_by_file():
            raise Busy(f"the file {self._pauses.stop_file} stops everything: remove it")
        _log.warning("resumed", journey=name or "all of them")

    def tell(self) -> None:
        """Say of every journey whether it is paused."""
        for name in self._journeys():
            self._tell(name, self._pauses.paused(name))

    def look_at(self, stop_file: Path | None) -> None:
        """Another stop file from now on."""
        self._pauses.stop_file = stop_file

    def pause_all(self) -> None:
        """For a signal: nobody waits for the answer."""
        try:
            self.pause(None)
        except OSError as error:
            _log.error("paused, but not beyond a restart", fault=str(error))

    def resume_all(self) -> None:
        """For a signal: nobody waits for the answer."""
        try:
            self.resume(None)
        except (OSError, Busy) as error:
            _log.error("not resumed", fault=str(error))

    async def watch(self) -> None:
        """See what files say, and other processes that share them, for as long as the daemon lives."""
        while True:
            glance = await asyncio.to_thread(self._pauses.glance)
            before = {name for name in self._journeys() if self._pauses.paused(name)}
            halted = self._pauses.halted()
            if self._pauses.take(glance):
                more = {name for name in self._journeys() if self._pauses.paused(name)} - before
                _log.warning(
                    "the pauses were changed by a file", stopped=self._pauses.halted(), paused=sorted(more)[:20]
                )
                self._runner.interrupt(more.__contains__)
                if self._pauses.halted() and not halted:
                    self._runner.interrupt()
                self.tell()
            await asyncio.sleep(LOOK_EVERY_S)

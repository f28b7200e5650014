"""What the daemon does beside running journeys: it beats, and forgets what is old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from synthmon.core.spending import Budget, budgets_of
from synthmon.language.settings import Settings
from synthmon.runtime.house import House
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.outbound.lag import LoopLag

BEAT_S = 1.0
FORGET_EVERY_S = 3600.0
SPENT_EVERY_S = 15.0
FADES = 0.98  # how much of the worst lag is left after a beat: half of it after half a minute

_log = structlog.get_logger(__name__)


class Pulse:
    """A beat a second: how late the loop was, and whether somebody set the clock."""

    def __init__(self, clock: SteadyClock, lag: LoopLag, clock_was_set: Callable[[], None]) -> None:
        self._clock, self._lag, self._clock_was_set = clock, lag, clock_was_set
        self._at_s = time.monotonic()
        self.late_s = self.latest_s = 0.0

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._at_s

    async def beat(self, told: Callable[[], None]) -> None:
        """For as long as the daemon lives; `told` is called at each beat."""
        while True:
            before_ns = time.monotonic_ns()
            await asyncio.sleep(BEAT_S)
            if (step := self._clock.sync()) is not None:
                _log.warning("the system's clock was set", by_s=step.total_seconds())
                self._clock_was_set()
            self.late_s = self._lag.longest_s(before_ns)
            self.latest_s = max(self.late_s, self.latest_s * FADES)
            self._at_s = time.monotonic()
            told()


async def watch_budgets(house: House, settings: Callable[[], Settings], told: Callable[[Budget, int], None]) -> None:
    """Tell how much of each budget is used, for as long as the daemon lives; other processes spend too."""
    while True:
        for system in settings().systems.values():
            for budget in budgets_of(system):
                try:
                    told(budget, await house.spending.spent(budget, house.clock.now()))
                except OSError as error:
                    _log.warning("what was spent cannot be read", system=system.name, fault=str(error))
        await asyncio.sleep(SPENT_EVERY_S)


async def forget_what_is_old(house: House, settings: Callable[[], Settings]) -> None:
    """Prune history and journal once an hour, for as long as the daemon lives."""
    while True:
        await asyncio.sleep(FORGET_EVERY_S)
        now, kept = house.clock.now(), settings()
        good = now - timedelta(seconds=kept.retention_s)
        bad = now - timedelta(seconds=kept.retention_failed_s)
        try:
            forgotten = await house.history.prune(good, bad)
            forgotten += await house.journal.prune(good)
            await house.pictures.forget(kept.retention_failed_s)
            emptied = await house.history.forget_evidence(kept.keep_evidence)
        except OSError as error:
            _log.warning("old records cannot be forgotten", fault=str(error))
        else:
            _log.info("old records forgotten", records=forgotten, evidence=emptied)

"""What time it is: a wall clock that never runs backwards, carried by the monotonic one."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

SLEWED_S = 0.5  # a smaller difference is a clock being disciplined, and is followed


class Clock(Protocol):
    """The two clocks of a daemon."""

    def monotonic_s(self) -> float:
        """The clock of spans inside a run."""
        ...

    def now(self) -> datetime:
        """UTC."""
        ...

    @property
    def ahead(self) -> timedelta:
        """How far `now` leads the system's clock, because that one was set back."""
        ...


class SteadyClock:
    """UTC that follows the system's clock, save that it does not go back when that one is set back.

    Set back by an hour, the system's clock would name slots a second time that have had their run, and the monitor
    would be silent for an hour; this one goes on and says so (`ahead`). Set forward, it follows at the next `sync`.
    """

    def __init__(
        self, wall_s: Callable[[], float] = time.time, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._offset_s = wall_s() - monotonic_s()
        self.ahead = timedelta()

    def monotonic_s(self) -> float:
        return self._monotonic_s()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._monotonic_s() + self._offset_s, UTC)

    def sync(self) -> timedelta | None:
        """Compare with the system's clock (call about once a second); answers the step if there was one."""
        difference_s = self._wall_s() - self._monotonic_s() - self._offset_s
        before = self.ahead
        if difference_s > -SLEWED_S:
            self._offset_s += difference_s
            self.ahead = timedelta()
        else:
            self.ahead = timedelta(seconds=round(-difference_s, 3))
        step = before + timedelta(seconds=difference_s)  # at the last look it was `before` behind
        return step if abs(step.total_seconds()) > SLEWED_S else None

"""When a journey must not start: windows that an operator has named.

A window is meant both as a span of time and as hours on the wall clock, and where the two differ, when clocks change,
it is quiet by either: from each instant of its schedule on for its whole length, and while the wall shows a time in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Protocol
from zoneinfo import ZoneInfo

from synthmon.core.cron import instants
from synthmon.core.journey import Cron

_MOST_SHIFT = timedelta(days=1)  # no clock was ever set by more


class Window(Protocol):
    """From each instant of `cron` on, for `for_s` seconds, for journeys that a glob of `journeys` names."""

    @property
    def cron(self) -> str: ...
    @property
    def for_s(self) -> float: ...
    @property
    def journeys(self) -> tuple[str, ...]: ...
    @property
    def timezone(self) -> str: ...


def quiet(windows: Sequence[Window], journey: str, at: datetime) -> bool:
    """Whether a start at this instant lies in a window; the window's first instant does, its last does not."""
    return any(_holds(window, at) for window in windows if any(fnmatchcase(journey, glob) for glob in window.journeys))


def _holds(window: Window, at: datetime) -> bool:
    length = timedelta(seconds=window.for_s)
    if next(instants(Cron(window.cron, window.timezone), at - length)) <= at:
        return True
    zone = ZoneInfo(window.timezone)
    if at.astimezone(zone).utcoffset() == (at - length - _MOST_SHIFT).astimezone(zone).utcoffset():
        return False  # no clock was changed: the wall says the same
    wall = at.astimezone(zone).replace(tzinfo=UTC)  # a day that has every hour once
    return next(instants(Cron(window.cron, "UTC"), wall - length)) <= wall

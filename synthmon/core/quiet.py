"""When a journey must not start: windows that an operator has named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Protocol

from synthmon.core.cron import instants
from synthmon.core.journey import Cron


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
    for window in windows:
        if any(fnmatchcase(journey, glob) for glob in window.journeys):
            begin = next(instants(Cron(window.cron, window.timezone), at - timedelta(seconds=window.for_s)))
            if begin <= at:
                return True
    return False

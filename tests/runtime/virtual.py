"""A loop whose time is a number: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]  # the platform's own class
    """Asks for what is ready, never waits, and moves the clock by what it should have waited."""

    jump: Callable[[float], None]

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self.jump(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`stall(seconds)` lets time pass without anything being run: a machine that freezes."""

    def __init__(self) -> None:
        self._now_s = 0.0
        selector = _Jumping()
        selector.jump = self.stall
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now_s

    def stall(self, seconds: float) -> None:
        self._now_s += seconds


class VirtualClock:
    """`runtime.instants.Clock` over a virtual loop."""

    ahead = timedelta()

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic_s(self) -> float:
        return self._loop.time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._loop.time())


def run_virtual(story: Callable[[VirtualLoop, VirtualClock], Coroutine[Any, Any, None]]) -> None:
    """Run a story in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        runner.run(story(loop, VirtualClock(loop)))

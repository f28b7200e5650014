"""A loop whose time is a number: it jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Only timers and what is ready: no sockets, no threads. `stall` lets time pass without anything being run."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__()
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now_s

    def stall(self, seconds: float) -> None:
        self._now_s += seconds

    def _run_once(self) -> None:
        """asyncio's own turn of the loop without its look at sockets, which costs more than all the rest."""
        ready: deque[Any] = self._ready  # type: ignore[attr-defined]
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and (scheduled[0]._cancelled or not ready or scheduled[0]._when <= self._now_s):
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if handle._cancelled:
                self._timer_cancelled_count -= 1
                continue
            self._now_s = max(self._now_s, handle._when)
            ready.append(handle)
        if not ready:
            raise RuntimeError("nothing is left to happen, and somebody waits")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()


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

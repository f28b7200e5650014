"""How far our own event loop is behind, so that our own slowness is never taken for the target's."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator

TICK_S = 0.004
LATE_NS = 6_000_000  # a stall of 10 ms makes a tick late by 10 ms less one tick at least


class LoopLag:
    """A heartbeat on the loop: a tick that comes late was held up by something.

    Every stall over 10 ms is seen, some from 6 ms on; its length is known less one tick.
    """

    def __init__(self) -> None:
        self._stalls: deque[tuple[int, int]] = deque(maxlen=512)
        self._due_ns = 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick on the running loop."""
        self._handle = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._due_ns = time.monotonic_ns() + _TICK_NS

    def stop(self) -> None:
        """Stop ticking."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def behind_s(self) -> float:
        """How late the next tick is now; 0 when it is not due."""
        return max(0, time.monotonic_ns() - self._due_ns) / 1e9 if self._handle is not None else 0.0

    def stalled_s(self, since_ns: int, until_ns: int | None = None) -> float:
        """How long the loop stood still between two monotonic instants (default: now), counting what goes on now."""
        until = time.monotonic_ns() if until_ns is None else until_ns
        return sum(max(0, min(end, until) - max(start, since_ns)) for start, end in self._stalls_after(since_ns)) / 1e9

    def longest_s(self, since_ns: int) -> float:
        """The longest that the loop stood still since an instant."""
        return max((end - max(start, since_ns) for start, end in self._stalls_after(since_ns)), default=0) / 1e9

    def blind_s(self, at_ns: int) -> float:
        """How long before an instant the loop had been standing still already; 0 when it was running just then."""
        return sum(at_ns - start for start, end in self._stalls_after(at_ns) if start < at_ns <= end) / 1e9

    def _stalls_after(self, since_ns: int) -> Iterator[tuple[int, int]]:
        now_ns = time.monotonic_ns()
        if self._handle is not None and now_ns - self._due_ns > LATE_NS:
            yield self._due_ns, now_ns  # the tick is still waiting behind whoever asks
        for stall in reversed(self._stalls):
            if stall[1] < since_ns:
                break
            yield stall

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._due_ns > LATE_NS:
            self._stalls.append((self._due_ns, now_ns))
        self.start()


_TICK_NS = int(TICK_S * 1e9)

"""How fast and how many at once: a system's own limits, kept over all runs together and through a reload."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from math import floor

CATCH_UP_S = 0.05  # how far behind its turn a request may leave without moving those after it
_TICK_S = 1e-6  # less than this a clock may not tell from nothing


class Saturated(Exception):
    """Our own limits kept the request from leaving in time; the message says which."""


class Limiter:
    """The rate and the concurrency of one system.

    Requests start evenly spaced, `1 / rate_per_s` apart (the generic cell rate algorithm, ITU-T I.371), and besides no
    second ever sees more than the rate, also after our own loop stood still. They leave in the order in which they
    came.
    """

    def __init__(
        self,
        name: str,
        rate_per_s: float | None,
        concurrency: int | None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._now_s = name, now_s
        self._rate_per_s, self._concurrency = rate_per_s, concurrency
        self._inside = 0
        self._queue: deque[asyncio.Future[None]] = deque()  # for a place
        self._turn = asyncio.Lock()
        self._waiting = 0  # for a turn
        self._free_at_s = 0.0
        self._left: deque[float] = deque()  # when the last ones left, as many as a window may hold

    def __str__(self) -> str:
        """The limits as the settings say them."""
        said = [f"`rate: {self._rate_per_s:g}/s`"] if self._rate_per_s is not None else []
        said += [f"`concurrency: {self._concurrency}`"] if self._concurrency else []
        return f"system {self._name} has {' and '.join(said)}" if said else f"system {self._name} has no limits"

    def adapt(self, rate_per_s: float | None, concurrency: int | None) -> None:
        """Other numbers from now on; what has left and what is in flight still counts."""
        self._rate_per_s, self._concurrency = rate_per_s, concurrency
        self._let_in()

    async def enter(self, patience_s: float) -> None:
        """Wait for a place and a turn; `leave` must follow. Raises `Saturated` at once for a turn that comes too late.

        How long to wait for a place is the caller's limit.
        """
        until_s = self._now_s() + patience_s
        await self._take_place()
        if self._rate_per_s is not None:
            try:
                await self._take_turn(until_s)
            except BaseException:
                self.leave()
                raise

    def leave(self) -> None:
        """Give the place back."""
        self._inside -= 1
        self._let_in()

    async def _take_place(self) -> None:
        if not self._queue and self._has_room():
            self._inside += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given in the same moment
                self.leave()
            raise

    def _let_in(self) -> None:
        while self._queue and self._has_room():
            place = self._queue.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)

    def _has_room(self) -> bool:
        return not self._concurrency or self._inside < self._concurrency

    async def _take_turn(self, until_s: float) -> None:
        rate_per_s = self._rate_per_s
        assert rate_per_s is not None  # asked by `enter`
        came_s = self._now_s()
        if max(came_s, self._free_at_s) + self._waiting / rate_per_s > until_s:
            raise Saturated(f"no turn before the step's timeout: {self}")
        self._waiting += 1
        try:
            async with self._turn:  # in order: only the first of them sleeps
                # asked again after each sleep: the numbers may have changed, and timers are not exact
                while (rate_per_s := self._rate_per_s) is not None and (rest_s := self._rest_s(rate_per_s)) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(max(rest_s, _TICK_S))
                if rate_per_s is not None:
                    self._note(rate_per_s, came_s)
        finally:
            self._waiting -= 1

    def _rest_s(self, rate_per_s: float) -> float:
        """Seconds until the next one may leave."""
        most, window_s = _window(rate_per_s)
        now_s = self._now_s()
        free_at_s = self._free_at_s
        if len(self._left) >= most:
            free_at_s = max(free_at_s, self._left[-most] + window_s)
        return free_at_s - now_s

    def _note(self, rate_per_s: float, came_s: float) -> None:
        """One leaves now. The next is counted from its turn, which was not before it came."""
        now_s = self._now_s()
        self._free_at_s = max(self._free_at_s, came_s, now_s - CATCH_UP_S) + 1 / rate_per_s
        self._left.append(now_s)
        while len(self._left) > _window(rate_per_s)[0]:
            self._left.popleft()


def _window(rate_per_s: float) -> tuple[int, float]:
    """(most requests, seconds) that the rate stands for: 5/s is 5 in a second, 0.5/s is one in two seconds."""
    most = max(1, floor(rate_per_s))
    return most, most / rate_per_s

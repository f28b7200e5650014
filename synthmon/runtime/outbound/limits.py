"""How fast and how many at once: a system's own limits, kept over all runs together."""

from __future__ import annotations

import asyncio
import time


class Saturated(Exception):
    """Our own limits kept the request from leaving in time; the message says which."""


class Limiter:
    """The rate and the concurrency of one system.

    Requests start evenly spaced, at least `1 / rate_per_s` apart, so that no second sees a burst (the generic cell
    rate algorithm, ITU-T I.371, with no tolerance).
    """

    def __init__(self, name: str, rate_per_s: float | None, concurrency: int | None) -> None:
        self._name, self._rate_per_s, self._concurrency = name, rate_per_s, concurrency
        self._room = asyncio.Semaphore(concurrency) if concurrency else None
        self._free_at_s = 0.0

    def __str__(self) -> str:
        """The limits as the settings say them."""
        said = [f"`rate: {self._rate_per_s:g}/s`"] if self._rate_per_s is not None else []
        said += [f"`concurrency: {self._concurrency}`"] if self._concurrency else []
        return f"system {self._name} has {' and '.join(said)}" if said else f"system {self._name} has no limits"

    async def enter(self, patience_s: float) -> None:
        """Wait for a place and a turn; `leave` must follow. Raises `Saturated` at once for a turn that comes too late.

        How long to wait for a place is the caller's limit.
        """
        until_s = time.monotonic() + patience_s
        if self._room is not None:
            await self._room.acquire()
        if self._rate_per_s is not None:
            try:
                await self._take_turn(self._rate_per_s, until_s)
            except BaseException:
                self.leave()
                raise

    def leave(self) -> None:
        """Give the place back."""
        if self._room is not None:
            self._room.release()

    async def _take_turn(self, rate_per_s: float, until_s: float) -> None:
        now_s = time.monotonic()
        turn_s = max(now_s, self._free_at_s)
        if turn_s > until_s:
            raise Saturated(f"no turn before the step's timeout: {self}")
        self._free_at_s = turn_s + 1 / rate_per_s
        if turn_s > now_s:
            await asyncio.sleep(turn_s - now_s)

"""A source that has to be asked: it is looked at again and again until the run needs it no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from synthmon.core.evidence import Blind, Tell
from synthmon.core.outcomes import Reason

LIMIT_S = 30.0  # of one look
PIECE_S = 0.004  # of the loop's time, without a break


def every_s(lag_s: float) -> float:
    """How often to look at a source that has this lag."""
    return min(max(lag_s / 2, 0.5), 5.0)


class Breath:
    """Lets others have the loop, in the midst of long work: ask for a breath between any two pieces of it."""

    def __init__(self) -> None:
        self._since_s = time.perf_counter()

    async def take(self) -> None:
        """Wait for the others, if it has been long."""
        if time.perf_counter() - self._since_s > PIECE_S:
            await asyncio.sleep(0)
            self._since_s = time.perf_counter()


class Looking:
    """`core.door.OpenEar` of a source that is asked: `look` tells what it found, every so many seconds. A source that
    keeps no `widen` looks on for the keys that it was given."""

    def __init__(
        self,
        name: str,
        where: str,
        interval_s: float,
        look: Callable[[], Awaitable[None]],
        tell: Tell,
        widen: Callable[[tuple[str, ...]], None] = lambda keys: None,
    ) -> None:
        self._name, self._where, self._interval_s, self._look, self._tell = name, where, interval_s, look, tell
        self._widen = widen
        self._task = asyncio.create_task(self._look_on(), name=f"evidence {name}")

    @property
    def where(self) -> str:
        return self._where

    def widen(self, keys: tuple[str, ...]) -> None:
        """Let the next look ask for these keys too (`core.sources.Widens`)."""
        self._widen(keys)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await self._look_once()
            await asyncio.sleep(max(began_s + self._interval_s - loop.time(), self._interval_s / 10))

    async def _look_once(self) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._look()
        except TimeoutError:
            self._tell(Blind(self._name, Reason.TIMEOUT, f"{self._where} did not answer within {LIMIT_S:g}s"))
        except Exception as error:  # noqa: BLE001  a defect in one source must not end the run, nor look like silence
            self._tell(Blind(self._name, Reason.BROKEN, f"{self._where} could not be read: {error!r}"))

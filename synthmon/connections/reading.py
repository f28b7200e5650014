"""An ear that reads by itself, in a task of its own, until it is closed or cannot go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from synthmon.core.door import Hear

AGAIN_S = 0.1


class ReadingEar:
    """The part of `core.door.OpenEar` that is the same for all that read.

    `lost` is told why when it cannot go on; `closed` that it is no more.
    """

    def __init__(self, where: str, hear: Hear, lost: Callable[[str], None], closed: Callable[[Any], None]) -> None:
        self._where, self._hear, self._lost, self._closed = where, hear, lost, closed
        self._reading: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        return self._where

    def read_on(self) -> None:
        """From now on by itself."""
        self._reading = asyncio.create_task(self._read())

    async def halt(self) -> None:
        """Read no more; what is held for it stays."""
        while self._reading is not None and not self._reading.done():
            self._reading.cancel()  # again: a library may take it for the end of a timeout of its own
            await asyncio.wait([self._reading], timeout=AGAIN_S)

    async def aclose(self) -> None:
        await self.halt()
        await self._let_go()
        self._closed(self)

    async def _read(self) -> None:
        try:
            while True:
                await self._next()
        # a reader that ends must be told of, whatever ended it: nothing is heard any more
        except Exception as error:  # noqa: BLE001
            self._lost(f"{self._where} cannot be read: {type(error).__name__}: {error}")

    async def _next(self) -> None:
        """Wait for what comes next, and tell it."""
        raise NotImplementedError

    async def _let_go(self) -> None:
        """Give back what is held for it. Never raises."""

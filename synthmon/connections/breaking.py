"""Whether a link still holds: what every kind of connection answers when it is asked."""

from __future__ import annotations

import asyncio


class Breakable:
    """The part of `core.connections.Link` that is the same for all: call `break_off` once the connection is lost."""

    def __init__(self) -> None:
        self._broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def broken(self) -> bool:
        return self._broken.done()

    async def until_broken(self) -> str:
        return await asyncio.shield(self._broken)

    def break_off(self, why: str) -> None:
        """It is lost; only the first reason counts."""
        if not self._broken.done():
            self._broken.set_result(why)

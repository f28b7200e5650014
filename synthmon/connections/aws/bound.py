"""A listener with a queue of its own that AWS feeds: bound, resumed after a lost connection, taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from synthmon.connections.aws.opening import open_service
from synthmon.connections.aws.own import Own, SignOfLife, Sweep, quietly, removed, there
from synthmon.connections.aws.queues import QueueEar, Read
from synthmon.connections.breaking import Breakable
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import Hear, OpenEar

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service
    from synthmon.connections.aws.endpoints import Endpoint


class OwnEar(QueueEar):
    """`core.door.OpenEar` of one queue of our own."""

    own: Own


class FedLink(Breakable):
    """The part of a link that is the same for a topic and for a bus: its listeners have queues of their own."""

    kind: str

    def __init__(self, feeder: Service, queues: Endpoint, outlet: Outlet, wait_s: float) -> None:
        super().__init__()
        self._feeder, self._queues, self._outlet, self._wait_s = feeder, queues, outlet, wait_s
        self._sqs: Service | None = None
        self._opening = asyncio.Lock()
        self._sweep: Sweep | None = None
        self._ears: set[OwnEar] = set()

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        sqs = await self._with_queues()
        assert self._sweep is not None  # made with it
        self._sweep.begin()
        own = await self._bind(sqs, to)
        try:
            await asyncio.sleep(self._wait_s)
        except BaseException:
            await self._take_away(sqs, own)
            raise
        return self._reading(sqs, own, to, hear)

    async def resume(self, to: Mapping[str, str], hear: Hear, stopped: OpenEar) -> OpenEar:
        """The queue went on to be filled while nobody could read it; if it is gone, a new one hears from now on."""
        sqs = await self._with_queues()
        if isinstance(stopped, OwnEar):
            await stopped.halt()
            if await there(sqs, stopped.own):
                return self._reading(sqs, stopped.own, to, hear)
            await self._take_away(sqs, stopped.own)
        return await self.listen(to, hear)

    async def aclose(self) -> None:
        for ear in tuple(self._ears):
            await ear.halt()
        if self._sweep is not None:
            await self._sweep.aclose()
        if self._sqs is not None:
            await self._sqs.aclose()
        await self._feeder.aclose()
        self.break_off("it was closed")

    async def swept(self) -> None:
        """Wait until what was left behind is gone."""
        if self._sweep is not None:
            await self._sweep.done()

    async def _bind(self, sqs: Service, to: Mapping[str, str]) -> Own:
        """A queue that is fed from now on; nothing is left of it after a failure. Raises what the services raise."""
        raise NotImplementedError

    async def _unbind(self, own: Own) -> None:
        """It is fed no more. Raises what the services raise."""
        raise NotImplementedError

    def _reader(self, to: Mapping[str, str]) -> Read:
        """How a message in the queue is read."""
        raise NotImplementedError

    async def _take_away(self, sqs: Service, own: Own) -> None:
        """First what feeds it: by the queue a later sweep finds the rest."""

        async def both() -> None:
            await self._freed(own)
            await removed(sqs, own.url)

        await quietly(both)

    async def _freed(self, own: Own) -> None:
        from synthmon.connections.aws.words import missing

        try:
            await self._unbind(own)
        except ConnectionTrouble as error:
            if not missing(error):  # the topic or the bus is gone, and what was bound to it
                raise

    async def _with_queues(self) -> Service:
        async with self._opening:
            if self._sqs is None:
                self._sqs = await open_service("sqs", self._queues, self._outlet)
                self._sweep = Sweep(self._sqs, self.kind, self._freed)
            return self._sqs

    def _reading(self, sqs: Service, own: Own, to: Mapping[str, str], hear: Hear) -> OwnEar:
        async def let_go() -> None:
            await self._take_away(sqs, own)

        closed: Callable[[OwnEar], None] = self._ears.discard
        where = "/".join(to.values())
        ear = OwnEar(
            where, sqs, own.url, self._reader(to), hear, self.break_off, closed, SignOfLife(sqs, own.url), let_go
        )
        ear.own = own
        self._ears.add(ear)
        ear.read_on()
        return ear

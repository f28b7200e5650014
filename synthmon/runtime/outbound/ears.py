"""A listener that outlives its connection: bound again when that breaks, and the time between is told as a gap."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from synthmon.core.connections import Hears, Link, Resumes
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Gap
from synthmon.core.outcomes import Reason
from synthmon.runtime.outbound.guard import Refused
from synthmon.runtime.outbound.links import Links

AGAIN_S = 0.2  # between two attempts to bind again

_log = structlog.get_logger(__name__)


async def bind(links: Links, name: str, to: Mapping[str, str], hear: Hear, lost: Reason) -> OpenEar:
    """Listen over a connection until closed; `lost` is the reason of a gap. Raises what the first attempt raises."""
    ear = _KeptEar(links, name, to, hear, lost)
    await ear.begin()
    return ear


class _KeptEar:
    """`core.door.OpenEar` over whatever link the connection has at the time."""

    def __init__(self, links: Links, name: str, to: Mapping[str, str], hear: Hear, lost: Reason) -> None:
        self._links, self._name, self._to, self._hear, self._lost = links, name, to, hear, lost
        self._task: asyncio.Task[None] | None = None
        self._ear: OpenEar | None = None

    @property
    def where(self) -> str:
        return self._ear.where if self._ear else self._name

    async def begin(self) -> None:
        link = await self._bound()
        self._task = asyncio.create_task(self._keep(link))

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._ear is not None:
            await self._ear.aclose()

    async def _bound(self) -> Link:
        link = await self._links.get(self._name)
        if not isinstance(link, Hears):
            raise Refused(f"nothing can be heard over {self._links.connection(self._name).word}")
        if self._ear is not None and isinstance(link, Resumes):
            self._ear = await link.resume(self._to, self._hear, self._ear)
        else:
            self._ear = await link.listen(self._to, self._hear)
        return link

    async def _keep(self, link: Link) -> None:
        while True:
            why = await link.until_broken()
            self._hear(Gap(self._lost, f"the connection {self._name} was lost while it listened: {why}"))
            while True:
                try:
                    link = await self._bound()
                    break
                except Exception as error:  # noqa: BLE001  whatever its library raises: it is tried until closed
                    _log.info("a listener waits for its connection", connection=self._name, error=str(error))
                    await asyncio.sleep(AGAIN_S)

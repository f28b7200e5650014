"""Opens a service of AWS without holding the loop: its library takes a second to be read in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from synthmon.connections.aws.endpoints import Endpoint
from synthmon.core.connections import Outlet

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service


async def open_service(name: str, endpoint: Endpoint, outlet: Outlet) -> Service:
    """The service, by the name that boto has for it (`sqs`). Raises what the guard raises."""
    await outlet.pinned(endpoint.host, endpoint.port)  # refused before anything is read in
    session = await asyncio.to_thread(_prepared, name)
    from synthmon.connections.aws.client import connected

    return await connected(session, name, endpoint, outlet)


def _prepared(name: str) -> Any:
    from synthmon.connections.aws.client import prepared

    return prepared(name)

"""A shop by HTTP that does something with each order after it has answered it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

Act = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shop:
    """One that listens."""

    url: str


@asynccontextmanager
async def shop(act: Act) -> AsyncIterator[Shop]:
    """Answer every request with 202, then `act` on its JSON; what it raises is raised at the end."""
    acting: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        body = json.loads(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        acting.add(asyncio.ensure_future(act(body)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield Shop(f"http://{host}:{port}")
    finally:
        server.close()
        await server.wait_closed()
        for task in acting:
            if not task.done():
                task.cancel()
        for ended in await asyncio.gather(*acting, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

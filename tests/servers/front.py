"""What stands before a server: TLS with a certificate of the test, or nothing but a count of who comes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Greet = Callable[[Streams, Streams], Awaitable[bool]]
"""Speaks with (client, server) first; whether the client may go on to the server."""


@dataclass
class Front:
    """Where it listens, and how many came."""

    host: str
    port: int = 0
    visitors: int = 0
    _open: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def front(
    port: int, behind: int = 0, tls: ssl.SSLContext | None = None, greet: Greet | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Front]:
    """Relay to the port `behind` of loopback; 0: whoever comes is counted and sent away."""
    made = Front(host)

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.visitors += 1
        task = asyncio.current_task()
        assert task is not None
        made._open.add(task)
        try:
            if behind:
                await _relay((reader, writer), behind, greet)
        except (OSError, EOFError, asyncio.CancelledError):
            """Either side has gone, or the front ends."""
        finally:
            made._open.discard(task)
            writer.close()

    server = await asyncio.start_server(visit, host, port, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(made._open):
            task.cancel()
        await asyncio.gather(*made._open, return_exceptions=True)


async def _relay(client: Streams, behind: int, greet: Greet | None) -> None:
    server = await asyncio.open_connection("127.0.0.1", behind)
    try:
        if greet is None or await greet(client, server):
            ways = [asyncio.create_task(_copy(client[0], server[1])), asyncio.create_task(_copy(server[0], client[1]))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
    finally:
        server[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()

"""Runs one probe against servers of a test: settings from a few words, servers on loopback that close by themselves."""

from __future__ import annotations

import asyncio
import ssl
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from synthmon.core.run import Record
from tests.connections.running import run_probe

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Port:
    """A server that is told what to do with each connection. `connections` counts those that came."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    def break_off(self) -> None:
        """Reset every connection, as a process that is killed does."""
        for writer in self.writers:
            writer.transport.abort()


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Port]:
    """A server on a port of its own."""
    made = Port()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        made.writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError):  # the probe hangs up when it likes
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.break_off()
        await asyncio.sleep(0)


async def run_steps(folder: Path, steps: str, base: str, options: str = "", secrets: str = "") -> Record:
    """The record of one run of these steps at a system of this base; `options` are more keys of the system."""
    return await run_probe(folder, probe(steps), settings(base, options, secrets))


def probe(steps: str) -> str:
    return "journey: spoken\nevery: 1m\ndeadline: 30s\nsystem: shop\nsteps:\n" + textwrap.indent(
        textwrap.dedent(steps).strip("\n"), "  "
    )


def settings(base: str, options: str = "", secrets: str = "") -> str:
    lines = f"systems:\n  shop:\n    base: {base}\n" + textwrap.indent(textwrap.dedent(options).strip("\n"), "    ")
    return f"{lines}\n{textwrap.dedent(secrets)}"

"""Servers that send exactly these bytes, for the tests of the wire transport."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvloop

from synthmon.runtime.outbound.stamps import Address, Resolve, Stamps
from synthmon.runtime.wire.transport import WireTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Served:
    """What a server saw."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # a request has come
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # a client has ended its connection

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def on_every_loop(test: Callable[[], Awaitable[None]]) -> Callable[[str], None]:
    """Run an async test on asyncio's own loop and on uvloop."""

    def run(loop: str) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(asyncio.wait_for(test(), 90))

    run.__name__, run.__module__ = test.__name__, test.__module__
    return pytest.mark.parametrize("loop", LOOPS)(run)


@asynccontextmanager
async def serving(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Served]:
    """A server that runs the script for each connection and closes it behind."""
    served, talks = Served(), set[asyncio.Task[Any]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        served.connections += 1
        reader_of[reader] = served
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await script(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # the end of the test
        finally:
            reader_of.pop(reader)
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        await turn_over()  # what was accepted just now becomes a talk
        for task in tuple(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await turn_over()


async def turn_over() -> None:
    """Let the loop finish what it has begun: transports are made and closed in steps."""
    for _ in range(10):
        await asyncio.sleep(0)


reader_of: dict[asyncio.StreamReader, Served] = {}


async def take_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its Content-Length body, noted for the test; raises IncompleteReadError at the end."""
    served = reader_of[reader]
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        for line in request.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                request += await reader.readexactly(int(line.split(b":")[1]))
    except (asyncio.IncompleteReadError, ConnectionError):
        served.gone.set()
        raise
    served.requests.append(request)
    served.asked.set()
    return request


def answering(*answers: bytes, then_close: bool = False) -> Script:
    """The n-th request of a connection gets the n-th answer, later ones the last or, with `then_close`, the end."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await take_request(reader)
            writer.write(answers[min(number, len(answers) - 1)])
            await writer.drain()
            number += 1
            if then_close and number == len(answers):
                return

    return script


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read everything, say nothing."""
    await take_request(reader)
    while await reader.read(65536):
        pass
    reader_of[reader].gone.set()


async def loopback(host: str, port: int) -> Sequence[Address]:
    return [Address(socket.AF_INET, "127.0.0.1", port)]


@asynccontextmanager
async def transport(
    resolve: Callable[[str, int], Awaitable[Sequence[Address]]] = loopback, tls: ssl.SSLContext | None = None
) -> AsyncIterator[WireTransport]:
    wire = WireTransport(resolve, tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    try:
        yield wire
    finally:
        await wire.aclose()


async def fetch(
    wire: WireTransport,
    url: str,
    method: str = "GET",
    *,
    stamps: Stamps | None = None,
    within_s: float = 10.0,
    **parts: Any,
) -> httpx.Response:
    """One request with its stamps and a deadline; further extensions in `limits`."""
    extensions: dict[str, Any] = dict(parts.pop("limits", {}))
    extensions["stamps"] = Stamps() if stamps is None else stamps
    extensions["deadline_ns"] = time.monotonic_ns() + int(within_s * 1e9)
    response = await wire.handle_async_request(httpx.Request(method, url, extensions=extensions, **parts))
    await response.aread()
    return response


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


async def until_open(files: int) -> None:
    """The server's side of a connection closes a moment later than ours."""
    async with asyncio.timeout(30):
        while open_files() > files:  # noqa: ASYNC110  (the kernel tells nobody)
            await asyncio.sleep(0.01)


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue is full: the kernel drops what wants to connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as waiting:
        port = int(listener.getsockname()[1])
        for _ in range(4):
            sock = waiting.enter_context(socket.socket())
            sock.setblocking(False)
            assert sock.connect_ex(("127.0.0.1", port)) in (0, errno.EINPROGRESS)
        yield port


def resolving_to(*hosts: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET6 if ":" in h else socket.AF_INET, h, port) for h in hosts]

    return resolve

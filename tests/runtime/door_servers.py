"""Servers that behave as badly as a test wants, on ephemeral loopback ports, and doors that lead to them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from synthmon.core.door import Envelope, HttpAnswer, Trouble
from synthmon.core.secrets import Vault
from synthmon.core.system import System
from synthmon.runtime.doors import SIZES, Doors
from synthmon.runtime.outbound.door import HttpDoor, Sizes
from synthmon.runtime.outbound.names import LookUp
from synthmon.runtime.outbound.stamps import Address

RUN = "4bf92f3577b34da6a3ce929d0e0e4736"
ENVELOPE = Envelope(RUN, "checkout", "shop", timeout_s=5)

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def talking(
    talk: Talk, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """A server whose connections each run `talk`; gives its port. Ends with its connections."""
    conversations: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # the door hung up, or the test is over
        finally:
            conversations.discard(task)
            writer.close()

    server = await asyncio.start_server(converse, host, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


@dataclass
class Heard:
    """One request as the target saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Target:
    """A well-behaved server that remembers what it heard. `answers` maps a path to bytes or to a `Talk`."""

    answers: Mapping[str, bytes] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            heard = await read_request(reader)
            self.heard.append(heard)
            writer.write(self.answers.get(heard.path.partition("?")[0], answer(b'{"ok": true}')))
            await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Heard:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = dict[str, str]()
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} was sent twice"
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, path, headers, body)


def answer(body: bytes = b"", status: int = 200, kind: str = "application/json", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: int = 302) -> bytes:
    return answer(b"", status, "text/plain", f"Location: {location}")


def names(table: Mapping[str, str | Sequence[str]]) -> LookUp:
    """A resolver that knows only this table."""

    async def look_up(name: str, port: int) -> Sequence[Address]:
        if name not in table:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = table[name]
        hosts: Iterable[str] = (found,) if isinstance(found, str) else found
        return [Address(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port) for host in hosts]

    return look_up


def shop(base: str | int, **changes: Any) -> System:
    """The system of a test; a port stands for a base on 127.0.0.1."""
    url = f"http://127.0.0.1:{base}" if isinstance(base, int) else base
    known = {"name": "shop", "base": {"": url}, "allow": (), "writes": True, "transport": "stock"}
    return System(**{**known, **changes})


@asynccontextmanager
async def door_to(
    system: System,
    vault: Vault | None = None,
    look_up: LookUp | None = None,
    sizes: Sizes = SIZES,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[HttpDoor]:
    """A door of one run to one system."""
    async with Doors({"shop": system}, look_up=look_up, sizes=sizes) as doors:
        door = doors.open(RUN, "checkout", vault or Vault({}), headers=headers or {})
        try:
            yield door
        finally:
            await door.aclose()


def answered(result: HttpAnswer | Trouble) -> HttpAnswer:
    assert isinstance(result, HttpAnswer), result
    return result


def troubled(result: HttpAnswer | Trouble) -> Trouble:
    assert isinstance(result, Trouble), result
    return result

"""A reverse proxy that stands before the shop and answers as one broken part would."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_BETWEEN_HOPS = frozenset(("host", "connection", "content-length", "transfer-encoding", "date", "server"))
_DRIP_S = 0.25


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a journey. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> Mapping[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def run(self) -> str:
        return self.headers.get("x-correlation-id", "")

    @property
    def journey(self) -> str:
        """Who asks, from the user agent of synthmon."""
        found = re.search(r"\(synthetic; (.+?)\)", self.headers.get("user-agent", ""))
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `true` says that the shop itself gave it, and nobody changed what it did or said."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    true: bool = False

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def says_json(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/json")


@dataclass(frozen=True, slots=True)
class Dripping:
    """An answer whose body comes one byte at a time."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks before the answer."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing comes, and the connection stays open."""


Wire = Answer | Dripping | Reset | Silence


@dataclass(slots=True)
class Call:
    """One request on its way to the shop; `memory` lasts as long as the proxy."""

    asked: Asked
    memory: dict[str, Any]
    _host: str
    _port: int

    async def shop(self, asked: Asked | None = None) -> Answer:
        """What the shop answers to this request, or to another in its place."""
        return replace(await _ask(self._host, self._port, asked or self.asked), true=asked is None)

    def first_time(self) -> bool:
        """Whether this request was never sent before under its Idempotency-Key."""
        known = self.memory.setdefault("keys", set())
        first = self.asked.key not in known
        known.add(self.asked.key)
        return first


Act = Callable[[Call], Awaitable[Wire]]


async def honest(call: Call) -> Wire:
    """No fault: what the shop says."""
    return await call.shop()


@dataclass(slots=True)
class Proxy:
    """An open proxy. `struck` fills with the journeys that were answered otherwise than the shop would have."""

    url: str
    struck: set[str] = field(default_factory=set)


@asynccontextmanager
async def faulty(act: Act, shop_url: str) -> AsyncIterator[Proxy]:
    """Run a proxy with one fault on a free loopback port."""
    memory: dict[str, Any] = {}
    talking: set[asyncio.Task[None]] = set()
    shop = urlsplit(shop_url)
    host, port = shop.hostname or "", shop.port or 80

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # a handler of asyncio's server is a task
        talking.add(task)
        try:
            while (asked := await _read(reader)) is not None:
                wire = await act(Call(asked, memory, host, port))
                if not (isinstance(wire, Answer) and wire.true):
                    proxy.struck.add(asked.journey)
                await _send(wire, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client has had enough, or the test is over
        finally:
            writer.close()
            talking.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = Proxy(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield proxy
    finally:
        server.close()
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await server.wait_closed()


async def _ask(host: str, port: int, asked: Asked) -> Answer:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        kept = {name: value for name, value in asked.headers.items() if name not in _BETWEEN_HOPS}
        ours = {"host": f"{host}:{port}", "connection": "close", "content-length": str(len(asked.body))}
        writer.write(_lines(f"{asked.method} {asked.target} HTTP/1.1", kept | ours) + asked.body)
        first, headers = await _head_of(reader)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    finally:
        writer.close()
    shown = {name: value for name, value in headers.items() if name not in _BETWEEN_HOPS}
    return Answer(int(first.split(" ")[1]), shown, body)


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        first, headers = await _head_of(reader)
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


async def _head_of(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def _send(wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match wire:
        case Answer():
            writer.write(_head(wire) + wire.body)
            await writer.drain()
        case Dripping(answer):
            writer.write(_head(answer))
            for at in range(len(answer.body)):
                writer.write(answer.body[at : at + 1])
                await writer.drain()
                await asyncio.sleep(_DRIP_S)
        case Reset():
            # lingering for zero seconds makes close() send RST in place of FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionResetError
        case Silence():
            with suppress(ConnectionError):
                await reader.read()


def _head(answer: Answer) -> bytes:
    length = {} if answer.status == 204 else {"content-length": str(len(answer.body))}  # RFC 9110 §8.6
    return _lines(f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", {**answer.headers, **length})


def _lines(first: str, headers: Mapping[str, str]) -> bytes:
    return "\r\n".join([first, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode("latin-1")


def changed(answer: Answer, body: Any) -> Answer:
    """The answer with another JSON body; the same answer if the body is the same."""
    if body == answer.json:
        return answer
    return replace(answer, body=json.dumps(body).encode(), true=False)

"""Which connections are used again, and which requests are sent again when one was gone."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from synthmon.runtime.outbound.stamps import Stamps
from tests.runtime.wire_servers import (
    OK,
    Script,
    answering,
    fetch,
    on_every_loop,
    reader_of,
    serving,
    take_request,
    transport,
)

CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


@on_every_loop
async def test_a_clean_connection_is_used_again() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n"
    first, second = Stamps(), Stamps()
    async with serving(answering(OK, chunked, OK)) as served, transport() as wire:
        await fetch(wire, served.url(), stamps=first)
        await fetch(wire, served.url(), "POST", stamps=second, content=b"x")
        await fetch(wire, served.url())

    assert served.connections == 1
    assert (first.reused, second.reused) == (False, True)
    assert (second.resolved_ns, second.connected_ns) == (0, 0)
    assert second.sent_ns > first.done_ns
    assert second.address == "127.0.0.1"


@pytest.mark.parametrize(
    "first",
    [
        CLOSE,
        OK + b"\r\n",
        OK + b"HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_is_not_clean_is_not_used_again(first: bytes) -> None:
    async with serving(answering(first)) as served, transport() as wire:
        for _ in range(2):
            assert (await fetch(wire, served.url())).status_code == 200

    assert served.connections == 2


async def test_a_request_that_asks_to_close_is_the_last_of_its_connection() -> None:
    async with serving(answering(OK)) as served, transport() as wire:
        for _ in range(2):
            await fetch(wire, served.url(), headers={"Connection": "close"})

    assert served.connections == 2


@on_every_loop
async def test_bytes_that_nobody_asked_for_end_an_idle_connection() -> None:
    go_on = asyncio.Event()

    async def poison(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(OK)
        if reader_of[reader].connections == 1:
            await go_on.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await take_request(reader)

    async with serving(poison) as served, transport() as wire:
        await fetch(wire, served.url())
        go_on.set()
        await served.gone.wait()
        response = await fetch(wire, served.url())

    assert response.text == "ok"
    assert served.connections == 2


@on_every_loop
async def test_requests_side_by_side_have_a_connection_each() -> None:
    both = asyncio.Barrier(2)

    async def together(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        await both.wait()
        writer.write(OK)
        await take_request(reader)

    async with serving(together) as served, transport() as wire:
        await asyncio.gather(fetch(wire, served.url("/a")), fetch(wire, served.url("/b")))

    assert served.connections == 2


def closing_after_first(how: str) -> Script:
    """The first connection answers once, then ends when the second request has come; later ones answer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = reader_of[reader].connections == 1
        await take_request(reader)
        writer.write(OK)
        await take_request(reader)
        if not first:
            writer.write(OK)
        elif how == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        elif how == "half":
            writer.write(b"HTTP/1.1 200 ")

    return script


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_idempotent_request_is_repeated_once_when_its_kept_connection_was_gone(how: str, method: str) -> None:
    stamps = Stamps()
    async with serving(closing_after_first(how)) as served, transport() as wire:
        await fetch(wire, served.url("/first"))
        response = await fetch(wire, served.url("/second"), method, stamps=stamps)

    assert response.status_code == 200
    assert [request.split()[1] for request in served.requests] == [b"/first", b"/second", b"/second"]
    assert not stamps.reused
    assert stamps.written
    assert stamps.began_ns <= stamps.resolved_ns <= stamps.connected_ns <= stamps.sent_ns


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_post_is_not_repeated_once_a_byte_of_it_left(how: str) -> None:
    stamps = Stamps()
    async with serving(closing_after_first(how)) as served, transport() as wire:
        await fetch(wire, served.url("/first"))
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await fetch(wire, served.url("/second"), "POST", stamps=stamps, content=b"x")

    assert len(served.requests) == 2
    assert stamps.written


async def test_nothing_is_repeated_once_a_byte_of_the_answer_came() -> None:
    async with serving(closing_after_first("half")) as served, transport() as wire:
        await fetch(wire, served.url("/first"))
        with pytest.raises(httpx.RemoteProtocolError, match="end of the head"):
            await fetch(wire, served.url("/second"))

    assert len(served.requests) == 2


async def test_a_new_connection_that_ends_is_not_tried_again() -> None:
    async with serving(answering(b"", then_close=True)) as served, transport() as wire:
        with pytest.raises(httpx.RemoteProtocolError, match="without an answer"):
            await fetch(wire, served.url())

    assert len(served.requests) == 1


@on_every_loop
async def test_a_kept_connection_that_closed_in_the_meantime_is_replaced_also_for_a_post() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    closed = asyncio.Event()
    async with serving(once) as served, transport() as wire:
        await fetch(wire, served.url())
        await closed.wait()
        await asyncio.sleep(0)
        response = await fetch(wire, served.url(), "POST", content=b"x")

    assert response.status_code == 200
    assert len(served.requests) == 2

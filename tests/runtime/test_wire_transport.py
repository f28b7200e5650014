"""The wire transport against servers that send exact bytes, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from synthmon.runtime.outbound.stamps import Stamps, TooLarge
from synthmon.runtime.wire.connection import Connection
from synthmon.runtime.wire.parse import Answer
from tests.runtime.wire_servers import (
    OK,
    answering,
    fetch,
    on_every_loop,
    reader_of,
    serving,
    take_request,
    transport,
)


@on_every_loop
async def test_an_answer_comes_back_as_httpx_knows_it() -> None:
    sent = b'HTTP/1.1 201 Made It\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 8\r\n\r\n{"a": 1}'
    async with serving(answering(sent)) as served, transport() as wire:
        response = await fetch(wire, served.url("/orders?x=1"), "POST", content=b"hello")

    assert response.status_code == 201
    assert response.reason_phrase == "Made It"
    assert response.http_version == "HTTP/1.1"
    assert response.headers.get_list("x-a") == ["1", "2"]
    assert response.json() == {"a": 1}
    assert served.requests[0].startswith(b"POST /orders?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % served.port)
    assert served.requests[0].endswith(b"\r\n\r\nhello")


@on_every_loop
async def test_an_httpx_client_can_use_it() -> None:
    async with serving(answering(OK)) as served, transport() as wire, httpx.AsyncClient(transport=wire) as client:
        response = await client.get(served.url())

    assert response.text == "ok"
    assert response.url == served.url()


@on_every_loop
async def test_the_stamps_of_a_new_connection_are_in_order() -> None:
    stamps = Stamps()
    before_ns = time.monotonic_ns()
    async with serving(answering(OK)) as served, transport() as wire:
        await fetch(wire, served.url(), stamps=stamps)

    instants = [
        before_ns,
        stamps.began_ns,
        stamps.resolved_ns,
        stamps.connected_ns,
        stamps.sent_ns,
        stamps.first_byte_ns,
        stamps.done_ns,
        time.monotonic_ns(),
    ]
    assert instants == sorted(instants)
    assert (stamps.secured_ns, stamps.reused, stamps.written, stamps.address) == (0, False, True, "127.0.0.1")


@on_every_loop
async def test_a_large_body_goes_out_and_a_large_one_comes_back() -> None:
    body = os.urandom(3_000_000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)  # the socket buffers fill, so that the request leaves in parts
        request = await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + request.partition(b"\r\n\r\n")[2])
        await writer.drain()
        await take_request(reader)

    async with serving(echo) as served, transport() as wire:
        response = await fetch(wire, served.url(), "POST", content=body)

    assert response.content == body


@on_every_loop
async def test_an_answer_that_comes_before_the_request_was_read_is_taken() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with serving(refuse) as served, transport() as wire:
        response = await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000)
        assert response.status_code == 413
        await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000)

    assert served.connections == 2


@on_every_loop
async def test_an_answer_is_taken_also_when_the_server_then_slams_the_door() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()  # and closed with the body unread: a reset follows

    async with serving(slam) as served, transport() as wire:
        response = await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000)

    assert response.status_code == 413


@on_every_loop
async def test_a_request_that_cannot_be_sent_is_a_write_error() -> None:
    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async with serving(slam) as served, transport() as wire:
        with pytest.raises((httpx.WriteError, httpx.ReadError)) as caught:
            await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000)

    assert isinstance(caught.value.__cause__, OSError)


@on_every_loop
async def test_an_answer_that_was_there_before_the_sending_failed_is_taken() -> None:
    stamps, answer = Stamps(), Answer("POST", head_limit=1000, body_limit=1000)
    with gone_peer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n") as connection:
        await connection.exchange(b"POST / HTTP/1.1\r\n\r\n", answer, stamps)

    assert answer.status == 413
    assert not answer.reusable
    assert not stamps.written


@on_every_loop
async def test_a_sending_that_failed_without_an_answer_is_a_write_error() -> None:
    answer = Answer("POST", head_limit=1000, body_limit=1000)
    with gone_peer(b"") as connection, pytest.raises(httpx.WriteError, match="could not be sent") as caught:
        await connection.exchange(b"POST / HTTP/1.1\r\n\r\n", answer, Stamps())

    assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_an_answer_past_its_limit_is_not_read_on() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"a" * 65536)
                await writer.drain()
        finally:
            reader_of[reader].gone.set()

    async with serving(flood) as served, transport() as wire:
        with pytest.raises(TooLarge):
            await fetch(wire, served.url(), limits={"body_limit": 100_000})
        await served.gone.wait()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_answer_to_head_does_not_wait_for_a_body(method: str) -> None:
    announced = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    async with serving(answering(announced if method == "HEAD" else OK)) as served, transport() as wire:
        responses = [await fetch(wire, served.url(), method) for _ in range(2)]

    assert [len(response.content) for response in responses] == ([0, 0] if method == "HEAD" else [2, 2])
    assert served.connections == 1


@contextmanager
def gone_peer(said: bytes) -> Iterator[Connection]:
    """A connection whose other side has said this and closed, so that nothing more can be sent."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(said)
    theirs.close()
    connection = Connection(asyncio.get_running_loop(), ours, "pair")
    try:
        yield connection
    finally:
        connection.close()

"""TLS: who is trusted, when a stream was cut, what a certificate says about its end."""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import trustme

from synthmon.runtime.outbound.stamps import Stamps
from tests.runtime.wire_servers import (
    OK,
    answering,
    fetch,
    on_every_loop,
    open_files,
    serving,
    take_request,
    transport,
    until_open,
)

CA = trustme.CA()
GOOD_FOR = timedelta(days=9)


def server_side(*names: str, protocols: tuple[str, ...] = (), expires: timedelta = GOOD_FOR) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*(names or ("127.0.0.1", "localhost")), not_after=datetime.now(UTC) + expires).configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def client_side(*, trusting: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusting:
        CA.configure_trust(context)
    return context


def https(port: int, host: str = "127.0.0.1") -> str:
    return f"https://{host}:{port}/"


@on_every_loop
async def test_an_answer_comes_through_tls_and_the_connection_is_kept() -> None:
    first, second = Stamps(), Stamps()
    async with serving(answering(OK), tls=server_side()) as served, transport(tls=client_side()) as wire:
        responses = [await fetch(wire, https(served.port), stamps=stamps) for stamps in (first, second)]

    assert [response.text for response in responses] == ["ok", "ok"]
    assert served.connections == 1
    assert first.connected_ns < first.secured_ns <= first.sent_ns <= first.first_byte_ns <= first.done_ns
    assert (second.reused, second.secured_ns) == (True, 0)


@on_every_loop
async def test_the_certificate_says_how_long_it_is_good_for() -> None:
    first, second = Stamps(), Stamps()
    async with serving(answering(OK), tls=server_side()) as served, transport(tls=client_side()) as wire:
        for stamps in (first, second):
            await fetch(wire, https(served.port), stamps=stamps)

    for stamps in (first, second):
        assert stamps.tls_expires_in_s == pytest.approx(GOOD_FOR.total_seconds(), abs=120)


async def test_a_name_is_checked_and_sent() -> None:
    context, asked = server_side("shop.test"), []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    async with serving(answering(OK), tls=context) as served, transport(tls=client_side()) as wire:
        await fetch(wire, https(served.port, "shop.test"))
        await fetch(wire, https(served.port, "shop.test."))

    assert asked == ["shop.test", "shop.test"]


@on_every_loop
async def test_a_stranger_is_refused() -> None:
    for names, trusting in ((("other.test",), True), (("127.0.0.1",), False)):
        stamps = Stamps()
        client, server = client_side(trusting=trusting), server_side(*names)
        async with serving(answering(OK), tls=server) as served, transport(tls=client) as wire:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed") as caught:
                await fetch(wire, https(served.port), stamps=stamps)

        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert stamps.connected_ns
        assert not stamps.secured_ns
        assert not stamps.written
        assert served.requests == []


async def test_an_expired_certificate_is_refused() -> None:
    context = server_side(expires=timedelta(days=-1))
    async with serving(answering(OK), tls=context) as served, transport(tls=client_side()) as wire:
        with pytest.raises(httpx.ConnectError, match="expired"):
            await fetch(wire, https(served.port))


async def test_a_server_without_tls_is_a_connect_error() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(plain) as served, transport(tls=client_side()) as wire:
        with pytest.raises(httpx.ConnectError) as caught:
            await fetch(wire, https(served.port))

    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize("reset", [True, False])
async def test_a_server_that_ends_in_the_handshake_is_a_connect_error(reset: bool) -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not reset:
            await reader.read(65536)  # what is left unread makes a reset of the close

    async with serving(leave) as served, transport(tls=client_side()) as wire:
        with pytest.raises(httpx.ConnectError) as caught:
            await fetch(wire, https(served.port))

    assert isinstance(caught.value.__cause__, OSError)


@on_every_loop
async def test_a_handshake_that_hangs_ends_at_the_deadline() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with serving(hang) as served, transport(tls=client_side()) as wire:
        with pytest.raises(httpx.ConnectTimeout, match="No TLS"):
            await fetch(wire, https(served.port), within_s=0.2)


@on_every_loop
async def test_a_body_without_a_length_needs_a_closure_alert() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\nall of it"

    async def orderly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(head)

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(head)
        await writer.drain()
        writer.transport.abort()

    async with serving(orderly, tls=server_side()) as served, transport(tls=client_side()) as wire:
        assert (await fetch(wire, https(served.port))).text == "all of it"
    async with serving(cut, tls=server_side()) as served, transport(tls=client_side()) as wire:
        with pytest.raises(httpx.RemoteProtocolError, match="may be cut"):
            await fetch(wire, https(served.port))


@on_every_loop
async def test_large_bodies_go_both_ways_through_tls() -> None:
    body = os.urandom(2_000_000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + request.partition(b"\r\n\r\n")[2])
        await writer.drain()
        await take_request(reader)

    async with serving(echo, tls=server_side()) as served, transport(tls=client_side()) as wire:
        response = await fetch(wire, https(served.port), "POST", content=body)

    assert response.content == body


async def test_a_server_that_chooses_http_2_is_refused() -> None:
    context = client_side()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with serving(answering(OK), tls=server_side(protocols=("h2",))) as served, transport(tls=context) as wire:
        with pytest.raises(httpx.ConnectError, match="h2"):
            await fetch(wire, https(served.port))


@on_every_loop
async def test_tls_failures_leave_no_file_open() -> None:
    async with serving(answering(b"", then_close=True), tls=server_side()) as served:
        before = open_files()
        for trusting in (True, False):
            async with transport(tls=client_side(trusting=trusting)) as wire:
                for _ in range(20):
                    with pytest.raises(httpx.HTTPError):
                        await fetch(wire, https(served.port))
        await until_open(before)

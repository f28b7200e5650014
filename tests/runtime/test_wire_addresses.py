"""Only the given addresses are dialled, and the quickest of them wins."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import httpx
import pytest

from synthmon.runtime.outbound.stamps import Address, Stamps
from tests.runtime.wire_servers import (
    OK,
    answering,
    black_hole,
    fetch,
    on_every_loop,
    open_files,
    resolving_to,
    serving,
    transport,
    until_open,
)
from tests.servers.ports import free_port

CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


@on_every_loop
async def test_a_refused_connection_says_where_and_why() -> None:
    stamps, port = Stamps(), free_port()
    async with transport() as wire:
        with pytest.raises(httpx.ConnectError, match=rf"127\.0\.0\.1 port {port}: .*refused") as caught:
            await fetch(wire, f"http://127.0.0.1:{port}/", stamps=stamps)

    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert stamps.address == "127.0.0.1"
    assert not stamps.written


@on_every_loop
async def test_the_next_address_is_tried_when_one_refuses() -> None:
    stamps = Stamps()
    async with serving(answering(OK)) as served, transport(resolving_to("127.0.0.2", "::1", "127.0.0.1")) as wire:
        response = await fetch(wire, f"http://shop.test:{served.port}/", stamps=stamps)

    assert response.status_code == 200
    assert stamps.address == "127.0.0.1"
    assert b"Host: shop.test:%d\r\n" % served.port in served.requests[0]


@on_every_loop
async def test_an_address_that_does_not_answer_gets_a_head_start_and_no_more() -> None:
    stamps = Stamps()
    with black_hole() as port:
        async with serving(answering(OK)) as served:
            before = open_files()

            async def two(host: str, _: int) -> Sequence[Address]:
                return [Address(socket.AF_INET, "127.0.0.1", number) for number in (port, served.port)]

            async with transport(two) as wire:
                response = await fetch(wire, "http://shop.test/", stamps=stamps)
            await until_open(before)

    assert response.status_code == 200
    assert (stamps.connected_ns - stamps.resolved_ns) / 1e9 >= 0.25


async def test_every_address_that_failed_is_named() -> None:
    port = free_port()
    async with transport(resolving_to("127.0.0.2", "127.0.0.3")) as wire:
        with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.2 .*refused, 127\.0\.0\.3 .*refused"):
            await fetch(wire, f"http://shop.test:{port}/")


async def test_the_failure_that_met_the_target_is_told_before_one_of_our_own_routes() -> None:
    stamps = Stamps()
    async with transport(resolving_to("255.255.255.255", "127.0.0.2")) as wire:
        with pytest.raises(httpx.ConnectError) as caught:
            await fetch(wire, f"http://shop.test:{free_port()}/", stamps=stamps, within_s=5)

    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert stamps.address == "127.0.0.2"


async def test_no_address_is_a_connect_error() -> None:
    async with transport(resolving_to()) as wire:
        with pytest.raises(httpx.ConnectError, match="no address"):
            await fetch(wire, "http://shop.test/")


@pytest.mark.parametrize("other", [(), ("127.0.0.9",)])
async def test_a_name_among_the_addresses_is_never_resolved(other: tuple[str, ...]) -> None:
    async with serving(answering(OK)) as served, transport(resolving_to("localhost", *other)) as wire:
        with pytest.raises(httpx.ConnectError):
            await fetch(wire, f"http://shop.test:{served.port}/")

    assert served.connections == 0


async def test_a_name_that_does_not_resolve_is_a_connect_error() -> None:
    async def unknown(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with transport(unknown) as wire:
        with pytest.raises(httpx.ConnectError, match=r"shop\.test could not be resolved") as caught:
            await fetch(wire, "http://shop.test/")

    assert isinstance(caught.value.__cause__, socket.gaierror)


async def test_what_a_guard_raises_passes_through() -> None:
    class NotAllowedError(Exception):
        pass

    async def guard(host: str, port: int) -> Sequence[Address]:
        raise NotAllowedError(host)

    async with transport(guard) as wire:
        with pytest.raises(NotAllowedError):
            await fetch(wire, "http://shop.test/")


@on_every_loop
async def test_ipv6_is_spoken() -> None:
    server = await asyncio.start_server(one_ok, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, transport(resolving_to("::1")) as wire:
        response = await fetch(wire, f"http://[::1]:{port}/")

    assert response.status_code == 200


@pytest.mark.parametrize(("method", "url"), [("GET", "ftp://shop.test/"), ("CONNECT", "http://shop.test/")])
async def test_what_it_does_not_speak_is_refused(method: str, url: str) -> None:
    async with transport() as wire:
        with pytest.raises(httpx.UnsupportedProtocol):
            await fetch(wire, url, method)


async def one_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(CLOSE)
    await writer.drain()
    writer.close()

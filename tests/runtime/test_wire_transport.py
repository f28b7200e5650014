"""The wire transport against servers that send exact bytes, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from synthmon.runtime.stamps import Address, Resolve, Stamps, TooLarge
from tests.runtime.wire_servers import (
    OK,
    Script,
    answering,
    fetch,
    on_every_loop,
    reader_of,
    serving,
    silent,
    take_request,
    transport,
)

CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


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


# --- every path ends


@on_every_loop
async def test_a_drip_of_bytes_ends_at_the_deadline() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.01)

    stamps = Stamps()
    async with serving(drip) as served, transport() as wire:
        with pytest.raises(httpx.ReadTimeout, match="not complete"):
            await fetch(wire, served.url(), stamps=stamps, within_s=0.3)

    assert stamps.first_byte_ns
    assert not stamps.done_ns


@on_every_loop
async def test_silence_ends_at_the_deadline() -> None:
    async with serving(silent) as served, transport() as wire:
        with pytest.raises(httpx.ReadTimeout, match="did not answer") as caught:
            await fetch(wire, served.url(), within_s=0.2)
        await served.gone.wait()

    assert caught.value.request.url == served.url()


@on_every_loop
async def test_a_server_that_reads_nothing_ends_at_the_deadline() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    stamps = Stamps()
    async with serving(deaf) as served, transport() as wire:
        with pytest.raises(httpx.WriteTimeout):
            await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000, stamps=stamps, within_s=0.3)

    assert stamps.written


@on_every_loop
async def test_a_black_hole_ends_at_the_deadline() -> None:
    stamps = Stamps()
    with black_hole() as port:
        before = open_files()
        async with transport() as wire:
            with pytest.raises(httpx.ConnectTimeout, match=r"127\.0\.0\.1"):
                await fetch(wire, f"http://127.0.0.1:{port}/", stamps=stamps, within_s=0.2)
        assert open_files() == before

    assert stamps.resolved_ns
    assert not stamps.connected_ns
    assert not stamps.written


async def test_a_resolver_that_hangs_ends_at_the_deadline() -> None:
    async def hang(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    async with transport(hang) as wire:
        with pytest.raises(httpx.ConnectTimeout, match="not resolved"):
            await fetch(wire, "http://shop.test/", within_s=0.1)


@on_every_loop
async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    stamps = Stamps()
    async with serving(answering(OK)) as served, transport() as wire:
        with pytest.raises(httpx.TimeoutException):
            await fetch(wire, served.url(), stamps=stamps, within_s=-1)

    assert not stamps.written
    assert served.requests == []


@on_every_loop
async def test_a_cancelled_request_closes_its_connection() -> None:
    async with serving(silent) as served, transport() as wire:
        task = asyncio.create_task(fetch(wire, served.url()))
        await served.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await served.gone.wait()


@on_every_loop
async def test_the_end_of_a_run_fails_what_is_in_flight_and_closes_what_is_idle() -> None:
    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/quick" in await take_request(reader):
            writer.write(OK)
        await take_request(reader)

    async with serving(one_answer) as served, transport() as wire:
        task = asyncio.create_task(fetch(wire, served.url("/slow")))
        await served.asked.wait()
        await fetch(wire, served.url("/quick"))
        await wire.aclose()
        with pytest.raises(httpx.ReadError, match="from our side"):
            await task
        with pytest.raises(RuntimeError, match="has ended"):
            await fetch(wire, served.url())

    assert len(served.requests) == 2


@on_every_loop
async def test_five_hundred_failing_requests_leave_no_file_open() -> None:
    stages = [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", b"SSH-2.0\r\n", OK + b"junk"]
    refused = closed_port()
    async with serving(answering(*stages[:1], then_close=True)) as first:
        before = open_files()
        for stage in stages:
            async with serving(answering(stage, then_close=True)) as served, transport() as wire:
                for _ in range(80):
                    try:
                        await fetch(wire, served.url())
                    except httpx.HTTPError:
                        continue
        async with transport() as wire:
            for _ in range(50):
                with pytest.raises(httpx.ConnectError):
                    await fetch(wire, f"http://127.0.0.1:{refused}/")
            for _ in range(50):
                with pytest.raises(httpx.LocalProtocolError):
                    await fetch(wire, first.url(), headers={"X": "a\nb"})
        await until_open(before)

    assert first.requests == []


# --- addresses


@on_every_loop
async def test_a_refused_connection_says_where_and_why() -> None:
    stamps, port = Stamps(), closed_port()
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
    port = closed_port()
    async with transport(resolving_to("127.0.0.2", "127.0.0.3")) as wire:
        with pytest.raises(httpx.ConnectError, match=r"127\.0\.0\.2 .*refused, 127\.0\.0\.3 .*refused"):
            await fetch(wire, f"http://shop.test:{port}/")


async def test_no_address_is_a_connect_error() -> None:
    async with transport(resolving_to()) as wire:
        with pytest.raises(httpx.ConnectError, match="no address"):
            await fetch(wire, "http://shop.test/")


@pytest.mark.parametrize("other", [(), ("127.0.0.9",)])
async def test_a_name_among_the_addresses_is_never_resolved(other: tuple[str, ...]) -> None:
    async with transport(resolving_to("localhost", *other)) as wire:
        with pytest.raises(httpx.ConnectError):
            await fetch(wire, f"http://shop.test:{closed_port()}/")


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


# --- helpers


async def one_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(CLOSE)
    await writer.drain()
    writer.close()


def resolving_to(*hosts: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[Address]:
        return [Address(socket.AF_INET6 if ":" in h else socket.AF_INET, h, port) for h in hosts]

    return resolve


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


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


async def until_open(files: int) -> None:
    """The server's side of a connection closes a moment later than ours."""
    async with asyncio.timeout(5):
        while open_files() > files:  # noqa: ASYNC110  (the kernel tells nobody)
            await asyncio.sleep(0.01)

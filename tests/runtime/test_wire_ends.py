"""Every request ends by its deadline, and leaves nothing open."""

from __future__ import annotations

import asyncio
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
    serving,
    silent,
    take_request,
    transport,
    until_open,
)
from tests.servers.ports import free_port


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
            await fetch(wire, served.url(), stamps=stamps, within_s=1.5)

    assert stamps.first_byte_ns
    assert not stamps.done_ns


@on_every_loop
async def test_silence_ends_at_the_deadline() -> None:
    async with serving(silent) as served, transport() as wire:
        with pytest.raises(httpx.ReadTimeout, match="did not answer") as caught:
            await fetch(wire, served.url(), within_s=1.5)
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
            await fetch(wire, served.url(), "POST", content=b"a" * 20_000_000, stamps=stamps, within_s=1.5)

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
        with pytest.raises(httpx.ConnectTimeout, match="had passed"):
            await fetch(wire, served.url(), stamps=stamps, within_s=-1)

    assert not stamps.resolved_ns
    assert served.connections == 0


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
    refused = free_port()
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

"""What no target can do to us, and what we never do to a target: byte drips, sizes, rates, concurrency."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from dataclasses import replace

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault
from synthmon.runtime.doors import Doors
from synthmon.runtime.outbound.door import Sizes
from tests.runtime.door_servers import (
    ENVELOPE,
    RUN,
    Target,
    answer,
    answered,
    door_to,
    read_request,
    shop,
    talking,
    troubled,
)

TRANSPORTS = ("stock", "wire")
GET = HttpRequest("GET", "/")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_drips_bytes_is_left_at_the_limit(transport: str) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with talking(drip) as port, door_to(shop(port, transport=transport)) as door:
        began_s = time.monotonic()
        trouble = troubled(await door.http(GET, replace(ENVELOPE, timeout_s=2)))
        took_s = time.monotonic() - began_s

    assert trouble.reason is Reason.TIMEOUT
    assert trouble.timing.read_ms > 0
    assert 1.99 <= took_s <= 30  # the whole body would take 50 s


async def test_the_limit_holds_over_all_hops_of_a_redirect_together() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(0.5)
            writer.write(answer(b"", 302, "text/plain", "Location: /on"))

    async with talking(slowly) as port, door_to(shop(port, follow=True)) as door:
        trouble = troubled(await door.http(GET, replace(ENVELOPE, timeout_s=2)))

    assert trouble.reason is Reason.TIMEOUT  # each hop alone is well inside it, and the loop would end as one


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_body_is_read_to_its_limit_and_not_beyond(transport: str) -> None:
    sizes = Sizes(body_bytes=1000)
    packed = gzip.compress(b"x" * 1001)
    target = Target(
        {
            "/fits": answer(b"x" * 1000),
            "/over": answer(b"x" * 1001),
            "/packed": answer(packed, 200, "text/plain", "Content-Encoding: gzip"),
        }
    )
    async with talking(target.talk) as port, door_to(shop(port, transport=transport), sizes=sizes) as door:
        fits = answered(await door.http(HttpRequest("GET", "/fits"), ENVELOPE))
        over = troubled(await door.http(HttpRequest("GET", "/over"), ENVELOPE))
        unpacked = troubled(await door.http(HttpRequest("GET", "/packed"), ENVELOPE))

    assert len(fits.content) == 1000
    assert (over.reason, unpacked.reason) == (Reason.TOO_LARGE, Reason.TOO_LARGE)
    assert f"when {len(packed)} bytes are decompressed" in unpacked.detail


BODY = json.dumps({"items": list(range(3000))}).encode()
PACKED = {
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "Deflate": zlib.compressobj(wbits=-15).compress(b"") + zlib.compress(BODY)[2:-4],  # bare, RFC 1951
    "gzip, gzip": gzip.compress(gzip.compress(BODY)),
    "deflate, gzip": gzip.compress(zlib.compress(BODY)),
}


@pytest.mark.parametrize("coding", PACKED)
async def test_a_packed_body_is_unpacked(coding: str) -> None:
    target = Target({"/": answer(PACKED[coding], 200, "application/json", f"Content-Encoding: {coding}")})
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        got = answered(await door.http(GET, ENVELOPE))

    assert got.content == BODY


async def test_a_gzip_body_of_two_members_is_unpacked_whole() -> None:
    packed = gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:])
    target = Target({"/": answer(packed, 200, "application/json", "Content-Encoding: gzip")})
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        got = answered(await door.http(GET, ENVELOPE))

    assert got.content == BODY


@pytest.mark.parametrize(
    ("coding", "content", "words"),
    [
        ("gzip", b"this is no gzip", "not gzip"),
        ("gzip", gzip.compress(BODY)[:-20], "cut short"),
        ("br", b"\x0b\x02\x80x\x03", "content-encoding is br, which was not offered"),
        ("zstd", b"(\xb5/\xfd", "content-encoding is zstd"),
        ("gzip, gzip, gzip, gzip", b"", "encoded 4 times"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_a_bad_answer(coding: str, content: bytes, words: str) -> None:
    target = Target({"/": answer(content, 200, "text/plain", f"Content-Encoding: {coding}")})
    async with talking(target.talk) as port, door_to(shop(port)) as door:
        trouble = troubled(await door.http(GET, ENVELOPE))

    assert trouble.reason is Reason.BAD_ANSWER
    assert words in trouble.detail


async def test_requests_of_all_runs_together_keep_the_rate_of_the_system() -> None:
    arrived: list[float] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            arrived.append(time.monotonic())
            writer.write(answer(b"{}"))

    async with talking(note) as port, Doors({"shop": shop(port, rate_per_s=10)}) as doors:
        runs = [doors.open(RUN, "checkout", Vault({})) for _ in range(5)]
        began_s = time.monotonic()
        got = await asyncio.gather(*(door.http(GET, ENVELOPE) for door in runs for _ in range(4)))
        took_s = time.monotonic() - began_s
        for door in runs:
            await door.aclose()

    assert took_s >= 19 / 10
    assert len(arrived) == 20
    waits_ms = [answered(each).timing.ours_ms for each in got]
    assert max(waits_ms) >= 1500
    # our queue is in no figure of the target; in sum, so that one answer that a slow machine holds up tells nothing
    assert sum(answered(each).timing.total_ms for each in got) < sum(waits_ms)


async def test_no_more_requests_are_in_flight_than_the_system_allows() -> None:
    inside = most = 0
    full = asyncio.Event()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal inside, most
        while True:
            await read_request(reader)
            inside += 1
            most = max(most, inside)
            if inside == 3:
                full.set()
            await full.wait()  # the first three meet, however slowly they come
            await asyncio.sleep(0.02)
            inside -= 1
            writer.write(answer(b"{}"))

    async with talking(count) as port, door_to(shop(port, concurrency=3)) as door:
        got = await asyncio.gather(*(door.http(GET, ENVELOPE) for _ in range(12)))

    assert most == 3
    assert max(answered(each).timing.ours_ms for each in got) >= 50


@pytest.mark.parametrize("limit", [{"concurrency": 1}, {"rate_per_s": 0.5}])
async def test_a_request_that_our_own_limits_keep_back_never_leaves_and_is_ours(limit: dict[str, float]) -> None:
    hold = asyncio.Event()
    heard = 0

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        while True:
            await read_request(reader)
            heard += 1
            await hold.wait()
            writer.write(answer(b"{}"))

    async with talking(slowly) as port, door_to(shop(port, **limit)) as door:
        first = asyncio.create_task(door.http(GET, ENVELOPE))
        await asyncio.sleep(0)
        late = troubled(await door.http(GET, replace(ENVELOPE, timeout_s=0.2)))
        hold.set()
        answered(await first)

    assert (late.reason, late.sent) == (Reason.SATURATED, False)
    assert next(iter(limit)).removesuffix("_per_s") in late.detail
    assert heard == 1


async def test_a_place_is_given_back_whatever_happened() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async with talking(hang_up) as port, door_to(shop(port, concurrency=1)) as door:
        for _ in range(3):
            assert troubled(await door.http(GET, ENVELOPE)).reason is Reason.NO_ANSWER
        waiting = asyncio.create_task(door.http(GET, ENVELOPE))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert troubled(await door.http(GET, ENVELOPE)).reason is Reason.NO_ANSWER

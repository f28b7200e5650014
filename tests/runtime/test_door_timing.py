"""What is measured: phases, our own waiting apart, connections kept, samples marked when our loop was behind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from synthmon.core.door import HttpRequest
from synthmon.core.system import Tls
from synthmon.runtime.outbound.lag import LoopLag
from synthmon.runtime.outbound.stamps import Stamps
from synthmon.runtime.outbound.timing import timing_of
from tests.runtime.door_certificates import make_authority
from tests.runtime.door_servers import (
    ENVELOPE,
    Target,
    answer,
    answered,
    door_to,
    names,
    read_request,
    redirect,
    shop,
    talking,
    troubled,
)

TRANSPORTS = ("stock", "wire")
GET = HttpRequest("GET", "/")
MS = 1_000_000


def test_the_phases_of_an_exchange_are_told_apart() -> None:
    stamps = Stamps(
        began_ns=1000 * MS,
        resolved_ns=1001 * MS,
        connected_ns=1003 * MS,
        secured_ns=1007 * MS,
        sent_ns=1008 * MS,
        first_byte_ns=1024 * MS,
        done_ns=1056 * MS,
        written=True,
    )

    timing = timing_of([stamps], 5 * MS, lagged=False)

    phases = timing.dns_ms, timing.connect_ms, timing.tls_ms, timing.wait_ms, timing.read_ms
    assert phases == (1, 2, 4, 16, 32)
    assert (timing.total_ms, timing.ours_ms) == (56, 5)
    assert (timing.sent_at_s, timing.first_byte_at_s) == (1.008, 1.024)


def test_a_phase_that_never_ended_lasts_until_the_end() -> None:
    connecting = Stamps(began_ns=10 * MS, resolved_ns=11 * MS, done_ns=31 * MS)
    resolving = Stamps(began_ns=10 * MS, done_ns=30 * MS)

    assert timing_of([connecting], 0, False).connect_ms == 20
    assert timing_of([resolving], 0, False).dns_ms == 20
    assert timing_of([resolving], 0, False).sent_at_s is None


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_real_exchange_is_measured_phase_by_phase(transport: str, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
            await asyncio.sleep(0.05)
            writer.write(b"}")

    async with talking(slowly, authority.serving("shop.test")) as port:
        system = shop(
            f"https://shop.test:{port}",
            allow_networks=("127.0.0.0/8",),
            tls=Tls(ca=authority.ca_file),
            transport=transport,
        )
        async with door_to(system, look_up=names({"shop.test": "127.0.0.1"})) as door:
            before_s = time.monotonic()
            first = answered(await door.http(GET, ENVELOPE)).timing
            second = answered(await door.http(GET, ENVELOPE)).timing

    assert first.tls_ms > 0
    assert first.wait_ms >= 90
    assert first.read_ms >= 40
    assert first.total_ms >= first.dns_ms + first.connect_ms + first.tls_ms + first.wait_ms + first.read_ms - 1
    assert first.sent_at_s is not None
    assert first.first_byte_at_s is not None
    assert before_s < first.sent_at_s < first.first_byte_at_s < time.monotonic()
    assert first.tls_expires_in_s is not None
    assert first.tls_expires_in_s > 3600
    assert (first.reused, first.address) == (False, "127.0.0.1")
    assert second.reused
    assert (second.dns_ms, second.connect_ms, second.tls_ms) == (0, 0, 0)
    assert second.tls_expires_in_s is not None


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_redirects_add_up_and_the_first_byte_that_left_is_that_of_the_first_hop(transport: str) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heard = await read_request(reader)
            await asyncio.sleep(0.05)
            writer.write(redirect("/new") if heard.path == "/" else answer(b"{}"))

    async with talking(slowly) as port, door_to(shop(port, follow=True, transport=transport)) as door:
        timing = answered(await door.http(GET, ENVELOPE)).timing

    assert timing.wait_ms >= 95
    assert timing.sent_at_s is not None
    assert timing.first_byte_at_s is not None
    assert timing.first_byte_at_s - timing.sent_at_s >= 0.095


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_connections_live_as_long_as_the_run_and_no_longer(transport: str) -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, transport=transport)) as door:
        for _ in range(3):
            answered(await door.http(GET, ENVELOPE))
        kept = target.connections
        await door.aclose()
        answered(await door.http(GET, ENVELOPE))

    assert (kept, target.connections) == (1, 2)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_kept_connection_that_the_server_has_closed_does_not_make_a_read_fail(transport: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"{}"))
        await writer.drain()
        await reader.read(1)  # the next request begins; the connection ends without an answer, as if it had been idle

    async with talking(once) as port, door_to(shop(port, transport=transport)) as door:
        answered(await door.http(GET, ENVELOPE))
        second = answered(await door.http(GET, ENVELOPE))
        write = troubled(await door.http(HttpRequest("POST", "/"), ENVELOPE))

    assert not second.timing.reused
    assert write.sent  # nobody can know whether the target has acted on it, so it is not sent again


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_sample_taken_while_our_loop_stood_still_is_marked_unless_the_kernel_stamped_it(transport: str) -> None:
    target = Target()
    async with talking(target.talk) as port, door_to(shop(port, transport=transport)) as door:
        answered(await door.http(GET, ENVELOPE))
        stalled = []
        for _ in range(10):
            asking = asyncio.create_task(door.http(GET, ENVELOPE))
            await asyncio.sleep(0)
            time.sleep(0.03)  # noqa: ASYNC251 — to hold the loop is what this test is about
            stalled.append(answered(await asking).timing)

    assert all(timing.lagged or timing.kernel for timing in stalled)
    if transport == "stock":
        assert all(timing.lagged for timing in stalled)


async def test_the_heartbeat_sees_each_stall_of_10_ms_and_knows_its_length() -> None:
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(0.02)
    for n in range(20):
        since_ns = time.monotonic_ns()
        time.sleep(0.011 + 0.0003 * n)  # noqa: ASYNC251 — to hold the loop is what this test is about
        assert lag.stalled_s(since_ns) > 0  # at once, before any tick
        await asyncio.sleep(0.01)
        assert lag.stalled_s(since_ns) > 0  # and later
    since_ns = time.monotonic_ns()
    time.sleep(0.2)  # noqa: ASYNC251
    middle_ns = since_ns + 100 * MS
    await asyncio.sleep(0.01)

    assert lag.stalled_s(since_ns) >= 0.195
    assert lag.stalled_s(since_ns, middle_ns) >= 0.095
    assert lag.blind_s(middle_ns) >= 0.095
    assert lag.blind_s(since_ns - 100 * MS) < 0.1
    lag.stop()
    assert lag.behind_s() == 0

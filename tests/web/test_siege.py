"""Those who want a hook to lie, and those who want the page to go away."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme

from synthmon.core.inbound import Hook
from synthmon.web import porch
from synthmon.web.collector import Collector
from synthmon.web.inbound import create_inbound
from synthmon.web.patience import Patience
from synthmon.web.serve import bind, serving
from synthmon.web.switchboard import Switchboard
from tests.web.calls import Awaited
from tests.web.forgeries import attack
from tests.web.raw import dial, head, pour, status_of
from tests.web.slowloris import besiege


async def test_no_forged_stale_replayed_or_endless_call_is_accepted_and_memory_stays():
    figures = await attack()

    assert figures.accepted == 0
    assert {code for codes in figures.codes.values() for code in codes} <= {0, 401, 404, 409, 413}  # 0: cut off
    assert len(figures.codes["replayed"]) == 100
    assert figures.grew_mb <= 8
    assert figures.cut_s < 25  # 8 s; this machine may be busy


@pytest.mark.parametrize("targets", [("inbound",), ("front", "inbound")])
async def test_a_crowd_that_never_finishes_its_requests_keeps_no_scrape_out(targets):
    figures = await besiege(targets, scrapes=6)

    assert figures.answered == figures.asked
    assert figures.slowest_s < 20  # 1 s is the aim; `python -m tests.web.slowloris` prints it
    assert figures.open_s < 30  # 8 s, and what the machine adds


@pytest.mark.torture
async def test_on_a_quiet_machine_a_scrape_takes_a_second_at_most_and_half_a_request_ten():
    figures = await besiege(("front", "inbound"), scrapes=25)

    assert figures.answered == figures.asked
    assert figures.slowest_s <= 1.0
    assert figures.open_s <= 10.0


async def test_a_body_in_one_piece_with_its_head_is_no_long_head():
    awaited = Awaited()
    switchboard = Switchboard()
    address = switchboard.open(Hook(), awaited)
    async with serving(create_inbound(switchboard, Collector()), bind("127.0.0.1:0")) as base:
        reader, writer = await dial(base)
        writer.write(head("POST", base + address.url, Content_Length=500_000) + bytes(500_000))

        async with asyncio.timeout(30):
            assert await status_of(reader) == 200
        writer.close()
    assert [len(call.body) for call in awaited.calls] == [500_000]


async def test_a_refusal_is_heard_although_the_body_still_comes_and_then_the_line_is_cut():
    patience = Patience(drain_bytes=3_000_000, drain_s=30)
    async with serving(create_inbound(Switchboard(), Collector()), bind("127.0.0.1:0"), patience=patience) as base:
        reader, writer = await dial(base)
        writer.write(head("POST", base + "/h/nobody", Content_Length=1_000_000) + bytes(1_000_000))
        async with asyncio.timeout(30):
            heard = await status_of(reader)
        writer.close()
        _, _, sent = await pour(base, head("POST", base + "/h/nobody", Content_Length=10**12), bytes(65536))

    assert heard == 404
    assert sent < 100_000_000


async def test_those_who_stand_in_the_tls_handshake_are_counted(monkeypatch):
    """Only the door knows them: they have no protocol yet."""
    arrived = []
    original = porch.Porch._let_in

    async def let_in(self, connection):
        arrived.append(self)
        await original(self, connection)

    monkeypatch.setattr(porch.Porch, "_let_in", let_in)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with serving(
        create_inbound(Switchboard(), Collector()), bind("127.0.0.1:0"), tls, patience=Patience(connections=20)
    ) as base:
        silent = [await dial(base) for _ in range(60)]
        async with asyncio.timeout(30):
            while len(arrived) < 60:  # noqa: ASYNC110  (sixty tell, one after the other)
                await asyncio.sleep(0.01)
        most = len(arrived[0]._arriving)
        for _, writer in silent:
            writer.transport.abort()

    assert most <= 10

"""One behaviour, two buses: NATS JetStream and the one in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from synthmon.demo.bus import Bus, Patience
from synthmon.demo.memory_bus import MemoryBus
from synthmon.demo.nats_bus import nats_bus
from synthmon.demo.nats_server import find_binary, nats_server

QUICK = Patience(ack_wait_s=0.3, max_deliver=3)
LONG_S = 5.0
SHORT_S = 0.6


@pytest.fixture(params=["memory", "nats"])
async def bus(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bus]:
    if request.param == "memory":
        yield MemoryBus()
        return
    binary = find_binary()
    if binary is None:
        pytest.skip("no nats-server is installed")
    async with nats_server(binary, tmp_path) as server, nats_bus(server.url) as bus:
        yield bus


async def test_a_message_arrives_with_its_headers_and_id(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)

    stored = await bus.publish("orders.paid", b"{}", {"X-Correlation-ID": "c-1"}, "m-1")

    delivery = await reading.next(LONG_S)
    assert stored
    assert delivery is not None
    assert (delivery.subject, delivery.body, delivery.message_id, delivery.attempt) == ("orders.paid", b"{}", "m-1", 1)
    assert dict(delivery.headers) == {"X-Correlation-ID": "c-1"}


async def test_a_message_id_is_stored_once(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)

    assert await bus.publish("orders.paid", b"1", {}, "same")
    assert not await bus.publish("orders.paid", b"2", {}, "same")

    first = await reading.next(LONG_S)
    assert first is not None
    await first.ack()
    assert await reading.next(SHORT_S) is None


async def test_an_acknowledged_message_does_not_come_again(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)
    await bus.publish("orders.paid", b"", {}, uuid4().hex)

    delivery = await reading.next(LONG_S)
    assert delivery is not None
    await delivery.ack()

    assert await reading.next(SHORT_S) is None


async def test_a_message_given_back_comes_again_with_a_higher_attempt(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)
    await bus.publish("orders.paid", b"", {}, "m")

    first = await reading.next(LONG_S)
    assert first is not None
    await first.nak(0.05)

    again = await reading.next(LONG_S)
    assert again is not None
    assert (again.message_id, again.attempt) == ("m", 2)


async def test_a_message_nobody_answers_for_comes_again_after_the_ack_wait(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)
    await bus.publish("orders.paid", b"", {}, "m")
    await reading.next(LONG_S)
    await reading.close()

    successor = await bus.subscribe("ledger", "orders.paid", QUICK)

    again = await successor.next(LONG_S)
    assert again is not None
    assert again.attempt == 2


async def test_a_message_being_worked_on_does_not_come_again(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)
    await bus.publish("orders.paid", b"", {}, "m")
    held = await reading.next(LONG_S)
    assert held is not None

    for _ in range(6):
        assert await reading.next(0.1) is None
        await held.still_working()

    await held.ack()
    assert await reading.next(SHORT_S) is None


async def test_a_message_comes_at_most_as_often_as_allowed(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)
    await bus.publish("orders.paid", b"", {}, "m")

    attempts = []
    while (delivery := await reading.next(SHORT_S)) is not None:
        attempts.append(delivery.attempt)
        await delivery.nak()

    assert attempts == [1, 2, 3]


async def test_every_consumer_gets_its_own_copy_of_its_subject_only(bus: Bus) -> None:
    profile = await bus.subscribe("profile", "signups.created", QUICK)
    credits_ = await bus.subscribe("credits", "signups.created", QUICK)
    ledger = await bus.subscribe("ledger", "orders.paid", QUICK)

    await bus.publish("signups.created", b"", {}, "m")

    for reading in (profile, credits_):
        delivery = await reading.next(LONG_S)
        assert delivery is not None
        assert delivery.message_id == "m"
    assert await ledger.next(SHORT_S) is None


async def test_a_consumer_that_comes_late_reads_from_the_start(bus: Bus) -> None:
    await bus.publish("orders.paid", b"", {}, "early")

    reading = await bus.subscribe("ledger", "orders.paid", QUICK)

    delivery = await reading.next(LONG_S)
    assert delivery is not None
    assert delivery.message_id == "early"


async def test_a_reader_cancelled_as_its_message_arrives_is_cancelled(bus: Bus) -> None:
    reading = await bus.subscribe("ledger", "orders.paid", QUICK)

    for n in range(100):
        waiting = asyncio.create_task(reading.next(LONG_S))
        await bus.publish("orders.paid", b"", {}, f"m-{n}")
        asked = waiting.cancel()
        await asyncio.wait({waiting}, timeout=LONG_S)
        assert waiting.done()
        assert waiting.cancelled() is asked

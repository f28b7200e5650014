"""One request, one effect: repeated by the caller, by the bus, or after a crash."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from shop_visitor import Visitor, servers_in, until, visiting

from synthmon.demo.bus import Patience
from synthmon.demo.shop import Shop, running_shop

ORDER = {"reference": "r-1", "sku": "mug-blue", "quantity": 1, "email": "ann@example.com"}


async def test_the_same_key_gets_the_same_answer_and_one_effect(visitor: Visitor) -> None:
    first = await visitor.http.post("/orders", json=ORDER, headers={"Idempotency-Key": "k"})
    again = await visitor.http.post("/orders", json=ORDER, headers={"Idempotency-Key": "k"})

    assert again.status_code == first.status_code == 202
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    await visitor.mailed(first.json())
    assert (await visitor.get("/effects"))["written"]["order"] == 1


async def test_two_requests_at_once_under_one_key_have_one_effect(visitor: Visitor) -> None:
    answers = await asyncio.gather(
        *(visitor.http.post("/signups", json=ORDER | {"name": "Ann"}, headers={"Idempotency-Key": "k"}) for _ in "1234")
    )

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await visitor.get("/effects"))["written"]["signup"] == 1


async def test_a_key_used_for_another_request_is_refused(visitor: Visitor) -> None:
    await visitor.http.post("/orders", json=ORDER, headers={"Idempotency-Key": "k"})

    other = await visitor.http.post("/orders", json=ORDER | {"quantity": 2}, headers={"Idempotency-Key": "k"})

    assert other.status_code == 422


async def test_a_refused_request_may_be_corrected_under_the_same_key(visitor: Visitor) -> None:
    wrong = await visitor.http.post("/orders", json=ORDER | {"quantity": 0}, headers={"Idempotency-Key": "k"})

    right = await visitor.http.post("/orders", json=ORDER, headers={"Idempotency-Key": "k"})

    assert (wrong.status_code, right.status_code) == (400, 202)


async def test_without_a_key_every_request_has_its_effect(visitor: Visitor) -> None:
    first, second = [await visitor.http.post("/orders", json=ORDER) for _ in range(2)]

    assert first.json()["id"] != second.json()["id"]
    assert (await visitor.get("/effects"))["written"]["order"] == 2


async def test_an_event_whose_worker_crashed_is_worked_on_once_more_with_one_effect(
    shop: Shop, visitor: Visitor
) -> None:
    hold = {"X-Correlation-ID": "crash", "baggage": "synthmon.hold=ledger-posted:600"}
    order = await visitor.order(headers=hold)
    await visitor.reaches(order, "paid")

    await shop.crash("ledger")

    await visitor.mailed(order)
    assert len(await visitor.rows("entries", order)) == 1
    (booking,) = [step for step in await visitor.steps("crash") if step["service"] == "ledger"]
    assert booking["attempt"] == 2


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for the server in /proc")
async def test_an_effect_whose_event_could_not_be_published_is_not_repeated(
    shop: Shop, visitor: Visitor, tmp_path: Path
) -> None:
    (server,) = servers_in(tmp_path)
    hold = {"X-Correlation-ID": "stalled", "baggage": "synthmon.hold=ledger-posted:300"}
    order = await visitor.order(headers=hold)
    await visitor.reaches(order, "paid")

    async def ledger_said(attempt: int, status: str) -> bool:
        steps = await visitor.steps("stalled")
        return ("ledger", attempt, status) in {(s["service"], s["attempt"], s["status"]) for s in steps}

    os.kill(server, signal.SIGSTOP)
    try:
        await until(lambda: ledger_said(1, "retry"))
        assert len(await visitor.rows("entries", order)) == 1
    finally:
        os.kill(server, signal.SIGCONT)

    await until(lambda: ledger_said(2, "ok"))
    await visitor.mailed(order)
    assert len(await visitor.rows("entries", order)) == 1


async def test_a_busy_dependency_is_asked_again_and_the_retry_is_written_down() -> None:
    async with running_shop(busy_rate=1.0, patience=Patience(ack_wait_s=5)) as shop, visiting(shop) as visitor:
        order = await visitor.order(headers={"X-Correlation-ID": "busy"})
        await visitor.mailed(order)

        booked = [(s["attempt"], s["status"]) for s in await visitor.steps("busy") if s["service"] == "ledger"]

        assert booked == [(1, "retry"), (2, "ok")]
        assert len(await visitor.rows("entries", order)) == 1


async def test_an_event_that_never_succeeds_ends_as_a_dead_letter() -> None:
    async with running_shop(busy_rate=1.0, patience=Patience(max_deliver=1)) as shop, visiting(shop) as visitor:
        order = await visitor.order()

        async def dead() -> bool:
            kept = (await visitor.get("/effects", reference=order["reference"]))["kept"]
            return bool(kept["dead"] == 1)

        await until(dead)
        assert (await visitor.get(f"/orders/{order['id']}"))["status"] == "validated"


async def test_the_shop_works_without_nats() -> None:
    async with running_shop(bus="memory") as shop, visiting(shop) as visitor:
        order = await visitor.order()

        await visitor.mailed(order)

        assert (await visitor.get("/healthz"))["bus"]["kind"] == "memory"
        assert (await visitor.get(f"/orders/{order['id']}"))["status"] == "shipped"

"""Every fault can be seen over HTTP alone, and only while it is on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from shop_visitor import Visitor, until

from synthmon.demo.faults import FAULTS
from synthmon.demo.shop import Shop

Look = Callable[[Visitor], Awaitable[bool]]


async def _booked_never(visitor: Visitor) -> bool:
    order = await visitor.order()
    await until(lambda: visitor.rows("payments", order))
    with suppress(TimeoutError):
        await until(lambda: visitor.rows("entries", order), limit_s=1.5)
    paid = await visitor.get(f"/orders/{order['id']}")
    return paid["status"] == "paid"


async def _booked_twice(visitor: Visitor) -> bool:
    order = await visitor.order()
    await visitor.mailed(order)

    async def twice() -> bool:
        return len(await visitor.rows("entries", order)) == len(await visitor.rows("mails", order)) == 2

    with suppress(TimeoutError):
        return await until(twice, limit_s=1.5)
    return False


async def _credits_before_profile(visitor: Visitor) -> bool:
    active = await visitor.active(await visitor.sign_up())
    swapped: bool = active["credits"]["seq"] < active["profile"]["seq"]
    assert (active["credits"]["bonus"] == 0) is swapped
    return swapped


async def _slow_only_together(visitor: Visitor) -> bool:
    async def took_ms(order: dict[str, object]) -> float:
        (payment,) = await until(lambda: visitor.rows("payments", order))
        return float(payment["tookMs"])

    alone = await took_ms(await visitor.order())
    together = [await visitor.order() for _ in range(4)]
    side_by_side = [await took_ms(order) for order in together]
    assert alone < 2000
    return max(side_by_side) > 2000


async def _correlation_lost(visitor: Visitor) -> bool:
    order = await visitor.order()
    (mail,) = await visitor.mailed(order)
    services = {step["service"] for step in await visitor.steps(order["correlationId"])}
    assert "ledger" in services
    lost = mail["correlationId"] == ""
    assert ("shipping" not in services) is lost
    return lost


async def _error_inside(visitor: Visitor) -> bool:
    order = await visitor.order()
    await visitor.reaches(order, "shipped")
    body = await visitor.get("/payments", reference=order["reference"])
    return "error" in body and body["payments"] == []


async def _stock_is_old(visitor: Visitor) -> bool:
    await visitor.get("/stock/mug-blue")
    order = await visitor.order()
    await visitor.reaches(order, "shipped")
    seen = await visitor.get("/stock/mug-blue")
    return order["reference"] not in {movement["reference"] for movement in seen["movements"]}


async def _never_shipped(visitor: Visitor) -> bool:
    order = await visitor.order()
    await until(lambda: visitor.rows("entries", order))
    with suppress(TimeoutError):
        await until(lambda: visitor.rows("shipments", order), limit_s=1.5)
    return (await visitor.get(f"/orders/{order['id']}"))["status"] == "booked"


SHOWS: dict[str, Look] = {
    "lose-event": _booked_never,
    "duplicate-event": _booked_twice,
    "swap-order": _credits_before_profile,
    "slow-dependency": _slow_only_together,
    "lose-correlation": _correlation_lost,
    "error-body": _error_inside,
    "stale-cache": _stock_is_old,
    "dead-worker": _never_shipped,
}


def test_every_fault_has_a_look() -> None:
    assert set(SHOWS) == {fault.name for fault in FAULTS}


@pytest.mark.parametrize("name", SHOWS)
async def test_a_fault_shows_while_it_is_on_and_at_no_other_time(name: str, shop: Shop, visitor: Visitor) -> None:
    assert not await SHOWS[name](visitor)

    await shop.break_fault(name, rate=1.0)
    assert await SHOWS[name](visitor)

    await shop.mend(name)
    assert not await SHOWS[name](visitor)


async def test_no_function_reports_trouble_while_credits_and_profile_are_swapped(shop: Shop, visitor: Visitor) -> None:
    await shop.break_fault("swap-order", rate=1.0)
    await visitor.active(await visitor.sign_up(headers={"X-Correlation-ID": "swapped"}))

    steps = await visitor.steps("swapped")

    assert {step["status"] for step in steps} == {"ok"}
    assert {step["attempt"] for step in steps} == {1}


async def test_with_the_guard_broken_a_hold_forces_the_wrong_order_and_the_right_one(
    shop: Shop, visitor: Visitor
) -> None:
    await shop.break_fault("swap-order", rate=0.0)

    late_profile = await visitor.sign_up(headers={"baggage": "synthmon.hold=profile-created:500"})
    late_credits = await visitor.sign_up(headers={"baggage": "synthmon.hold=credits-granted:500"})

    assert (await visitor.active(late_profile))["credits"]["bonus"] == 0
    assert (await visitor.active(late_credits))["credits"]["bonus"] == 15


async def test_a_rate_hits_only_a_share_of_the_events(shop: Shop, visitor: Visitor) -> None:
    await shop.break_fault("error-body", rate=0.3)

    bodies = [await visitor.get("/payments", reference="none") for _ in range(100)]

    assert 5 < sum("error" in body for body in bodies) < 70


async def test_a_mended_worker_ships_what_piled_up(shop: Shop, visitor: Visitor) -> None:
    await shop.break_fault("dead-worker")
    orders = [await visitor.order() for _ in range(3)]
    await asyncio.gather(*(visitor.reaches(order, "booked") for order in orders))

    await shop.mend("dead-worker")

    await asyncio.gather(*(visitor.reaches(order, "shipped") for order in orders))


async def test_faults_are_switched_over_http(visitor: Visitor) -> None:
    broken = await visitor.http.post("/_demo/faults/lose-event", json={"rate": 0.5})
    listed = {fault["name"]: fault for fault in (await visitor.get("/_demo/faults"))["faults"]}
    mended = await visitor.http.delete("/_demo/faults/lose-event")

    assert broken.status_code == mended.status_code == 200
    assert listed["lose-event"]["on"]
    assert listed["lose-event"]["rate"] == 0.5
    assert not any(fault["on"] for fault in mended.json()["faults"])


@pytest.mark.parametrize(("body", "word"), [({"rate": 2}, "between 0 and 1"), ({"rate": "often"}, "number")])
async def test_a_nonsensical_rate_is_refused(visitor: Visitor, body: dict[str, object], word: str) -> None:
    answer = await visitor.http.post("/_demo/faults/lose-event", json=body)

    assert answer.status_code == 400
    assert word in answer.json()["reason"]

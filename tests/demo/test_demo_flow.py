"""What happens in a shop in which nothing is broken."""

from __future__ import annotations

from datetime import datetime, timedelta

from shop_visitor import Visitor, until


async def test_an_order_is_paid_booked_shipped_and_confirmed_once(visitor: Visitor) -> None:
    order = await visitor.order(quantity=3)

    (mail,) = await visitor.mailed(order)

    shipped = await visitor.get(f"/orders/{order['id']}")
    assert shipped["status"] == "shipped"
    assert list(shipped["timeline"]) == ["placed", "validated", "reserved", "paid", "booked", "shipped"]
    (payment,) = await visitor.rows("payments", order)
    (entry,) = await visitor.rows("entries", order)
    (shipment,) = await visitor.rows("shipments", order)
    assert payment["amount"] == entry["amount"] == order["amount"] == "37.50"
    assert shipment["quantity"] == 3
    assert mail["to"] == order["email"]
    assert order["seq"] < payment["seq"] < entry["seq"] < shipment["seq"] < mail["seq"]
    assert {row["correlationId"] for row in (payment, entry, shipment, mail)} == {order["correlationId"]}


async def test_stock_shows_the_reservation_of_this_order(visitor: Visitor) -> None:
    before = await visitor.get("/stock/mug-blue")
    order = await visitor.order(quantity=4)

    await visitor.reaches(order, "shipped")

    after = await visitor.get("/stock/mug-blue")
    assert after["available"] == before["available"] - 4
    assert after["movements"][0]["reference"] == order["reference"]
    assert after["seq"] > before["seq"]


async def test_a_deleted_order_leaves_nothing_behind(visitor: Visitor) -> None:
    before = await visitor.get("/stock/mug-blue")
    order = await visitor.order()
    await visitor.mailed(order)

    deleted = await visitor.http.delete(f"/orders/{order['id']}")

    assert deleted.status_code == 204
    assert (await visitor.http.get(f"/orders/{order['id']}")).status_code == 404
    assert (await visitor.http.delete(f"/orders/{order['id']}")).status_code == 404
    for plural in ("orders", "payments", "entries", "shipments", "mails"):
        assert await visitor.rows(plural, order) == []
    assert (await visitor.get("/stock/mug-blue"))["available"] == before["available"]
    assert (await visitor.get("/effects"))["written"]["order"] == 1


async def test_an_order_deleted_on_its_way_is_left_alone_by_the_functions_behind(visitor: Visitor) -> None:
    held = {"X-Correlation-ID": "gone-early", "baggage": "synthmon.hold=orders.paid:300"}
    order = await visitor.order(headers=held)
    await visitor.reaches(order, "paid")

    await visitor.http.delete(f"/orders/{order['id']}")

    async def skipped() -> bool:
        return [s["status"] for s in await visitor.steps("gone-early") if s["service"] == "ledger"] == ["skipped"]

    await until(skipped)
    assert await visitor.rows("entries", order) == []


async def test_orders_end_early_for_an_honest_reason(visitor: Visitor) -> None:
    unknown = await visitor.order(sku="unicorn")
    sold_out = await visitor.order(sku="vinyl-limited")
    dear = await visitor.order(sku="kettle-steel", quantity=100)

    assert "unicorn" in (await visitor.reaches(unknown, "rejected"))["reason"]
    assert "0 left" in (await visitor.reaches(sold_out, "out-of-stock"))["reason"]
    assert "2000" in (await visitor.reaches(dear, "declined"))["reason"]
    assert await visitor.rows("entries", dear) == []


async def test_a_wrong_request_is_refused_with_a_reason(visitor: Visitor) -> None:
    good = {"reference": "r", "sku": "mug-blue", "quantity": 1, "email": "a@example.com"}

    for wrong, word in (
        ({"quantity": 0}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"email": "nobody"}, "email"),
        ({"reference": ""}, "reference"),
    ):
        answer = await visitor.http.post("/orders", json=good | wrong)
        assert answer.status_code == 400
        assert word in answer.json()["reason"]
    assert (await visitor.http.post("/orders", content=b"{")).status_code == 400
    assert (await visitor.http.post("/orders", content=b"x" * 70_000)).status_code == 413
    assert (await visitor.http.get("/ledger")).status_code == 400
    assert (await visitor.http.get("/nowhere")).json()["error"] == "not_found"
    assert (await visitor.http.put("/orders")).json()["error"] == "method_not_allowed"


async def test_a_sign_up_gets_its_profile_before_its_credits(visitor: Visitor) -> None:
    signup = await visitor.sign_up()

    active = await visitor.active(signup)

    assert active["profile"]["seq"] < active["credits"]["seq"]
    assert active["credits"]["amount"] == 25
    (welcome,) = await visitor.mailed(signup)
    assert welcome["kind"] == "welcome"


async def test_a_deleted_sign_up_leaves_nothing_behind(visitor: Visitor) -> None:
    signup = await visitor.sign_up()
    await visitor.active(signup)
    await visitor.mailed(signup)

    assert (await visitor.http.delete(f"/signups/{signup['id']}")).status_code == 204

    assert (await visitor.http.get(f"/signups/{signup['id']}")).status_code == 404
    for plural in ("signups", "profiles", "credits", "mails"):
        assert await visitor.rows(plural, signup) == []


async def test_a_hold_in_the_baggage_delays_that_step_and_the_guard_keeps_the_order(visitor: Visitor) -> None:
    signup = await visitor.sign_up(headers={"baggage": "a=b,synthmon.hold=profile-created:400"})

    active = await visitor.active(signup)

    created, profiled = (datetime.fromisoformat(row["time"]) for row in (active, active["profile"]))
    assert profiled - created >= timedelta(milliseconds=400)
    assert active["profile"]["seq"] < active["credits"]["seq"]
    assert active["credits"]["bonus"] == 15


async def test_health_tells_which_bus_runs(visitor: Visitor) -> None:
    health = await visitor.get("/healthz")

    assert health == {"status": "ok", "bus": {"kind": "nats", "alive": True}}

"""Faults of what is written: creates that are refused, lost, doubled or never answered, deletes that lie."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.acceptance.target_faults.past import Past
from tests.acceptance.target_faults.proxy import Act, Answer, Asked, Call, Dripping, Reset, Silence, Wire, changed

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
LOGIN = b"<!doctype html><title>Sign in</title><form method=post><input name=user></form>"
SLOW_S = 2.5
_NEVER_MS = 10_000
_LATE_MS = 6_000


def _creates(asked: Asked) -> bool:
    return asked.method == "POST"


def _on_create(then: Act) -> Act:
    """The fault strikes creates; everything else is the shop's."""

    async def act(call: Call) -> Wire:
        return await (then(call) if _creates(call.asked) else call.shop())

    return act


def _refuse(make: Callable[[Call], Answer]) -> Act:
    """Creates get this answer, and the shop never hears of them."""

    async def act(call: Call) -> Wire:
        return make(call)

    return _on_create(act)


def _says(status: int, body: Any) -> Act:
    return _refuse(lambda call: Answer(status, JSON, json.dumps(body).encode()))


def login_page() -> Act:
    async def act(call: Call) -> Wire:
        return Answer(200, HTML, LOGIN)

    return act


def login_redirect() -> Act:
    async def act(call: Call) -> Wire:
        return Answer(302, {"location": "/login"}, b"")

    return act


def error_500() -> Act:
    return _says(500, {"error": "internal", "reason": "Something went wrong."})


def error_body() -> Act:
    return _says(202, {"error": {"code": "DB_DOWN", "message": "try again later"}})


def success_false() -> Act:
    return _says(202, {"success": False, "message": "not stored"})


def answer_of_the_past(past: Past) -> Act:
    return _refuse(lambda call: Answer(202, JSON, json.dumps(past.created[call.asked.path]).encode()))


@_on_create
async def empty_body(call: Call) -> Wire:
    return replace(await call.shop(), body=b"", true=False)


@_on_create
async def without_id(call: Call) -> Wire:
    answer = await call.shop()
    return changed(answer, {name: value for name, value in answer.json.items() if name != "id"})


@_on_create
async def reset(call: Call) -> Wire:
    answer = await call.shop()
    return Reset() if call.first_time() else answer


@_on_create
async def silence(call: Call) -> Wire:
    answer = await call.shop()
    return Silence() if call.first_time() else answer


@_on_create
async def drip(call: Call) -> Wire:
    answer = await call.shop()
    return Dripping(answer) if call.first_time() else answer


@_on_create
async def slow(call: Call) -> Wire:
    await asyncio.sleep(SLOW_S)
    return replace(await call.shop(), true=False)


@_on_create
async def lost_write(call: Call) -> Wire:
    answer = await call.shop(_held(call.asked, _NEVER_MS))  # held, so that no function sees it before it is gone
    await call.shop(replace(call.asked, method="DELETE", target=f"{call.asked.path}/{answer.json['id']}", body=b""))
    return answer


@_on_create
async def pending(call: Call) -> Wire:
    return await call.shop(_held(call.asked, _NEVER_MS))


@_on_create
async def late(call: Call) -> Wire:
    return await call.shop(_held(call.asked, _LATE_MS))


@_on_create
async def ends_out_of_stock(call: Call) -> Wire:
    """Intake says yes, and the warehouse has none of it: the shop's own way to fail later."""
    asked = call.asked.json
    if "sku" not in asked:
        return await call.shop()
    bare = await call.shop(replace(call.asked, body=json.dumps({**asked, "sku": "vinyl-limited"}).encode()))
    prices = {"mug-blue": 1250, "kettle-steel": 3900, "tea-green": 420}
    cents = prices[asked["sku"]] * asked["quantity"]
    return changed(bare, {**bare.json, "sku": asked["sku"], "amount": f"{cents // 100}.{cents % 100:02}"})


@_on_create
async def twice(call: Call) -> Wire:
    answer = await call.shop()
    await call.shop(_keyed(call.asked, f"{call.asked.key}-{uuid.uuid4().hex}"))
    return replace(answer, true=False)


@_on_create
async def keys_ignored(call: Call) -> Wire:
    if call.first_time():
        return await call.shop()
    return await call.shop(_keyed(call.asked, uuid.uuid4().hex))


@_on_create
async def delivered_twice(call: Call) -> Wire:
    await call.shop()
    return replace(await call.shop(), true=False)


async def delete_lies(call: Call) -> Wire:
    return Answer(204, {}, b"") if call.asked.method == "DELETE" else await call.shop()


def _held(asked: Asked, ms: int) -> Asked:
    """The same request, whose first event the shop's functions leave alone for so long."""
    hold = f"synthmon.hold=orders.placed:{ms},synthmon.hold=signups.created:{ms}"
    return replace(asked, headers={**asked.headers, "baggage": f"{asked.headers.get('baggage', '')},{hold}"})


def _keyed(asked: Asked, key: str) -> Asked:
    return replace(asked, headers={**asked.headers, "idempotency-key": key[:255]})

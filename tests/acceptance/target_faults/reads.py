"""Faults of what is read: rows that are missing, old, wrong or somebody else's, and bodies that are no JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.acceptance.target_faults.past import LISTS, REFERENCE, RUN, Past
from tests.acceptance.target_faults.proxy import Act, Answer, Call, Wire, changed

Row = dict[str, Any]


def _on_read(then: Callable[[Call, Answer], Answer]) -> Act:
    """The fault strikes what journeys look at (not the lists that only clean-up reads), if it is JSON and found."""

    async def act(call: Call) -> Wire:
        answer = await call.shop()
        looked = call.asked.method == "GET" and call.asked.path not in ("/orders", "/signups")
        return then(call, answer) if looked and answer.status == 200 else answer

    return act


def _on_rows(change: Callable[[Row], Row]) -> Act:
    """The fault changes every object of every answer, the outermost too."""

    def through(value: Any) -> Any:
        match value:
            case dict():
                return change({name: through(one) for name, one in value.items()})
            case list():
                return [through(one) for one in value]
        return value

    return _on_read(lambda call, answer: changed(answer, through(answer.json)))


def _on_lists(change: Callable[[Call, list[Row]], list[Row]]) -> Act:
    """The fault changes the rows of every list, and `count` with them."""

    def then(call: Call, answer: Answer) -> Answer:
        plural = LISTS.get(call.asked.path)
        if plural is None:
            return answer
        rows = change(call, answer.json[plural])
        return changed(answer, {plural: rows, "count": len(rows)})

    return _on_read(then)


@_on_read
def truncated(call: Call, answer: Answer) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2], true=False)


@_on_read
def nan(call: Call, answer: Answer) -> Answer:
    return replace(answer, body=answer.body[:-1] + b', "load": NaN}', true=False)


@_on_read
def duplicate_keys(call: Call, answer: Answer) -> Answer:
    first = next(iter(answer.json))
    return replace(answer, body=f"{{{json.dumps(first)}: null, ".encode() + answer.body[1:], true=False)


@_on_rows
def wrong_amount(row: Row) -> Row:
    """Ten more than it should be, wherever an amount stands."""
    amount, text = row.get("amount"), row.get("text")
    if isinstance(amount, str):
        row = {**row, "amount": f"{float(amount) + 10:.2f}"}
    elif isinstance(amount, int):
        row = {**row, "amount": amount + 10}
    if isinstance(text, str):
        row = {**row, "text": re.sub(r"\d+\.\d\d", lambda m: f"{float(m[0]) + 10:.2f}", text)}
    return row


@_on_rows
def wrong_currency(row: Row) -> Row:
    if "currency" in row:
        row = {**row, "currency": "USD"}
    if isinstance(row.get("text"), str):
        row = {**row, "text": row["text"].replace(" EUR", " USD")}
    return row


@_on_rows
def wrong_reference(row: Row) -> Row:
    return {**row, "reference": REFERENCE} if "reference" in row else row


@_on_rows
def wrong_correlation(row: Row) -> Row:
    return {**row, "correlationId": RUN} if "correlationId" in row else row


@_on_lists
def event_missing(call: Call, rows: list[Row]) -> list[Row]:
    """Nothing that follows the order is there; of the trail only its beginning."""
    return rows[:2] if call.asked.path == "/events" else []


def event_of_the_past(past: Past) -> Act:
    """The rows of yesterday's customer under this run's reference and correlation id."""

    def change(call: Call, rows: list[Row]) -> list[Row]:
        reference = f"syn-{call.asked.run[:16]}"
        asked = call.asked.query.get("reference", reference)
        old = _alike(call, past)
        return [{**row, "reference": asked, "correlationId": call.asked.run} for row in old]

    return _on_lists(change)


def row_of_another(past: Past) -> Act:
    return _on_lists(lambda call, rows: [*rows, _alike(call, past)[0]])


def _alike(call: Call, past: Past) -> list[Row]:
    """Rows of the past of the same kind as those that are asked for: one, or a whole trail."""
    rows = past.their(call.asked.path)
    if call.asked.path == "/mails":
        kind = "welcome" if call.asked.journey.startswith("signup") else "confirmation"
        return [row for row in rows if row["kind"] == kind]
    if call.asked.path == "/events":
        return [row for row in rows if row["workflow"] == "orders"]
    return rows


@_on_read
def partial_list(call: Call, answer: Answer) -> Answer:
    """The newest row is not in the list, and everything else says that all is well."""
    body = answer.json
    plural = LISTS.get(call.asked.path)
    if plural is not None:
        return changed(answer, {**body, plural: body[plural][:-1]})
    if "movements" in body:
        mine = [row for row in body["movements"] if row["correlationId"] == call.asked.run]
        return changed(answer, {**body, "movements": [row for row in body["movements"] if row not in mine[:1]]})
    return answer


def stale(past: Past) -> Act:
    """A cache that was filled before this run and is never refreshed."""

    def then(call: Call, answer: Answer) -> Answer:
        path = call.asked.path
        if path in LISTS:
            return changed(answer, {LISTS[path]: [], "count": 0})
        if path.startswith("/stock/"):
            return changed(answer, past.stock[path.rpartition("/")[2]])
        if path == "/effects":
            return answer
        gone = json.dumps({"error": "not_found", "reason": "there is no such thing"}).encode()
        return replace(answer, status=404, body=gone, true=False)

    return _on_read(then)


async def status_regression(call: Call) -> Wire:
    """What was seen as done once is seen as new ever after."""
    answer = await call.shop()
    state = call.asked.path.startswith(("/orders/", "/signups/"))
    if call.asked.method != "GET" or not state or answer.status != 200:
        return answer
    body, first = answer.json, {"shipped": "placed", "active": "created"}
    if body["status"] not in first:
        return answer
    shown = call.memory.setdefault("shown", set())
    if call.asked.path in shown:
        return changed(answer, {**body, "status": first[body["status"]]})
    shown.add(call.asked.path)
    return answer


async def orphans(call: Call) -> Wire:
    """The order is deleted, its entry in the ledger is not."""
    answer = await call.shop()
    if call.asked.path != "/effects":
        return answer
    body = answer.json
    return changed(answer, {**body, "kept": {**body["kept"], "entry": 1}})

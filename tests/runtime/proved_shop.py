"""A small shop with a hook, a log and a table, and journeys over it that look closely, or do not."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from synthmon.core.proof.faults import Fault, Proof, Trial
from synthmon.language.load import Loaded, load
from synthmon.runtime.proving import open_prover

SECRET = "sk-proved-0123456789"

SETTINGS = """
systems: {shop: {base: "BASE", writes: true}}
secrets: {token: "env:PROVED_TOKEN"}
hooks: {listen: "127.0.0.1:0"}
connections: {books: {sql: "sqlite:///FOLDER/books.db"}}
evidence: {logs: {jsonl: "FOLDER/logs/*.jsonl", lag: 200ms, skew: 0.001ms}}
"""

ORDER = """
journey: JOURNEY
every: 1m
deadline: 20s
system: shop
vars: {tag: "${run.namespace}"}
steps:
  - id: order
    http: POST /orders
    headers: {Authorization: "Bearer ${secret.token}"}
    json: {tag: "${vars.tag}", amount: "12.50"NOTIFY}
    timeout: 3s
    expect:
      - status == 201
MORE
    save: {id: body.id}
    undo:
      http: DELETE /orders/${order.id}
      find: {http: GET /orders, params: {tag: "${vars.tag}"}, save: {id: "body.orders[0].id"}}
      gone: {http: GET /orders, params: {tag: "${vars.tag}"}, expect: [status == 200, body.count == 0]}
      ttl: 1h
    repeatable: true
"""


def journey(name: str, steps: str = "", more: str = "", notify: bool = False, tail: str = "") -> str:
    """An order, then what these steps and promises look at."""
    head = ORDER.replace("JOURNEY", name).replace("MORE", more.rstrip("\n") or "      # nothing more")
    return head.replace("NOTIFY", ', notify: "${hook.told.url}"' if notify else "") + steps + tail


@dataclass(slots=True)
class SmallShop:
    """What it was sent, and what it has."""

    folder: Path
    url: str
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)  # method and path, in order
    ever: int = 0
    keys: dict[str, str] = field(default_factory=dict)  # Idempotency-Key → what it made
    echoes: bool = False  # an order is answered with the key that came along

    def writes(self, method: str) -> list[str]:
        return [path for how, path in self.log if how == method]

    def until_taken(self, orders: int) -> None:
        """Waits for so many orders."""
        until_s = time.monotonic() + 60
        while self.ever < orders and time.monotonic() < until_s:
            time.sleep(0.02)

    def load(self, text: str, settings: str = SETTINGS) -> Loaded:
        here = settings.replace("BASE", self.url).replace("FOLDER", str(self.folder))
        (self.folder / "synthmon.yaml").write_text(here)
        (self.folder / "probe.yaml").write_text(text)
        return load([self.folder / "probe.yaml"], [self.folder / "synthmon.yaml"])

    def answer(self, request: Request) -> Response:
        self.log.append((request.method, request.path))
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["orders"]:
                return self._take(request)
            case "DELETE", ["orders", order_id]:
                return Response(status=204 if self.orders.pop(order_id, None) else 404)
            case "GET", ["orders", order_id]:
                found = self.orders.get(order_id)
                return _json(found) if found else _json({"error": "not_found"}, 404)
            case "GET", ["orders"]:
                mine = [order for order in self.orders.values() if order["tag"] == request.args.get("tag")]
                return _json({"orders": mine, "count": len(mine)})
        return _json({"error": "not_found"}, 404)

    def _take(self, request: Request) -> Response:
        key = request.headers.get("Idempotency-Key", "")
        if key not in self.keys:
            self.keys[key] = self._make(json.loads(request.get_data()))
        order = self.orders[self.keys[key]]
        if self.echoes:
            order = {**order, "key": request.headers["Authorization"].removeprefix("Bearer ")}
        return _json(order, 201)

    def _make(self, wanted: dict[str, Any]) -> str:
        self.ever += 1
        order = {
            "id": f"order-{self.ever:08}-{time.time_ns():x}",
            "tag": wanted["tag"],
            "amount": wanted["amount"],
            "currency": "EUR",
            "seq": time.time_ns(),
        }
        self.orders[order["id"]] = order
        self._write_down(order)
        if "notify" in wanted:
            threading.Thread(target=_call, args=(wanted["notify"], order)).start()
        return str(order["id"])

    def _write_down(self, order: dict[str, Any]) -> None:
        with (self.folder / "logs" / "shop.jsonl").open("a") as lines:
            for step in ("taken", "packed"):
                at = datetime.now(UTC).isoformat()
                line = {"time": at, "step": step, "status": "ok", "id": f"{order['id']}-{step}", "tag": order["tag"]}
                lines.write(json.dumps(line) + "\n")
                time.sleep(0.002)
        with sqlite3.connect(self.folder / "books.db") as books:
            books.execute("INSERT INTO books VALUES (?, ?)", (order["tag"], order["amount"]))


@contextmanager
def small_shop(server: HTTPServer, folder: Path) -> Iterator[SmallShop]:
    (folder / "logs").mkdir()
    (folder / "logs" / "shop.jsonl").touch()
    with sqlite3.connect(folder / "books.db") as books:
        books.execute("CREATE TABLE books (tag TEXT, amount TEXT)")
    shop = SmallShop(folder, server.url_for("").rstrip("/").replace("localhost", "127.0.0.1"))
    server.expect_request(re.compile(".*")).respond_with_handler(shop.answer)
    yield shop


def proved(loaded: Loaded, *wanted: Fault, rehearse: bool = True) -> Proof:
    """The only journey, with these kinds of faults; all without."""
    assert not loaded.errors, "\n".join(map(str, loaded.errors))

    async def story() -> Proof:
        async with open_prover(loaded.journeys, loaded.settings, "memory:") as prover:
            (only,) = loaded.journeys
            goods = await prover.good_runs(only)
            return await prover.prove(only, goods, prover.plan(only, goods, wanted or tuple(Fault)), rehearse)

    return asyncio.run(story())


def ends(proof: Proof) -> dict[str, str]:
    """`order drop: …` → its finding."""
    return {f"{t.injection.at} {t.injection.fault}: {t.injection.text}": str(t.finding) for t in proof.trials}


def trial(proof: Proof, at: str, fault: Fault, text: str = "") -> Trial:
    """The only one there of this kind."""
    found = [
        t for t in proof.trials if t.injection.at == at and t.injection.fault is fault and text in t.injection.text
    ]
    assert len(found) == 1, ends(proof)
    return found[0]


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status=status, content_type="application/json")


def _call(url: str, order: dict[str, Any]) -> None:
    content = json.dumps({"orderId": order["id"], "tag": order["tag"]}).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"}, method="POST")
    with suppress(OSError):  # the address is gone with its run
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5).close()

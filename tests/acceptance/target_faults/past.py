"""An earlier customer of the shop: the one whose data faults show in the wrong place."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

REFERENCE = "earlier-customer"
RUN = "0" * 31 + "1"
LISTS = {
    "/payments": "payments",
    "/ledger": "entries",
    "/shipments": "shipments",
    "/mails": "mails",
    "/credits": "credits",
    "/events": "events",
}
_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Past:
    """What the shop said to them: the answers to their creates, their rows by path, and the stock of that time."""

    created: dict[str, dict[str, Any]]
    rows: dict[str, list[dict[str, Any]]]
    stock: dict[str, dict[str, Any]]

    def their(self, path: str) -> list[dict[str, Any]]:
        """Their rows of a list, a day old, fit to be changed."""
        return copy.deepcopy(self.rows[path])


async def earlier_customer(shop_url: str) -> Past:
    """Order, sign up, wait until all is done, and remember everything."""
    person = {"reference": REFERENCE, "name": "Earlier Customer", "email": "earlier@example.com"}
    marks = {"x-correlation-id": RUN}
    async with httpx.AsyncClient(base_url=shop_url, trust_env=False, verify=False, timeout=10.0, headers=marks) as shop:

        async def read(path: str) -> list[dict[str, Any]]:
            asked = {"correlation": RUN} if path == "/events" else {"reference": REFERENCE}
            return list((await shop.get(path, params=asked)).json()[LISTS[path]])

        created = {
            "/orders": (await shop.post("/orders", json={**person, "sku": "mug-blue", "quantity": 4})).json(),
            "/signups": (await shop.post("/signups", json={**person, "plan": "free"})).json(),
        }
        async with asyncio.timeout(_LIMIT_S):
            while len(await read("/mails")) < 2 or not await read("/credits"):  # noqa: ASYNC110  asked over HTTP
                await asyncio.sleep(0.02)
        stock = {sku: (await shop.get(f"/stock/{sku}")).json() for sku in ("tea-green", "mug-blue", "kettle-steel")}
        return Past(
            {path: _a_day_ago(row) for path, row in created.items()},
            {path: [_a_day_ago(row) for row in await read(path)] for path in LISTS},
            stock,
        )


def _a_day_ago(row: dict[str, Any]) -> dict[str, Any]:
    then = datetime.fromisoformat(row["time"]) - timedelta(days=1)
    return {**row, "time": then.isoformat().replace("+00:00", "Z")}

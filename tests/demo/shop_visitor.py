"""Somebody who uses the shop as a browser or a probe would: over HTTP only."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from synthmon.demo.shop import Shop

Seen = TypeVar("Seen")
LIMIT_S = 15.0


async def until(look: Callable[[], Awaitable[Seen]], limit_s: float = LIMIT_S) -> Seen:
    """What ``look`` sees as soon as that is truthy; TimeoutError after ``limit_s``."""
    async with asyncio.timeout(limit_s):
        while not (seen := await look()):  # noqa: ASYNC110  the shop is asked over HTTP: there is no event to wait for
            await asyncio.sleep(0.01)
    return seen


@dataclass
class Visitor:
    http: httpx.AsyncClient
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def order(self, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
        n = next(self.numbers)
        body = {
            "reference": f"ref-{n}",
            "sku": "mug-blue",
            "quantity": 2,
            "name": "Ann",
            "email": f"ann{n}@example.com",
        }
        answer = await self.http.post("/orders", json=body | changed, headers=headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def sign_up(self, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
        n = next(self.numbers)
        body = {"reference": f"ref-{n}", "name": "Bob", "email": f"bob{n}@example.com", "plan": "plus"}
        answer = await self.http.post("/signups", json=body | changed, headers=headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def rows(self, plural: str, order: dict[str, Any]) -> list[dict[str, Any]]:
        path = {"entries": "/ledger"}.get(plural, f"/{plural}")
        return list((await self.get(path, reference=order["reference"]))[plural])

    async def mailed(self, of: dict[str, Any]) -> list[dict[str, Any]]:
        """Wait for the last thing that happens to an order or a sign-up."""
        return await until(lambda: self.rows("mails", of))

    async def reaches(self, order: dict[str, Any], status: str) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            now = await self.get(f"/orders/{order['id']}")
            return now if now["status"] == status else None

        return dict(await until(look) or {})

    async def active(self, signup: dict[str, Any]) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            now = await self.get(f"/signups/{signup['id']}")
            return now if now["status"] == "active" else None

        return dict(await until(look) or {})

    async def steps(self, correlation: str) -> list[dict[str, Any]]:
        return list((await self.get("/events", correlation=correlation))["events"])


def servers_in(folder: Path) -> list[int]:
    """NATS servers whose command line names this folder (Linux: read from /proc)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"nats-server" in line and str(folder).encode() in line:
            found.append(int(entry.name))
    return found


@asynccontextmanager
async def visiting(shop: Shop) -> AsyncIterator[Visitor]:
    async with httpx.AsyncClient(base_url=shop.url, trust_env=False, timeout=10.0) as http:
        yield Visitor(http)

"""Drafts do what they say: they pass against the demo shop and leave nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.demo.shop import Shop, running_shop
from synthmon.imports.curl import from_curl
from synthmon.imports.draft import Draft
from synthmon.imports.har import from_har
from synthmon.imports.openapi import from_openapi
from synthmon.imports.starter import DEMO as DEMO_URL
from synthmon.imports.starter import starter_files
from synthmon.language.load import Loaded, load
from synthmon.runtime.once import run_once
from tests.imports.descriptions import DEMO
from tests.imports.loading import loaded
from tests.imports.recordings import REFERENCE, entry, har


async def run(found: Loaded, folder: Path) -> list[Record]:
    assert not found.errors, found.errors
    return [record async for record in run_once(found.journeys, found.settings, f"sqlite:///{folder}/runs.db")]


async def run_drafts(folder: Path, *drafts: Draft) -> list[Record]:
    return await run(loaded(folder, *drafts), folder)


def assert_passed(records: list[Record]) -> None:
    assert records
    assert [record.outcome for record in records] == [Outcome.PASSED] * len(records), records


async def test_the_first_probe_passes_against_the_demo_shop(tmp_path: Path) -> None:
    async with running_shop(bus="memory", busy_rate=0) as shop:
        for name, text in starter_files().items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text.replace(DEMO_URL, shop.url), encoding="utf-8")

        records = await run(load([tmp_path / "probes"], [tmp_path / "synthmon.yaml"], environ={}), tmp_path)

        assert_passed(records)


async def test_a_described_order_is_made_read_and_gone(tmp_path: Path) -> None:
    async with running_shop(bus="memory", busy_rate=0) as shop:
        records = await run_drafts(tmp_path, *from_openapi(DEMO, shop.url))

        assert_passed(records)
        assert len(records) == 2
        assert await _orders(shop) == 0


async def test_a_recorded_order_is_made_again_with_values_of_its_own(tmp_path: Path) -> None:
    async with running_shop(bus="memory", busy_rate=0) as shop:
        recording = await _recorded(shop)

        records = await run_drafts(tmp_path, from_har(recording))

        assert_passed(records)


async def test_a_curl_command_is_asked_again(tmp_path: Path) -> None:
    async with running_shop(bus="memory", busy_rate=0) as shop:
        records = await run_drafts(tmp_path, from_curl(f"curl -sS {shop.url}/catalogue -H 'accept: application/json'"))

        assert_passed(records)


async def _recorded(shop: Shop) -> str:
    """A purchase as a browser would record it: the order, its entry in the ledger asked for until it is there."""
    body = {"reference": REFERENCE, "sku": "mug-blue", "quantity": 1, "name": "Jane", "email": "jane@corp.com"}
    async with httpx.AsyncClient(base_url=shop.url) as browser:
        placed = await browser.post("/orders", json=body)
        order = placed.json()
        entries: list[dict[str, Any]] = [
            entry(0, "POST", f"{shop.url}/orders", placed.status_code, sent=body, got=order)
        ]
        while True:
            asked = await browser.get("/ledger", params={"reference": REFERENCE})
            entries.append(entry(len(entries) / 10, "GET", str(asked.url), got=asked.json()))
            if asked.json()["count"]:
                break
        read = await browser.get(f"/orders/{order['id']}")
        entries.append(entry(len(entries) / 10, "GET", str(read.url), got=read.json()))
    return har(*entries)


async def _orders(shop: Shop) -> int:
    async with httpx.AsyncClient(base_url=shop.url) as client:
        effects = (await client.get("/effects")).json()
    assert effects["written"]["order"] > 0
    return int(effects["kept"]["order"])

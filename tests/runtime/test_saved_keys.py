"""Whole runs of a shop whose functions write down nothing but the order: found, and each by its own run only."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Blind, Evidence, Report, Watermark
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.sources import Source
from synthmon.runtime.gathering import Watching
from tests.connections.running import run_probe
from tests.evidence.back_ends import Asked, Said, a_back_end

PROBE = """
journey: order-is-posted
every: 5m
deadline: 90s
system: shop
events:
  reserved: {from: logs, step: reserved}
  posted: {from: logs, step: posted}
steps:
  - id: order
    http: POST /orders
    json: {sku: tea}
    leaves: nothing
    expect: [status == 201]
    save: {id: body.id}
verify:
  within: 20s
  expect:
    - once: reserved
    - once: posted
    - before: [reserved, posted]
"""


class Shop:
    """Reserves before it answers and posts after; its log knows the order and no correlation id."""

    def __init__(self, log: Path) -> None:
        self.log, self.numbers = log, itertools.count(4711)
        self.make_id: Callable[[int], Any] = lambda number: f"ORD-{number}"
        self.posting: set[asyncio.Task[None]] = set()
        self.log.touch()

    async def answer(self, asked: Asked) -> Said:
        order = self.make_id(next(self.numbers))
        self.write("reserved", order)
        self.posting.add(asyncio.create_task(self.post(order)))
        return Said({"id": order}, 201)

    async def post(self, order: Any) -> None:
        await asyncio.sleep(0.5)  # it is later than the answer
        self.write("posted", order)

    def write(self, step: str, order: Any) -> None:
        line = {"time": time.time_ns(), "step": step, "eventId": f"{step}-{order}", "orderId": order, "service": "shop"}
        with self.log.open("a") as file:
            file.write(json.dumps(line) + "\n")


def settings(url: str, log: Path) -> str:
    return f'systems: {{shop: {{base: "{url}", writes: true}}}}\nevidence: {{logs: {{jsonl: "{log}", lag: 200ms}}}}\n'


async def test_an_event_that_bears_only_the_order_is_found_before_and_after_its_number_was_answered(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path / "shop.jsonl")

    async with a_back_end(shop.answer) as target:
        record = await run_probe(tmp_path / "run", PROBE, settings(target.url, shop.log))

    assert record.outcome is Outcome.PASSED, record.message
    assert [(one.step, one.matched_by) for one in record.evidence] == [
        ("reserved", "orderId (key)"),
        ("posted", "orderId (key)"),
    ]


async def test_two_runs_at_once_each_get_their_own(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop.jsonl")

    async with a_back_end(shop.answer) as target:
        both = await asyncio.gather(
            *(run_probe(tmp_path / name, PROBE, settings(target.url, shop.log)) for name in ("one", "other"))
        )

    def orders(record: Record) -> set[str]:
        return {one.attrs["orderId"] for one in record.evidence}

    assert [record.outcome for record in both] == [Outcome.PASSED] * 2, [record.message for record in both]
    assert [len(record.evidence) for record in both] == [2, 2]
    assert [len(orders(record)) for record in both] == [1, 1]
    assert not orders(both[0]) & orders(both[1])


async def test_a_short_number_joins_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop.jsonl")
    shop.make_id = lambda number: number
    probe = PROBE.replace("within: 20s", "within: 2s")

    async with a_back_end(shop.answer) as target:
        record = await run_probe(tmp_path / "run", probe, settings(target.url, shop.log))

    assert record.outcome is Outcome.FAILED
    assert record.evidence == ()


class Late:
    """An ear that was opened late."""

    where = "there"

    def __init__(self, fails: bool = False) -> None:
        self.keys: list[str] = []
        self.fails = fails

    def widen(self, keys: tuple[str, ...]) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.keys += keys

    async def aclose(self) -> None:
        return


class Old:
    """An ear of a kind that learns nothing."""

    where = "there"

    async def aclose(self) -> None:
        return


MARK, RECORD = Watermark("logs", 1), Evidence("logs", "posted", 1)


def a_watching() -> tuple[Watching, list[Report]]:
    told: list[Report] = []
    return Watching(Source("logs", "board", None), told.append), told


def test_until_a_source_is_open_and_knows_the_keys_it_vouches_for_nothing() -> None:
    watching, told = a_watching()
    ear = Late()

    watching.tell(MARK)
    watching.widen(("ORD-4711",))
    watching.tell(MARK)
    watching.tell(RECORD)
    watching.begin(ear)
    watching.tell(MARK)
    watching.widen(("INV-2026-1",))

    assert told == [MARK, RECORD, MARK]
    assert ear.keys == ["ORD-4711", "INV-2026-1"]


def test_a_source_that_learns_nothing_goes_on_with_what_it_was_given() -> None:
    watching, told = a_watching()
    ear: OpenEar = Old()

    watching.begin(ear)
    watching.widen(("ORD-4711",))
    watching.tell(MARK)

    assert told == [MARK]


async def test_a_source_that_breaks_over_it_is_blind_and_costs_no_run() -> None:
    watching, told = a_watching()

    watching.begin(Late(fails=True))
    watching.widen(("ORD-4711",))
    await asyncio.sleep(0)

    assert [type(report) for report in told] == [Blind]

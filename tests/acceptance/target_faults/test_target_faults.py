"""Whatever way the shop is wrong while it answers, every shipped journey that meets it turns red, and says why."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.demo.shop import running_shop
from tests.acceptance.target_faults import bench
from tests.acceptance.target_faults.bench import Result, is_red, left_behind, run_all, shipped, why
from tests.acceptance.target_faults.faults import FAULTS, RED, Fault
from tests.acceptance.target_faults.past import earlier_customer
from tests.acceptance.target_faults.proxy import faulty, honest
from tests.acceptance.target_faults.table import table

ROUNDS = 2
AT_ONCE = 3  # journeys, where nobody may turn red


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Result]:
    """Every fault against every journey, once for all tests of this file; the table is printed (`pytest -rP`)."""
    journeys, settings = shipped(tmp_path_factory.mktemp("faults"))
    got = asyncio.run(run_all(RED, journeys, settings))
    print(table(RED, got))
    return got


@pytest.mark.parametrize("fault", RED, ids=lambda fault: fault.name)
def test_every_journey_that_meets_a_fault_turns_red_and_says_where(fault: Fault, results: Mapping[str, Result]) -> None:
    result = results[fault.name]

    assert result.struck == fault.meets
    assert fault.meets - result.red == set()
    for name in fault.meets:
        assert _says_where(result.records[name]), why(result.records[name])


def test_there_are_thirty_three_faults_and_one_that_is_none() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len(RED) == 33
    assert len(FAULTS) == 34


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.equivalent], ids=lambda fault: fault.name)
async def test_a_fault_that_harms_nobody_leaves_everyone_green(fault: Fault, tmp_path: Path) -> None:
    journeys, settings = shipped(tmp_path)
    async with running_shop(bus="nats", busy_rate=0, otlp=bench.somewhere()) as shop:
        act = fault.make(await earlier_customer(shop.url))
        async with faulty(act, shop.url) as proxy:
            there = replace(bench.aimed_at(proxy.url, shop, settings), concurrency=AT_ONCE)

            records = await bench.run_each(bench.hearing(shop, journeys), there)

            assert proxy.struck == {journey.name for journey in journeys}
    assert {record.journey: why(record) for record in records if _not_green(record)} == {}


async def test_without_a_fault_nobody_turns_red_in_two_rounds(tmp_path: Path) -> None:
    journeys, settings = shipped(tmp_path)
    async with running_shop(bus="nats", busy_rate=0, otlp=bench.somewhere()) as shop, faulty(honest, shop.url) as proxy:
        there = replace(bench.aimed_at(proxy.url, shop, settings), concurrency=AT_ONCE)

        records = [
            record for _ in range(ROUNDS) for record in await bench.run_each(bench.hearing(shop, journeys), there)
        ]

        assert proxy.struck == set()
    assert len(records) == ROUNDS * len(journeys)
    assert [why(record) for record in records if _not_green(record)] == []


def _not_green(record: Record) -> bool:
    return is_red(record) or record.outcome is not Outcome.PASSED


def _says_where(record: Record) -> bool:
    """The message names the step, or the clause of what was told by others; its file and line, and what was seen
    instead.
    """
    if record.outcome is not Outcome.FAILED:
        return bool(left_behind(record))
    broken = [clause for clause in record.clauses if clause.verdict == "fail"]
    if record.message.startswith("verify: ") and broken:
        said = [f"verify: {clause.place}  {clause.text}: {clause.said}" for clause in broken]
        return record.message in said and re.search(r"\.yaml:\d+  ", record.message) is not None
    if not record.message.startswith(f"{record.step}: "):
        return False
    if record.reason not in (Reason.EXPECTATION, Reason.LOST):
        return True
    return re.search(r"\.yaml:\d+  (save: |.+   .*( is |\(.+\)))", record.message) is not None

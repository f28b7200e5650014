"""Replays against the demo shop: an order is forced and found guilty or not, and old keys make nothing anew."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from synthmon.core.finding.order import Finding, Trial, find
from synthmon.core.outcomes import Outcome
from synthmon.core.replaying import Plan, Wish
from synthmon.core.run import Record
from synthmon.demo.shop import Shop, running_shop
from synthmon.language.load import Loaded, load
from synthmon.runtime.house import open_house
from synthmon.runtime.once import open_once, run_once
from synthmon.runtime.replay import replay, trial
from synthmon.runtime.replay_plan import prepare
from tests.acceptance.daemon import DaemonProcess, environment, wait_for
from tests.acceptance.shop import SHIPPED
from tests.acceptance.things import Things, serving_things
from tests.runtime.replaying import JOURNEY, Scene

GUILTY = "credits-granted<profile-created"
SETTINGS = """
systems:
  shop: {{base: "{url}", writes: true, replay: allow}}
evidence:
  logs: {{jsonl: "{logs}/*.jsonl", lag: 300ms, skew: 0.001ms}}
identities:
  shopper: {{invent: [name, email], locale: en_GB, domain: synthetic.example.com}}
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """An open shop, the journeys that watch it, and where their runs are kept."""

    shop: Shop
    loaded: Loaded
    store: str

    async def run(self) -> list[Record]:
        return [record async for record in run_once(self.loaded.journeys, self.loaded.settings, self.store)]

    async def plan(self, run: str, **asked: Any) -> Plan:
        async with open_house(self.store) as house:
            return await prepare(Wish(run, **asked), self.loaded, house)

    async def force(self, run: str, order: str, times: int = 0) -> tuple[Finding, list[Trial]]:
        plan = await self.plan(run, order=order, times=times)
        assert plan.order is not None
        assert plan.reverse is not None
        trials = [trial(plan, *made) async for made in replay(plan, self.loaded.settings, self.store)]
        return find(plan.order, plan.reverse, trials), trials

    async def written(self) -> dict[str, int]:
        """How many rows of each kind the shop has ever written."""
        async with httpx.AsyncClient(base_url=self.shop.url, trust_env=False) as client:
            counts: dict[str, int] = (await client.get("/effects")).json()["written"]
        return counts


@asynccontextmanager
async def watched(folder: Path, probe: str, copies: int = 1) -> AsyncIterator[Watched]:
    """A shop where no dependency is ever busy, and a shipped journey with less patience, so that it is soon over."""
    (folder / "probes").mkdir()
    text = (SHIPPED / f"{probe}.yaml").read_text().replace("  within: 5s\n  expect", "  within: 1500ms\n  expect")
    for number in range(copies):
        named = re.sub(r"^journey: .*$", f"journey: copy-{number}", text, flags=re.MULTILINE)
        (folder / f"probes/copy-{number}.yaml").write_text(named)
    async with running_shop(folder / "shop", busy_rate=0.0) as shop:
        (folder / "synthmon.yaml").write_text(SETTINGS.format(url=shop.url, logs=shop.logs))
        loaded = load([folder / "probes"], [folder / "synthmon.yaml"])
        assert not loaded.errors, "\n".join(map(str, loaded.errors))
        yield Watched(shop, loaded, f"sqlite:///{folder / 'store.db'}")


async def test_the_guilty_order_is_confirmed_as_long_as_the_fault_is_there(tmp_path: Path) -> None:
    async with watched(tmp_path, "signup-sequence") as demo:
        (good,) = await demo.run()
        await demo.shop.break_fault("swap-order", rate=0.0)  # by itself it would never strike

        finding, trials = await demo.force(good.run_id, GUILTY)

    assert finding.verdict == "confirmed", (finding, [one.record.message for one in trials])
    assert (finding.forced_good, finding.reversed_bad) == (0, 0)
    assert finding.p < 0.01
    assert {one.record.replay_of for one in trials} == {good.run_id}
    assert all(one.record.outcome is Outcome.FAILED for one in trials if one.counts and one.what.text == GUILTY)


async def test_an_order_that_the_shop_does_not_allow_is_said_to_be_one_that_cannot_be_forced(tmp_path: Path) -> None:
    async with watched(tmp_path, "signup-sequence") as demo:
        (good,) = await demo.run()

        finding, trials = await demo.force(good.run_id, GUILTY)

    assert finding.verdict == "cannot force"
    assert finding.said.endswith("and credits-granted came after it all the same: the system waits for it"), finding
    assert len(trials) < 10  # it did not go on for nothing


async def test_a_consumer_that_does_not_know_the_header_cannot_be_held(tmp_path: Path) -> None:
    async with watched(tmp_path, "signup-sequence") as demo:
        (good,) = await demo.run()

        # the gateway is no consumer: nothing holds it
        finding, _ = await demo.force(good.run_id, "welcome-sent<signup-created", times=2)

    assert finding.verdict == "cannot force"
    assert "its consumer does not honour synthmon.hold in the baggage" in finding.said


async def replayed_with_old_keys(demo: Watched, rounds: int) -> list[Record]:
    """Each of the runs again and again, all of them at once."""
    first = await demo.run()
    plans = [await demo.plan(one.run_id, same_keys=True) for one in first]
    before, records = await demo.written(), []
    async with (
        open_house(demo.store) as house,
        open_once(house, demo.loaded.journeys, demo.loaded.settings) as once,
    ):
        for _ in range(rounds):  # past the turnstile, which lets one in at a time and twenty an hour
            turns = [(plan, plan.turns[0]) for plan in plans]
            records += await asyncio.gather(
                *(once.run(turn.journey, "replay", plan.shape(turn)) for plan, turn in turns)
            )
    assert await demo.written() == before  # not one row more, in the ledger or anywhere else
    return records


async def test_old_keys_make_nothing_anew(tmp_path: Path) -> None:
    async with watched(tmp_path, "order-sequence", copies=5) as demo:
        records = await replayed_with_old_keys(demo, rounds=2)

    assert [(record.outcome, record.message) for record in records] == [(Outcome.PASSED, "")] * 10


@pytest.mark.torture
async def test_two_hundred_replays_with_old_keys_make_nothing_anew(tmp_path: Path) -> None:
    async with watched(tmp_path, "order-sequence", copies=10) as demo:
        records = await replayed_with_old_keys(demo, rounds=20)

    assert [(record.outcome, record.message) for record in records] == [(Outcome.PASSED, "")] * 200


def test_beside_a_running_daemon_a_replay_is_kept_with_its_runs_and_counts_in_none_of_its_promises(
    tmp_path: Path,
) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        scene = Scene(tmp_path)
        scene.lay_out(url, journey=JOURNEY.replace("every: 1m", "every: 2s"))
        daemon.start()
        first = wait_for(lambda: daemon.get("/api/v1/runs?limit=1")["runs"])[0]
        asked = [sys.executable, "-m", "synthmon", "replay", first["id"], "--yes", "--json"]
        told = subprocess.run(
            [*asked, "--settings", "synthmon.yaml", "--store", scene.store],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        run = json.loads(told.stdout)["runs"][0]["record"]["run_id"]

        kept, page = daemon.get(f"/api/v1/runs/{run}"), daemon.text(f"/runs/{first['id']}")
        daemon.post("/api/v1/pause")
        wait_for(lambda: not things.left())
        daemon.kill()
        daemon.start()  # it reads what was kept

        assert (kept["cause"], kept["replay_of"], kept["outcome"]) == ("replay", first["id"], "passed")
        assert f'href="/runs/{run}"' in page
        assert run not in str(daemon.get("/api/v1/journeys/making"))  # it says nothing of how the journey stands

"""The demo is broken, and one command says why; and what became of an order that synthmon never made, by reading."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from synthmon.demo.client import break_fault, mend
from tests.acceptance.daemon import environment, wait_for
from tests.acceptance.shop import OpenShop, lay_out_shipped, open_shop
from tests.evidence.back_ends import a_back_end
from tests.evidence.test_tempo import Kept, tempo
from tests.servers.front import front

GOOD, BAD = 5, 2
STEPS = [
    "order-placed",
    "order-validated",
    "stock-reserved",
    "payment-authorised",
    "ledger-posted",
    "shipment-prepared",
    "mail-sent",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OpenShop, Path]]:
    """A shop, and the folder of the journeys for it: without the clauses that wait until the end."""
    folder = tmp_path_factory.mktemp("investigated")
    with open_shop(folder / "shop") as shop:
        lay_out_shipped(folder, shop, "15s")
        settings = folder / "synthmon.yaml"
        settings.write_text(settings.read_text().replace("lag: 1s", "lag: 500ms"))
        for name in ("signup-sequence", "order-sequence"):
            probe = folder / "probes" / f"{name}.yaml"
            kept = re.sub(r"    - (once|never|follows): .*\n(      within: 4s\n)?", "", probe.read_text())
            probe.write_text(kept.replace("within: 5s", "within: 3s"))
        yield shop, folder


def synthmon(folder: Path, *arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "synthmon", *arguments, "--settings", str(folder / "synthmon.yaml")]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=180)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def broken_by(shop: OpenShop, folder: Path, journey: str, fault: str) -> str:
    """Some good runs, some with the fault; what is said of the last of them."""
    store = ("--store", f"sqlite:///{folder / f'{fault}-{time.time_ns()}.db'}")
    probe = str(folder / "probes" / f"{journey}.yaml")
    synthmon(folder, "run", probe, "--times", str(GOOD), "--json", *store)
    break_fault(shop.url, fault, 1.0)
    try:
        runs = json.loads(synthmon(folder, "run", probe, "--times", str(BAD), "--json", *store))
    finally:
        mend(shop.url, fault)
    assert [run["outcome"] for run in runs] == ["failed"] * BAD, runs
    said = synthmon(folder, "investigate", runs[-1]["run_id"][:8], *store)
    beside = re.search(r"What differs from (\d+) good runs", said)
    assert beside is not None, said
    assert int(beside[1]) >= GOOD - 2  # on a busy machine a run may be late
    assert re.search(r"based on \d failing runs", said), said
    return said


def test_a_swapped_order_is_named_with_its_pair(shop: tuple[OpenShop, Path]) -> None:
    said = broken_by(*shop, "signup-sequence", "swap-order")

    assert re.search(r"Verdict: credits-granted \(credits\) came \d+ ms before profile-created \(profile\)", said), said
    assert re.search(r"credits-granted<profile-created +\d of \d ", said), said
    assert re.search(r"synthmon replay [0-9a-f]{12} --order 'credits-granted<profile-created'", said)
    assert "✗  before: [profile, credits]" in said


def test_a_lost_event_is_named_with_where_the_chain_ends(shop: tuple[OpenShop, Path]) -> None:
    said = broken_by(*shop, "order-sequence", "lose-event")

    assert "Verdict: ledger-posted (ledger) did not happen, nor 2 more that come after it" in said
    assert "the chain ends behind payment-authorised" in said
    assert re.search(r"ledger-posted did not happen  \(0 of \d good\)  ← first divergence", said), said
    assert "no ledger-posted (ledger): " in said


async def test_an_order_that_synthmon_never_made_is_put_together_by_reading_alone(
    shop: tuple[OpenShop, Path], tmp_path: Path
) -> None:
    opened, correlation = shop[0], f"web-{time.time_ns()}"
    port = int(opened.url.rpartition(":")[2])
    async with front(0, port) as counting:
        await asyncio.to_thread(place_order, counting.port, correlation)
        lines = await asyncio.to_thread(wait_for, lambda: whole_chain(Path(opened.logs), correlation))
        by_now = counting.visitors
        trace = next(line["traceId"] for line in lines if line["step"] == "payment-authorised")
        linked = Kept("ab" * 16, "fraud-checked", links=(trace,), at_ns=time.time_ns())

        async with a_back_end(tempo([Kept(trace, "psp-called", at_ns=time.time_ns()), linked])) as back_end:
            (tmp_path / "synthmon.yaml").write_text(f"""
systems:
  shop: {{base: "http://127.0.0.1:{counting.port}", writes: true}}
evidence:
  logs: {{jsonl: "{opened.logs}/*.jsonl", lag: 100ms}}
  spans: {{tempo: "{back_end.url}", lag: 100ms, networks: [127.0.0.0/8]}}
store: sqlite:///store.db
""")
            found = json.loads(await asyncio.to_thread(synthmon, tmp_path, "investigate", correlation, "--json"))

    told = [line["moment"]["what"] for line in found["story"]]
    assert [step for step in told if step in STEPS] == STEPS
    assert {"psp-called", "fraud-checked"} <= set(told)
    joined = {line["moment"]["what"]: line["moment"]["via"] for line in found["story"]}
    assert joined["fraud-checked"] in ("link", "linked trace")
    assert counting.visitors == by_now == 1, "the system was asked for something"
    assert {asked.method for asked in back_end.asked} == {"GET"}
    assert names_in(tmp_path) == ["synthmon.yaml"], "something was kept"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def place_order(port: int, correlation: str) -> None:
    """As a customer's browser does."""
    order = {"reference": "B-1", "sku": "mug-blue", "quantity": 1, "name": "Ada", "email": "ada@example.com"}
    url = f"http://127.0.0.1:{port}/orders"
    answer = httpx.post(url, json=order, headers={"X-Correlation-ID": correlation}, timeout=30, trust_env=False)
    assert answer.status_code == 202, answer.text


def whole_chain(logs: Path, correlation: str) -> list[dict[str, Any]]:
    """The lines of an order once all have come."""
    text = "".join(file.read_text() for file in logs.glob("*.jsonl"))
    lines = [json.loads(line) for line in text.splitlines() if f'"{correlation}"' in line]
    return lines if {line["step"] for line in lines} >= set(STEPS) else []

"""How true a reported latency is: synthmon's figure less what the server says it took.

    python -m tests.bench.truth FOLDER --secs 8 --block-ms 50

Runs go through the whole runner at 200 a second; `--block-ms` holds the loop for so long, half of the time. Prints one
JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.language.load import load
from synthmon.runtime.house import open_house
from synthmon.runtime.runner import Runner
from tests.bench import journeys
from tests.bench.figures import Row, quantile
from tests.bench.processes import Bench, ask

RATE = 200
SLOTS = 400  # journeys; each is due every two seconds, so that none overtakes itself


def measure(bench: Bench) -> Sequence[Row]:
    """In calm, and with the loop held half of the time."""
    folder = bench.made("truth")
    journeys.write(folder, bench.shop, journeys.DELAYED, SLOTS, "24h")
    secs = bench.secs(10, 2)

    def told(block_ms: int) -> dict[str, float]:
        given = [folder, "--secs", secs, "--block-ms", block_ms]
        return ask(bench, "tests.bench.truth", *given, limit_s=secs + 30)[0]

    calm, held = told(0), told(50)
    at = f"latency of a 50 ms answer at {RATE}/s less the server's truth"
    return [
        Row(f"{at}, p50", calm["p50"], "ms", 0.5),
        Row(f"{at}, p99", calm["p99"], "ms", 4),
        Row(f"{at}, step with its connect, p99", calm["step_p99"], "ms"),
        Row("samples flagged as lagged", calm["flagged"] * 100, "%"),
        Row("the same, loop held half of the time, p50 of what is not flagged", held["p50"], "ms", 0.5),
        Row("p99 of what is not flagged", held["p99"], "ms"),
        Row("step with its connect, p50 of what is not flagged", held["step_p50"], "ms", 0.5),
        Row("samples flagged as lagged then", held["flagged"] * 100, "%"),
    ]


async def run(folder: Path, secs: float, block_ms: float) -> dict[str, float | None]:
    """Milliseconds that figures are away from the truth, those of flagged samples left out."""
    loaded = load([folder / "probes"], [folder / "synthmon.yaml"])
    records: list[Record] = []
    async with open_house("memory:") as house:
        lent, _ = house.lend(loaded.settings)
        runner = Runner(lent, house.journal, house.history, house.clock, lambda record, _: records.append(record))
        holding = asyncio.create_task(_hold(block_ms)) if block_ms else None
        began = house.clock.now() + timedelta(seconds=0.5)
        async with asyncio.TaskGroup() as group:
            for number in range(int(RATE * secs)):
                slot = began + timedelta(seconds=number / RATE)
                group.create_task(runner.fill(loaded.journeys[number % SLOTS], slot, slot))
        if holding is not None:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)
        await runner.stop(1)
    passed = [record for record in records if record.outcome is Outcome.PASSED]
    if len(passed) < len(records) * 0.9:
        others = {f"{record.outcome} {record.reason}" for record in records} - {"passed none"}
        raise SystemExit(f"only {len(passed)} of {len(records)} passed: {others}")
    whole, exchange = [], []
    for record in passed:
        step = record.steps[0]
        if step.latency_ms is None or step.lagged or record.lagged:
            continue
        truth_ms, timing = int(step.saved["truth_us"]) / 1000, step.attempts[-1].timing
        whole.append(step.latency_ms - truth_ms)
        exchange.append(timing.wait_ms + timing.read_ms - truth_ms)
    return {
        "p50": quantile(exchange, 0.5),
        "p99": quantile(exchange, 0.99),
        "step_p50": quantile(whole, 0.5),
        "step_p99": quantile(whole, 0.99),
        "flagged": 1 - len(whole) / len(passed),
        "kernel": sum(r.steps[0].attempts[-1].timing.kernel for r in passed) / len(passed),
    }


async def _hold(block_ms: float) -> None:
    while True:
        until_s = time.perf_counter() + block_ms / 1000
        while time.perf_counter() < until_s:
            pass
        await asyncio.sleep(block_ms / 1000)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--secs", type=float, default=8)
    arguments.add_argument("--block-ms", type=float, default=0)
    wanted = arguments.parse_args()
    print(json.dumps(asyncio.run(run(wanted.folder, wanted.secs, wanted.block_ms))))


if __name__ == "__main__":
    main()

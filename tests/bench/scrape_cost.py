"""What a scrape costs: CPU, bytes and the longest hold of the loop, and what a journey weighs.

    python -m tests.bench.scrape_cost JOURNEYS [--all]

Prints JSON lines: the weight, and a scrape of the page, compressed, after a quarter of the journeys ran. With `--all`
other shares and plain text too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import Any

from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page, Wanted
from synthmon.metrics.own import Own
from tests.bench.figures import Row
from tests.bench.processes import Bench, ask
from tests.metrics.some import a_journey, a_record

TARGETS_MS = {1_000: 5.0, 10_000: 50.0}
HOLD_MS = 5.0


def measure(bench: Bench) -> Sequence[Row]:
    """A scrape every 15 s of journeys that run every minute: a quarter of them changed. Compressed, with exemplars."""
    rows: list[Row] = []
    for count, target_ms in TARGETS_MS.items():
        told = ask(bench, "tests.bench.scrape_cost", count, limit_s=120)
        usual = next(one for one in told if one["changed"] == count // 4 and one["form"] == "gzip")
        what = f"`/metrics` with {count:,} journeys, a quarter of them changed"
        rows += [
            Row(f"{what}: CPU", usual["cpu_ms"], "ms CPU", target_ms),
            Row(f"{what}: longest hold of the loop", usual["held_ms"], "ms", HOLD_MS),
            Row(f"{what}: gzip", usual["mb"], "MB", 5),
            Row(f"recording a run, {count:,} journeys", told[0]["record_us"], "µs CPU"),
            Row(f"metrics of a journey in memory, {count:,} journeys", told[0]["kb_each"], "KB"),
        ]
    return rows


async def scrape(page: Page, wanted: Wanted) -> tuple[float, float, int]:
    """CPU ms, longest hold of the loop in ms, bytes."""
    held: list[float] = []
    stop = asyncio.Event()

    async def feel() -> None:
        before = time.perf_counter()
        while not stop.is_set():
            await asyncio.sleep(0)
            now = time.perf_counter()
            held.append(now - before)
            before = now

    watch = asyncio.create_task(feel())
    await asyncio.sleep(0)
    began = time.process_time()
    size = 0
    async for part in page.render(wanted):
        size += len(part)
        await asyncio.sleep(0)  # as a socket would
    cpu = time.process_time() - began
    stop.set()
    await watch
    return cpu * 1000, max(held) * 1000, size


async def run(count: int, everything: bool) -> list[dict[str, Any]]:
    """Load, run everything twice, scrape."""
    draw = random.Random(1)
    journeys = [a_journey(f"journey-{i:05d}") for i in range(count)]
    gc.collect()
    tracemalloc.start()
    base = tracemalloc.get_traced_memory()[0]
    board, own = Board(home="eu"), Own("0")
    board.load(journeys)
    page = Page(board, own)
    for journey in journeys:
        board.record(a_record(journey, draw, location="eu"), journey)
    await scrape(page, Wanted(True, True))
    weight = (tracemalloc.get_traced_memory()[0] - base) / count / 1024
    tracemalloc.stop()

    records = [a_record(journey, draw, location="eu") for journey in journeys]
    began = time.process_time()
    for record, journey in zip(records, journeys, strict=True):
        board.record(record, journey)
    told: list[dict[str, Any]] = [
        {"kb_each": weight, "record_us": (time.process_time() - began) * 1e6 / count, "changed": None, "form": ""}
    ]
    # journeys run in the order of their phases, so what changes between two scrapes mostly stands together
    ran = [card.journey for shelf in board.shelves for card in shelf.cards]
    for changed in (count, count // 4, 100, 0) if everything else (count // 4,):
        for wanted in (Wanted(True, True), Wanted(True, False)) if everything else (Wanted(True, True),):
            await scrape(page, wanted)
            costs = []
            for _ in range(3):
                begin = draw.randrange(count - changed + 1)
                for journey in ran[begin : begin + changed]:
                    board.record(a_record(journey, draw, location="eu"), journey)
                costs.append(await scrape(page, wanted))
            cpu_ms, held_ms, size = sorted(costs)[1]
            form = "gzip" if wanted.gzip else "text"
            told.append({"changed": changed, "form": form, "cpu_ms": cpu_ms, "held_ms": held_ms, "mb": size / 1e6})
    return told


def main() -> None:
    for line in asyncio.run(run(int(sys.argv[1]), "--all" in sys.argv)):
        print(json.dumps(line))


if __name__ == "__main__":
    main()

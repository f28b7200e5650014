"""What a scrape costs: CPU, bytes and the longest hold of the loop, and what a journey weighs.

Run: python tests/bench/scrape_cost.py [journeys …]
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
import tracemalloc
import zlib

from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page, Wanted
from synthmon.metrics.own import Own
from tests.metrics.some import a_journey, a_record


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


async def main(count: int) -> None:
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

    began = time.process_time()
    for journey in journeys:
        board.record(a_record(journey, draw, location="eu"), journey)
    recording = (time.process_time() - began) * 1e6 / count
    print(f"{count} journeys: {weight:.1f} KB each, record {recording:.0f} µs (making it included)")
    # journeys run in the order of their phases, so what changes between two scrapes mostly stands together
    ran = [card.journey for shelf in board.shelves for card in shelf.cards]
    for label, changed in (("all", count), ("quarter", count // 4), ("100", 100), ("10 anywhere", 10), ("0", 0)):
        for wanted in (Wanted(True, True), Wanted(True, False)):
            await scrape(page, wanted)
            costs = []
            for _ in range(3):
                begin = draw.randrange(count - changed + 1)
                anywhere = "anywhere" in label
                for journey in draw.sample(ran, changed) if anywhere else ran[begin : begin + changed]:
                    board.record(a_record(journey, draw, location="eu"), journey)
                costs.append(await scrape(page, wanted))
            cpu, held, size = min(costs)
            form = "gzip" if wanted.gzip else "text"
            print(f"  {label:>11} changed, {form}: {cpu:6.1f} ms CPU, loop held {held:4.1f} ms, {size / 1e6:.2f} MB")
    whole = b"".join([part async for part in page.render(Wanted(True, True))])
    lines = zlib.decompress(whole, 31).count(b"\n")
    print(f"  {lines} lines")


if __name__ == "__main__":
    for amount in map(int, sys.argv[1:] or ["1000", "10000"]):
        asyncio.run(main(amount))

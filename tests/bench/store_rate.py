"""How many records, claims and entries become durable a second on this disk, and how long each waits for that.

python -m tests.bench.store_rate SECONDS [FOLDER]
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.open import open_history
from tests.bench.figures import Row, quantile
from tests.bench.processes import ROOT, Bench, ask
from tests.store.samples import a_claim, a_record, three_entries

CROWD = 200  # as many runs as go on at once by default


def measure(bench: Bench) -> Sequence[Row]:
    """On the disk of this folder, for a temporary one may be memory."""
    told = ask(bench, "tests.bench.store_rate", bench.secs(4, 0.7), ROOT, limit_s=90)
    by_name = {one["name"]: one for one in told if one["side_by_side"] == CROWD}
    records, claims, entries = by_name["records"], by_name["claims"], by_name["entries"]
    at = f"{CROWD} side by side"
    return [
        Row(f"durable records, {at}", records["rate"], "/s", 5_000, least=True),
        Row("acknowledgement of a record, p99", records["p99_ms"], "ms", 50),
        Row("a durable record", records["cpu_us"], "µs CPU"),
        Row(f"durable claims, {at}", claims["rate"], "/s"),
        Row(f"durable journal entries, {at}", entries["rate"], "/s"),
    ]


async def rate(
    name: str, each: Callable[[int], Awaitable[int]], side_by_side: int, start: int, secs: float
) -> dict[str, Any]:
    """Call `each(number)` from `start` on, which answers how many entries it made durable."""
    numbers, waits_ms, entries = count(start), list[float](), 0
    end_s = time.perf_counter() + secs

    async def one_after_another() -> None:
        nonlocal entries
        while time.perf_counter() < end_s:
            start_s = time.perf_counter()
            made = await each(next(numbers))
            entries += made
            waits_ms.append((time.perf_counter() - start_s) * 1000)

    began_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(side_by_side)))
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return {
        "name": name,
        "side_by_side": side_by_side,
        "rate": entries / took_s,
        "p50_ms": quantile(waits_ms, 0.5),
        "p99_ms": quantile(waits_ms, 0.99),
        "cpu_us": cpu_s / entries * 1e6,
    }


async def run(folder: Path, secs: float) -> None:
    """One alone, then a crowd."""
    history = await open_history(f"sqlite:///{folder}/bench.db")
    journal = SqliteJournal(folder / "bench-journal.db")

    async def save(number: int) -> int:
        return len(await history.save([a_record(number, journey=f"journey {number % 1000}", steps=_STEPS)]))

    async def claim(number: int) -> int:
        return int(await journal.claim(a_claim(number)))

    async def write_three(number: int) -> int:
        run = a_claim(number).run_id + "w"
        for seq, entry in enumerate(three_entries(number)):
            await journal.append(run, entry, seq)
        return 3

    for start, side_by_side in ((0, 1), (20_000_000, CROWD)):
        for name, each in (("records", save), ("claims", claim), ("entries", write_three)):
            print(json.dumps(await rate(name, each, side_by_side, start, secs)), flush=True)
    await history.aclose()
    await journal.aclose()


_STEPS = a_record().steps * 3

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=sys.argv[2] if len(sys.argv) > 2 else None) as made:
        asyncio.run(run(Path(made), float(sys.argv[1])))

"""Durable records and claims a second on this disk: `python -m tests.bench.store_rate [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.open import open_history
from tests.store.samples import a_claim, a_record, three_entries

_SECONDS = 4.0


async def rate(name: str, each: Callable[[int], Awaitable[int]], side_by_side: int, start: int = 0) -> None:
    """Call `each(number)` from `start` on, which answers how many entries it made durable; print what that came to."""
    numbers, waits_ms, entries = count(start), list[float](), 0
    end_s = time.perf_counter() + _SECONDS

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
    waits_ms.sort()
    p50, p99 = (waits_ms[int(len(waits_ms) * part)] for part in (0.5, 0.99))
    print(
        f"{name:<10} {side_by_side:>4} side by side  {entries / took_s:>8,.0f} durable/s  acknowledged p50 {p50:6.1f} "
        f"p99 {p99:6.1f} ms  {cpu_s / entries * 1e6:6.0f} µs CPU each"
    )


async def main(folder: Path) -> None:
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

    for start, side_by_side in ((0, 1), (10_000_000, 20), (20_000_000, 200)):
        await rate("records", save, side_by_side, start)
        await rate("claims", claim, side_by_side, start)
        await rate("entries", write_three, side_by_side, start)
    await history.aclose()
    await journal.aclose()


_STEPS = a_record().steps * 3

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as made:
        asyncio.run(main(Path(made)))

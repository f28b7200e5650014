"""How long 5,000 records of one run hold the loop: `python -m tests.evidence.load`."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthmon.core.evidence import Wanted
from synthmon.evidence.jsonl import SOURCE as JSONL
from synthmon.evidence.otlp import SOURCE as OTLP
from synthmon.evidence.query import SOURCE as QUERY
from tests.evidence.lending import Lent, a_source, wanted, watching
from tests.evidence.test_otlp import Reported, span

RECORDS = 5000


@dataclass
class Held:
    """How long the loop was held, in milliseconds: at most, and in all more than a millisecond at a time."""

    most_ms: float = 0.0
    sum_ms: float = 0.0


@asynccontextmanager
async def measuring() -> AsyncIterator[Held]:
    """Goes round the loop as often as it can: a round is as long as the longest piece of work of somebody else."""
    held, over = Held(), asyncio.Event()

    async def go_round() -> None:
        while not over.is_set():
            began_s = time.perf_counter()
            await asyncio.sleep(0)
            took_ms = (time.perf_counter() - began_s) * 1000
            held.most_ms = max(held.most_ms, took_ms)
            held.sum_ms += took_ms if took_ms > 1 else 0

    gc.collect()  # what others left is not to be collected now
    rounds = asyncio.create_task(go_round())
    try:
        yield held
    finally:
        over.set()
        await rounds


async def of_lines(folder: Path, run: Wanted) -> Held:
    log = folder / "shop.jsonl"
    log.touch()
    own = {"correlationId": run.run_id, "step": "posted", "status": "ok", "service": "ledger", "latencyMs": 1.5}
    lines = [json.dumps({"time": time.time_ns(), "eventId": f"e-{n}", **own}) for n in range(RECORDS)]
    content = "\n".join(lines).encode() + b"\n"
    async with watching(JSONL, a_source(JSONL, {"jsonl": str(log)}), run) as heard, measuring() as held:
        await asyncio.to_thread(log.write_bytes, content)
        await heard.until(lambda: len(heard.records) == RECORDS)
    return held


async def of_spans(run: Wanted) -> Held:
    collector = Reported()
    attributes = {"messaging.message.id": "m", "http.request.method": "GET", "x": 1, "y": "z" * 100}
    spans = [span(run.run_id, "posted", attributes=attributes) for _ in range(RECORDS)]
    source, means = a_source(OTLP, {"otlp": {}}), Lent(collector=collector)
    async with watching(OTLP, source, run, means) as heard, measuring() as held:
        collector.report(*spans)
        await heard.until(lambda: len(heard.records) == RECORDS)
    return held


async def of_rows(run: Wanted) -> Held:
    rows = [{"step": "posted", "id": n, "at": time.time_ns(), "reference": run.run_id} for n in range(RECORDS)]

    def ask(sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        return rows

    source = a_source(QUERY, {"query": "ledger", "sql": "select * from audit where reference = :run"})
    async with watching(QUERY, source, run, Lent(ask)) as heard, measuring() as held:
        await heard.until_sure()
        await heard.until_sure()  # a second look, at what was told already
        assert len(heard.records) == RECORDS
    return held


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, held in (
            ("jsonl", await of_lines(Path(folder), wanted())),
            ("otlp", await of_spans(wanted())),
            ("query", await of_rows(wanted())),
        ):
            print(
                f"{name:6} {RECORDS} records: held the loop {held.most_ms:.1f} ms at most, {held.sum_ms:.0f} ms in all"
            )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""One whole run that 5,000 records are reported of: `python -m tests.evidence.whole_run_load` prints what it costs.

The run is a real one: its reactor, its performer, its gatherer and its door. What reports of it (a log file, OTLP, a
Loki that is asked) works in a thread with a loop of its own, so that what holds our loop is ours alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import tempfile
import threading
import time
import tracemalloc
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthmon.core.evidence import MOST_RECORDS, Wanted
from synthmon.core.run import Record
from tests.connections.running import run_probe
from tests.evidence import test_loki
from tests.evidence.back_ends import Asked, Said, a_back_end, thing
from tests.servers.ports import free_port
from tests.servers.shop import shop

PROBE = """
journey: loaded
every: 5m
deadline: 2m
system: shop
vars: {{reference: "${{run.namespace}}"}}
events:
  posted: {{from: told, step: posted}}
  broken: {{from: told, step: broken}}
steps:
  - id: order
    http: POST /orders
    json: {{run: "${{run.id}}", namespace: "${{run.namespace}}", counts: true}}
    leaves: nothing
    expect: [status == 202]
verify:
  within: {within}
  expect:
    - at_most: {{posted: {most}}}
    - never: broken
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run cost: its record, the longest pieces of the loop's own time, and what it kept and peaked at."""

    record: Record
    pieces_ms: tuple[float, ...]  # the longest last
    kept_bytes: int
    peak_mib: float

    @property
    def longest_ms(self) -> float:
        return self.pieces_ms[-1]

    @property
    def worked_ms(self) -> float:
        """In all pieces of more than half a millisecond."""
        return sum(piece for piece in self.pieces_ms if piece > 0.5)


@dataclass(frozen=True, slots=True)
class Way:
    """How it is reported: the settings of the source, and what the system under test does once it was asked."""

    source: str
    report: Callable[[Mapping[str, str]], None]
    answer: Callable[[Asked], Any] = lambda asked: Said({})


def of_lines(folder: Path, records: int, wide: bool = False) -> Way:
    """Into a log file, all at once; `wide`: each with a kilobyte of attributes."""
    log = folder / "shop.jsonl"
    log.touch()
    more = {f"field{n}": "x" * 200 for n in range(5)} if wide else {}

    def report(order: Mapping[str, str]) -> None:
        lines = (
            {
                "time": time.time_ns(),
                "step": "posted",
                "eventId": f"e-{n}",
                "service": "ledger",
                "run": order["run"],
                **more,
            }
            for n in range(records)
        )
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    return Way(f'{{jsonl: "{log}", lag: 500ms}}', report)


def of_spans(port: int, records: int) -> Way:
    """By OTLP, 500 at a time."""

    def report(order: Mapping[str, str]) -> None:
        for first in range(0, records, 500):
            spans = [_as_json(order["run"], n) for n in range(first, min(first + 500, records))]
            resource_of = {"attributes": [{"key": "service.name", "value": {"stringValue": "ledger"}}]}
            body = {"resourceSpans": [{"resource": resource_of, "scopeSpans": [{"spans": spans}]}]}
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/traces", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(request, timeout=30).read()

    return Way("{otlp: {}, lag: 500ms}", report)


def _as_json(trace: str, n: int) -> dict[str, Any]:
    now_ns = time.time_ns()
    return {
        "traceId": trace,
        "spanId": f"{n + 1:016x}",
        "name": "posted",
        "kind": 5,
        "startTimeUnixNano": str(now_ns - 1_000_000),
        "endTimeUnixNano": str(now_ns),
        "attributes": [{"key": "attempt", "value": {"intValue": "1"}}],
    }


def of_entries(records: int) -> Way:
    """Kept by a Loki, which is asked page by page."""
    kept: dict[str, Callable[[Asked], Any]] = {}

    def report(order: Mapping[str, str]) -> None:
        run = Wanted(order["run"], order["namespace"], time.time_ns())
        things = [thing(run, "posted", ago_ms=n / 1000) for n in range(records)]
        kept["answer"] = test_loki.loki(test_loki.entries(things))

    def answer(asked: Asked) -> Any:
        return (kept.get("answer") or test_loki.loki([]))(asked)

    return Way(f"{{loki: URL, select: '{test_loki.SELECTOR}', lag: 500ms, networks: [127.0.0.0/8]}}", report, answer)


WAYS = ("jsonl", "otlp", "loki")


async def cost_of(
    way: str, records: int = MOST_RECORDS, within: str = "15s", memory: bool = False, wide: bool = False
) -> Cost:
    """Run the journey once, with so many records reported of it."""
    with tempfile.TemporaryDirectory() as made:
        folder, port = Path(made), free_port()
        match way:
            case "jsonl":
                chosen = of_lines(folder, records, wide)
            case "otlp":
                chosen = of_spans(port, records)
            case _:
                chosen = of_entries(records)
        with _world(chosen) as (target, back_end):
            settings = (
                f'systems: {{shop: {{base: "{target}", writes: true}}}}\nhooks: {{listen: "127.0.0.1:{port}"}}\n'
                f"evidence: {{told: {chosen.source.replace('URL', json.dumps(back_end))}}}\n"
            )
            return await _measured(folder, PROBE.format(within=within, most=records + 1), settings, memory)


async def _measured(folder: Path, probe: str, settings: str, memory: bool) -> Cost:
    pieces, over = [0.0], asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            before_s = time.thread_time()
            await asyncio.sleep(0)
            pieces.append((time.thread_time() - before_s) * 1000)

    warm = re.sub("within: .*", "within: 1s", probe.replace("counts: true", "counts: false"))
    await run_probe(folder / "warm", warm, settings)  # what is imported and compiled once
    gc.collect()
    gc.freeze()  # as the daemon does with what it has loaded
    if memory:
        tracemalloc.start()
    watcher = asyncio.create_task(watch())
    try:
        record = await run_probe(folder / "run", probe, settings)
    finally:
        over.set()
        await watcher
        gc.unfreeze()
    peak = tracemalloc.get_traced_memory()[1] / (1 << 20) if memory else 0.0
    tracemalloc.stop()
    return Cost(record, tuple(sorted(pieces)), sum(one.size_bytes for one in record.evidence), peak)


@contextmanager
def _world(way: Way) -> Iterator[tuple[str, str]]:
    """The system under test and its back end, in a thread of their own; answers their addresses."""
    opened: dict[str, str] = {}
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def act(order: Mapping[str, str]) -> None:
        if order["counts"]:
            await asyncio.to_thread(way.report, order)

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            opened["target"] = (await stack.enter_async_context(shop(act))).url
            opened["back end"] = (await stack.enter_async_context(a_back_end(way.answer))).url
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield opened["target"], opened["back end"]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


async def main() -> None:
    for way in WAYS:
        cost, heavy = await cost_of(way), await cost_of(way, memory=True)
        print(
            f"{way:6} {len(cost.record.evidence)} records, {cost.record.outcome}: held the loop "
            f"{', '.join(f'{piece:.1f}' for piece in cost.pieces_ms[:-4:-1])} ms at most; kept "
            f"{cost.kept_bytes / 1024:.0f} KiB, peak {heavy.peak_mib:.1f} MiB, "
            f"process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
        )
        many = await cost_of(way, MOST_RECORDS + 200)
        print(f"{'':6} and 200 more: {many.record.outcome}, {many.record.message}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

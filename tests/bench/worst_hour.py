"""The worst hour: every journey fails, every time, and somebody looks at the pages all the while.

    python -m tests.bench.worst_hour --minutes 2

Prints its figures beside their goals. Alone on the machine, please; it wants two cores.
"""

from __future__ import annotations

import argparse
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from synthmon.core.slots import unit
from tests.bench import journeys
from tests.bench.figures import Row, machine, quantile, table
from tests.bench.minute import EPOCH_S, slots_between
from tests.bench.processes import Bench, charge, fetch, opened
from tests.bench.scheduled import serving
from tests.bench.storm import pulse

FAILING = journeys.COUNTED.replace("- body.ok\n", "- body.ok == false\n      - size(body.items) == 4\n")
EVERY_S = 60.0
PAGES = ("/", "/api/v1/runs?limit=50", f"/api/v1/journeys/{journeys.name(7)}", "/api/v1/journeys?limit=50")


def main() -> None:
    arguments = argparse.ArgumentParser(description="Ten thousand journeys that all fail.", prog="worst_hour")
    arguments.add_argument("--minutes", type=float, default=2.0, help="how long is measured, after the first minute")
    arguments.add_argument("--journeys", type=int, default=10_000)
    wanted = arguments.parse_args()
    with opened(False, wanted.minutes * 60 + 600) as bench:
        rows = measure(bench, wanted.journeys, wanted.minutes * 60)
    print(f"{table(rows)}\n\n{machine()}")


def measure(bench: Bench, count: int, measured_s: float, every_s: float = EVERY_S) -> Sequence[Row]:
    """So many failing journeys, each once in `every_s`; measured after all of them failed once."""
    folder = bench.made("worst")
    journeys.write(folder, bench.shop, FAILING, count, f"{every_s:g}s")
    with serving(bench, folder, f"sqlite:///{folder}/history.db", 180) as daemon:
        time.sleep(every_s)  # all have failed once, and every one of them is news
        from_s = time.time()
        with pulse(daemon.url) as pulse_ms, _looking(daemon.url) as looks_ms:
            used = charge(bench, daemon.process, 0, measured_s)
        until_s = time.time()
        time.sleep(2)
        metrics, rss_bytes = daemon.metrics(), daemon.process.rss_bytes()
    failed, unaccounted, due = _accounted(folder / "history.db", count, every_s, from_s, until_s)
    rate = f"{count:,} failing journeys every {every_s:g} s"
    return [
        Row(f"{rate}: slots without exactly one record", unaccounted, f"of {due:,}", 0),
        Row("records that say that the system failed", failed * 100 / due if due else None, "%", 100, least=True),
        Row("worst lag of the loop in the last minute", metrics["synthmon_loop_lag_max_seconds"] * 1000, "ms"),
        Row("answer of `/healthz`, p99: how long the loop was busy", quantile(pulse_ms, 0.99), "ms", 100),
        Row("memory, metrics included", rss_bytes / 2**20, "MB", 300),
        Row("share of a core", used.busy, "cores", 0.8),
        Row(f"a page or a list of the API ({len(looks_ms)} looks), p99", quantile(looks_ms, 0.99), "ms", 500),
    ]


@contextmanager
def _looking(url: str) -> Iterator[list[float]]:
    """Somebody at the pages, four times a second; gives how long each look took."""
    took_ms: list[float] = []
    over = threading.Event()

    def look() -> None:
        turn = 0
        while not over.wait(0.25):
            began_s = time.monotonic()
            fetch(url + PAGES[turn % len(PAGES)])
            took_ms.append((time.monotonic() - began_s) * 1000)
            turn += 1

    person = threading.Thread(target=look)
    person.start()
    try:
        yield took_ms
    finally:
        over.set()
        person.join()


def _accounted(file: Path, count: int, every_s: float, from_s: float, until_s: float) -> tuple[int, int, int]:
    """Of the slots of a span: how many are told as failed, how many not exactly once, and how many there are."""
    with sqlite3.connect(file) as db:
        rows = db.execute("select journey, slot_us, outcome from runs where kept_as = ''").fetchall()
    told: dict[tuple[str, int], list[str]] = {}
    for name, slot_us, outcome in rows:
        told.setdefault((name, slot_us), []).append(outcome)
    failed = unaccounted = due = 0
    for number in range(count):
        name = journeys.name(number)
        phase_s = round(unit(name) * every_s, 3)
        for slot in slots_between(phase_s, every_s, from_s, until_s - 1):
            outcomes = told.get((name, round((EPOCH_S + phase_s + slot * every_s) * 1e6)), [])
            due += 1
            unaccounted += len(outcomes) != 1
            failed += outcomes == ["failed"]
    return failed, unaccounted, due


if __name__ == "__main__":
    main()

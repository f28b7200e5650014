"""`synthmon serve` as a process of its own, and what a journey costs there, from the tick to the metric."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import journeys
from tests.bench.figures import Row, median
from tests.bench.processes import Bench, Process, Unmeasured, charge, fetch, in_turn, running
from tests.servers.ports import free_port

RATE = 150  # three-step journeys a second


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that is ready."""

    process: Process
    url: str
    ready_s: float

    def outcomes(self) -> dict[str, float]:
        """How many slots ended how, so far."""
        name = "synthmon_runs_total "
        return {key.removeprefix(name): value for key, value in self.metrics().items() if key.startswith(name)}

    def metrics(self) -> dict[str, float]:
        """Its samples, those of one name and outcome added up: `synthmon_runs_total passed` → 12."""
        sums: dict[str, float] = {}
        for line in fetch(f"{self.url}/metrics").decode().splitlines():
            if line.startswith("#"):
                continue
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            outcome = labels.partition('outcome="')[2].partition('"')[0]
            key = f"{name} {outcome}".strip()
            sums[key] = sums.get(key, 0.0) + float(value)
        return sums


@contextmanager
def serving(bench: Bench, folder: Path, store: str, limit_s: float = 60, loop: str = "--no-uvloop") -> Iterator[Daemon]:
    """The daemon over the journeys of a folder, until the block ends."""
    port = free_port()
    where = ["--settings", str(folder / "synthmon.yaml"), "--listen", f"127.0.0.1:{port}", "--store", store, loop]
    command = [sys.executable, "-m", "synthmon", "serve", str(folder / "probes"), *where]
    with running(bench, "serve", command) as process:
        ready_s = process.wait_for("synthmon is at", limit_s)
        yield Daemon(process, f"http://127.0.0.1:{port}", ready_s)


def measure(bench: Bench) -> Sequence[Row]:
    """The three-step journey on its schedule, bell and all."""
    stores: dict[str, Callable[[], str]] = {
        "memory": lambda: "memory:",
        "SQLite": lambda: f"sqlite:///{bench.made('store')}/history.db",
    }
    folder = bench.made("journeys")
    journeys.write(folder, bench.shop, journeys.THREE_STEPS, RATE, "1s")

    def scheduled_ms(store: str) -> float:
        with serving(bench, folder, stores[store]()) as daemon:
            time.sleep(bench.secs(4, 2))
            before = daemon.outcomes()
            used = charge(bench, daemon.process, 0, bench.secs(6, 2))
            told = {name: now - before[name] for name, now in daemon.outcomes().items()}
        if bad := sum(told.values()) - told["passed"]:
            raise Unmeasured(f"{bad:.0f} of {sum(told.values()):.0f} runs did not pass: it did not keep up")
        return used.cpu_s * 1000 / used.posts

    figures, faults = in_turn(bench.rounds, {store: partial(scheduled_ms, store) for store in stores})
    what = f"3-step journey on schedule at {RATE}/s, from tick to metric"
    return [
        Row(f"{what}, {store}", median(figures[store]), "ms CPU", 1.1, note=faults.get(store, "")) for store in stores
    ]

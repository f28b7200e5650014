"""Ten thousand journeys a minute: do they start when they should, and what does it take? A storm of scrapes on top."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthmon.core.slots import unit
from tests.bench import journeys
from tests.bench.figures import Row, median, quantile
from tests.bench.processes import Bench, Used, charge, fetch
from tests.bench.scheduled import serving
from tests.bench.storm import CLIENTS, Storm, pulse, storm

EPOCH_S = 1577836800.0  # 2020-01-01, from which phases count (`core.slots`)


@dataclass(frozen=True, slots=True)
class Load:
    """How many journeys, and how often each: always 10,000 starts a minute."""

    journeys: int
    every_s: float


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When requests reached the shop against the slots of their journeys, and how many did not."""

    lateness_ms: Sequence[float]
    starts: Sequence[float]
    due: int
    lost: int
    doubles: int


def measure(bench: Bench) -> Sequence[Row]:
    """Quick: a tenth of the journeys, ten times as often."""
    load = Load(1_000, 6.0) if bench.quick else Load(10_000, 60.0)
    few_bytes = _few(bench)
    folder = bench.made("minute")
    journeys.write(folder, bench.shop, journeys.COUNTED, load.journeys, f"{load.every_s:g}s")
    with serving(bench, folder, f"sqlite:///{folder}/history.db", 120) as daemon:
        time.sleep(5)  # the first slots
        fetch(f"{bench.shop}/ctl/arrivals")
        from_s = time.time()
        with pulse(daemon.url) as calm_ms:
            used = charge(bench, daemon.process, 0, load.every_s)
        until_s = time.time()
        time.sleep(1)
        arrivals = _arrivals(bench, load, from_s, until_s)
        daemon.metrics()
        many_bytes = daemon.process.rss_bytes()
        fetch(f"{bench.shop}/ctl/arrivals")
        with pulse(daemon.url) as stormy_ms:
            scrapes = storm(daemon.url, bench.secs(8, 2))
        stormy = _arrivals(bench, load, 0, 0)
    unaccounted = _unaccounted(folder / "history.db", load, from_s, until_s)
    each_bytes = (many_bytes - few_bytes) / (load.journeys - 100)
    return [
        *_rows_of_runs(load, used, arrivals, unaccounted, calm_ms),
        Row("memory per configured journey, metrics included", each_bytes / 1024, "KB", 30),
        Row(f"memory in all with {load.journeys:,} journeys", many_bytes / 2**20, "MB", 300),
        Row(f"start with {load.journeys:,} files, cold", daemon.ready_s, "s", 12),
        *_rows_of_storm(scrapes, stormy, stormy_ms),
    ]


def _rows_of_runs(
    load: Load, used: Used, arrivals: Arrivals, unaccounted: int, pulse_ms: Sequence[float]
) -> Sequence[Row]:
    rate = f"10,000 journeys a minute ({load.journeys:,} every {load.every_s:g} s), SQLite"
    late = arrivals.lateness_ms
    mean = len(arrivals.starts) / load.every_s
    return [
        Row(f"{rate}: share of a core", used.busy * 100, "%", 40),
        Row(f"{rate}: CPU of one", used.cpu_s * 1000 / used.requests, "ms CPU"),
        Row("lateness at the target, connecting included, p50", quantile(late, 0.5), "ms"),
        Row("lateness at the target, connecting included, p99", quantile(late, 0.99), "ms", 5),
        Row("slots that were not run, or twice", arrivals.lost + arrivals.doubles, f"of {arrivals.due:,}", 0),
        Row("slots without a record that they passed", unaccounted, f"of {arrivals.due:,}", 0),
        Row("most starts in any second against the mean", _most_in_a_second(arrivals.starts) / mean, "×", 2),
        Row("answer of `/healthz` meanwhile, p99", quantile(pulse_ms, 0.99), "ms", 20),
    ]


def _rows_of_storm(scrapes: Storm, stormy: Arrivals, pulse_ms: Sequence[float]) -> Sequence[Row]:
    return [
        Row(f"{CLIENTS} clients scraping without a pause: a scrape, median", median(scrapes.took_ms), "ms", 250),
        Row("its size, gzip", scrapes.size_bytes / 1e6, "MB", 5),
        Row("answer of `/healthz` meanwhile, p50", quantile(pulse_ms, 0.5), "ms", 20),
        Row("lateness at the target meanwhile, p99", quantile(stormy.lateness_ms, 0.99), "ms"),
    ]


def _few(bench: Bench) -> int:
    """Memory of a daemon with a hundred journeys that has run them all and was scraped."""
    folder = bench.made("few")
    journeys.write(folder, bench.shop, journeys.COUNTED, 100, "1s")
    with serving(bench, folder, f"sqlite:///{folder}/history.db") as daemon:
        time.sleep(3)
        daemon.metrics()
        return daemon.process.rss_bytes()


def _arrivals(bench: Bench, load: Load, from_s: float, until_s: float) -> Arrivals:
    """What reached the shop since it was asked last, against the slots of the span."""
    told: list[tuple[int, float]] = json.loads(fetch(f"{bench.shop}/ctl/arrivals"))
    phases = [round(unit(journeys.name(n)) * load.every_s, 3) for n in range(load.journeys)]
    lateness_ms, seen = [], dict[tuple[int, int], int]()
    for number, at_s in told:
        since_s = at_s - EPOCH_S - phases[number]
        slot = round(since_s // load.every_s)
        late_s = since_s - slot * load.every_s
        if late_s > load.every_s - 0.1:  # a little early
            slot, late_s = slot + 1, late_s - load.every_s
        lateness_ms.append(late_s * 1000)
        seen[number, slot] = seen.get((number, slot), 0) + 1
    due = [
        (number, slot)
        for number, phase_s in enumerate(phases)
        for slot in slots_between(phase_s, load.every_s, from_s, until_s - 0.5)  # the last ones may be under way
    ]
    lost = sum(key not in seen for key in due)
    return Arrivals(lateness_ms, [at for _, at in told], len(due), lost, sum(n - 1 for n in seen.values()))


def slots_between(phase_s: float, every_s: float, from_s: float, until_s: float) -> range:
    """Numbers of the slots in (from, until]."""
    first = int((from_s - EPOCH_S - phase_s) // every_s) + 1
    last = int((until_s - EPOCH_S - phase_s) // every_s)
    return range(first, last + 1)


def _unaccounted(file: Path, load: Load, from_s: float, until_s: float) -> int:
    """Slots of the span that history does not show as passed, exactly once."""
    with sqlite3.connect(file) as db:
        rows = db.execute("select journey, slot_us from runs where outcome = 'passed' and kept_as = ''").fetchall()
    there = set(rows)
    missing = 0
    for number in range(load.journeys):
        name = journeys.name(number)
        phase_s = round(unit(name) * load.every_s, 3)
        for slot in slots_between(phase_s, load.every_s, from_s, until_s - 0.5):
            missing += (name, round((EPOCH_S + phase_s + slot * load.every_s) * 1e6)) not in there
    return missing


def _most_in_a_second(starts: Sequence[float]) -> int:
    ordered, most, first = sorted(starts), 0, 0
    for last, at_s in enumerate(ordered):
        while at_s - ordered[first] >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most

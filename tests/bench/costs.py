"""CPU of one journey, beside the floor and the peers: all are charged with what the same shop counted."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.bench import journeys
from tests.bench.figures import Beside, Row, median
from tests.bench.peers import blackbox_ms
from tests.bench.processes import Bench, Unmeasured, charge, in_turn, running

LANES = 16
_LOCUST = "SYNTHMON_BENCH_LOCUST"  # the path of its program, when it lives in an environment of its own


def measure(bench: Bench) -> Sequence[Row]:
    """Three steps (POST, GET until done, GET) with a new connection a run; one step; three writes taken back."""
    figures, faults = in_turn(bench.rounds, _contenders(bench))
    medians = {name: median(values) for name, values in figures.items()}

    def beside(name: str) -> Beside:
        value = medians[name]
        return Beside(name if value is not None else f"{name}: {faults.get(name, 'nothing')}", value)

    def row(what: str, name: str, target: float | None, peers: Sequence[str] = ()) -> Row:
        return Row(what, medians[name], "ms CPU", target, beside=[beside(p) for p in peers], note=faults.get(name, ""))

    memory = medians["memory"]
    return [
        row("3-step journey, whole run, memory store", "memory", 1.1, ["raw floor", "locust FastHttpUser"]),
        row("3-step journey, whole run, SQLite", "SQLite", 1.1, ["raw floor", "locust FastHttpUser"]),
        row("3-step journey, whole run, memory store, uvloop", "uvloop", None, ["raw floor"]),
        Row("3-step journeys a second and core", 1000 / memory if memory else None, "/s"),
        row("1-step journey, whole run, memory store", "one step", None, ["blackbox_exporter"]),
        row("3 writes and their undo (6 requests), journal and history in SQLite", "three writes", 2.5),
    ]


def _contenders(bench: Bench) -> dict[str, Callable[[], float]]:
    three, one, writes = (
        _made(bench, journeys.THREE_STEPS),
        _made(bench, journeys.LOOK),
        _made(bench, journeys.THREE_WRITES),
    )
    return {
        "raw floor": lambda: _posts_ms(bench, "floor", [sys.executable, "-m", "tests.bench.floor", bench.shop]),
        "memory": lambda: _driven_ms(bench, three, "memory:"),
        "SQLite": lambda: _driven_ms(bench, three, _sqlite(bench)),
        "uvloop": lambda: _driven_ms(bench, three, "memory:", loop="uvloop"),
        "locust FastHttpUser": lambda: _locust_ms(bench),
        "one step": lambda: _driven_ms(bench, one, "memory:", requests=1),
        "blackbox_exporter": lambda: blackbox_ms(bench),
        "three writes": lambda: _driven_ms(bench, writes, _sqlite(bench), requests=6),
    }


def _made(bench: Bench, steps: str) -> Path:
    folder = bench.made("journeys")
    journeys.write(folder, bench.shop, steps, LANES, "24h")
    return folder


def _sqlite(bench: Bench) -> str:
    return f"sqlite:///{bench.made('store')}/history.db"


def _driven_ms(bench: Bench, folder: Path, store: str, *, requests: int = 3, loop: str = "asyncio") -> float:
    """The daemon without its bell, as fast as it can."""
    if loop == "uvloop" and find_spec("uvloop") is None:
        raise Unmeasured("not installed")
    command = [sys.executable, "-m", "tests.bench.drive", str(folder), "--store", store, "--loop", loop]
    with running(bench, "drive", command) as process:
        process.wait_for("going", 60)
        used = charge(bench, process, bench.secs(2, 0.5), bench.secs(4, 1))
    said = process.last_words()
    if '"passed"' not in said or any(f'"{word}"' in said for word in ("failed", "unknown", "missed")):
        raise Unmeasured(f"not every run passed: {said}")
    return used.cpu_s * 1000 / (used.requests / requests)


def _posts_ms(bench: Bench, name: str, command: Sequence[str]) -> float:
    with running(bench, name, command) as process:
        used = charge(bench, process, bench.secs(2, 1), bench.secs(4, 1))
    if not used.posts:
        raise Unmeasured(f"posted nothing: {process.last_words()}")
    return used.cpu_s * 1000 / used.posts


def _locust_ms(bench: Bench) -> float:
    program = os.environ.get(_LOCUST) or shutil.which("locust")
    if not program:
        raise Unmeasured("not installed")
    file = Path(__file__).with_name("locustfile.py")
    users = ["--headless", "-u", str(LANES), "-r", str(LANES), "--host", bench.shop, "--only-summary"]
    with running(bench, "locust", [program, "-f", str(file), *users]) as process:
        process.wait_for("All users spawned", 30)
        used = charge(bench, process, bench.secs(2, 0.5), bench.secs(4, 1))
    if not used.posts:
        raise Unmeasured(f"posted nothing: {process.last_words()}")
    return used.cpu_s * 1000 / used.posts

"""Starts what is measured on a CPU of its own, and reads what it used."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unmeasured(Exception):
    """Something did not start, did not end or was wrong; the words are for the table."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What every topic needs. `quick` makes everything short: for trying the bench, not for figures."""

    quick: bool
    folder: Path
    shop: str
    ours: int  # the CPU of what is measured; everything else runs on `theirs`
    theirs: int

    @property
    def rounds(self) -> int:
        """How often contenders are measured in turn."""
        return 1 if self.quick else 3

    def secs(self, full: float, quick: float) -> float:
        """How long to do something."""
        return quick if self.quick else full

    def made(self, name: str) -> Path:
        """A new, empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def stats(self) -> dict[str, float]:
        """What the shop was asked so far."""
        return dict(json.loads(fetch(f"{self.shop}/ctl/stats")))


@dataclass(frozen=True, slots=True)
class Used:
    """What a process tree used while the shop counted."""

    cpu_s: float
    wall_s: float
    posts: float
    requests: float

    @property
    def busy(self) -> float:
        """The share of one core."""
        return self.cpu_s / self.wall_s


class Process:
    """A process in a session of its own, so that what it starts is charged to it."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        self.began_s = time.monotonic()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def cpu_s(self) -> float:
        """User and system time of the whole tree, children that ended included."""
        return sum(sum(map(int, fields[11:15])) for fields in self._tree()) / _TICKS

    def rss_bytes(self) -> int:
        """Resident memory of the whole tree."""
        return sum(int(fields[21]) for fields in self._tree()) * os.sysconf("SC_PAGE_SIZE")

    def wait_for(self, word: str, limit_s: float) -> float:
        """Seconds from its start until its log holds the word."""
        while word not in self.log.read_text(errors="replace"):
            if self._process.poll() is not None:
                raise Unmeasured(f"ended with {self._process.returncode}: {self.last_words()}")
            if time.monotonic() - self.began_s > limit_s:
                raise Unmeasured(f"was not ready after {limit_s:.0f} s: {self.last_words()}")
            time.sleep(0.01)
        return time.monotonic() - self.began_s

    def result(self, limit_s: float) -> int:
        """Wait for its end; its code."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise Unmeasured(f"not ready after {limit_s:.0f} s") from error

    def last_words(self) -> str:
        """The end of its log, for the person who wonders."""
        return " / ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])[-400:]

    def end(self) -> str:
        """SIGTERM, then SIGKILL for the whole session; answers its log."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        return self.log.read_text(errors="replace")

    def _tree(self) -> Iterator[list[str]]:
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended just now
            if int(fields[3]) == self.pid:
                yield fields


@contextmanager
def running(bench: Bench, name: str, command: Sequence[str]) -> Iterator[Process]:
    """A process on the CPU of what is measured, as long as the block lasts."""
    with _on(bench.ours):
        process = Process(command, bench.folder / f"{name}-{time.monotonic_ns()}.log")
    try:
        yield process
    finally:
        process.end()


def charge(bench: Bench, process: Process, warm_s: float, measured_s: float) -> Used:
    """Let it warm up, then charge it with what the shop was asked meanwhile."""
    time.sleep(warm_s)
    before, cpu_s, began_s = bench.stats(), process.cpu_s(), time.monotonic()
    time.sleep(measured_s)
    after, used_s, wall_s = bench.stats(), process.cpu_s() - cpu_s, time.monotonic() - began_s
    posts = after["posts"] - before["posts"]
    requests = after["requests"] - before["requests"] - 1  # our own look
    if requests <= 0:
        raise Unmeasured(f"asked nothing: {process.last_words()}")
    return Used(used_s, wall_s, posts, requests)


def ask(bench: Bench, module: str, *arguments: object, limit_s: float, pinned: bool = True) -> list[dict[str, Any]]:
    """Run one of our own modules to its end on the CPU of what is measured; the JSON lines that it printed."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with _on(bench.ours) if pinned else _on(bench.ours, bench.theirs):
        process = Process(command, bench.folder / f"{module}-{time.monotonic_ns()}.log")
    try:
        code = process.result(limit_s)
    finally:
        said = process.end()
    if code:
        raise Unmeasured(f"ended with {code}: {process.last_words()}")
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@contextmanager
def opened(quick: bool, limit_s: float) -> Iterator[Bench]:
    """A scratch folder and the shop, as long as the block lasts; this process and the shop share a CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    folder = Path(tempfile.mkdtemp(prefix="synthmon-bench-"))
    with _on(cpus[-1]):
        shop = Process([sys.executable, "-m", "tests.bench.shop", "--for", str(limit_s)], folder / "shop.log")
        try:
            shop.wait_for("\n", 20)
            port = int(shop.log.read_text().split()[0])
            yield Bench(quick, folder, f"http://127.0.0.1:{port}", cpus[0], cpus[-1])
        finally:
            shop.end()
            shutil.rmtree(folder, ignore_errors=True)


def fetch(url: str, headers: dict[str, str] | None = None, limit_s: float = 30.0) -> bytes:
    """The body of an answer, past any proxy."""
    with _direct.open(urllib.request.Request(url, headers=headers or {}), timeout=limit_s) as answer:
        body: bytes = answer.read()
    return body


def in_turn(rounds: int, contenders: dict[str, Callable[[], float]]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Each contender once a round, so that a bad minute of the machine meets all of them.

    Answers the figures of each, and why there is none of those that could not be measured.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    faults: dict[str, str] = {}
    for _ in range(rounds):
        for name, measure in contenders.items():
            if name in faults:
                continue
            try:
                figures[name].append(measure())
            except Unmeasured as error:
                faults[name] = str(error)
    return figures, faults


@contextmanager
def _on(*cpus: int) -> Iterator[None]:
    """What is started in the block stays on these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cpus))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

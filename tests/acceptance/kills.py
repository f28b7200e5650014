"""kill -9, a thousand times, at random moments of runs that make three things each: what stays behind, what is lost?

    python -m tests.acceptance.kills --kills 1000

The target counts effects, and lets some requests take effect long after their sender was killed and started again.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.daemon import environment, wait_for
from tests.acceptance.things import Things, serving_things

JOURNEYS, PAID_WITHIN_S, TTL_S = 3, 120.0, 10
START_S, WORK_S, TOLD_S = 0.4, 0.6, 0.1  # at most, before a kill
QUICK_S, LATE_S, LATE_SHARE = 0.03, 1.2, 0.04

_STEP = """
  - id: {id}
    http: POST /things
    json: {{reference: "${{vars.reference}}-{id}"}}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${{{id}.id}}
      find:
        http: GET /things
        params: {{reference: "${{vars.reference}}-{id}"}}
        save:
          id: body.things[0].id
      ttl: {ttl}s
    repeatable: {repeatable}
"""
_PROBE = """
journey: making-{number}
every: 1h
deadline: 20s
system: things
vars:
  reference: ${{run.id}}
steps:
"""
_SETTINGS = """
systems:
  things: {{base: "{url}", writes: true, rate: 10000/s, concurrency: 100}}
"""


class LateThings(Things):
    """Mostly quick; some requests wait so long that they outlive their sender and its next start."""

    def __init__(self, seed: int, late_share: float = LATE_SHARE) -> None:
        super().__init__(seed=seed)
        self._late_share, self._under_way = late_share, 0

    def wait(self) -> None:
        with self._lock:
            self._under_way += 1
            late = self._random.random() < self._late_share
            delay_s = self._random.uniform(0, LATE_S if late else QUICK_S)
        time.sleep(delay_s)
        with self._lock:
            self._under_way -= 1

    def quiet(self) -> bool:
        """Whether no request waits to take effect."""
        with self._lock:
            return self._under_way == 0


@dataclass(slots=True)
class Report:
    """What was killed and what came of it; `wrong` is empty when nothing stayed behind, doubled or got lost."""

    kills: int = 0
    told: Counter[str] = field(default_factory=Counter)
    effects: int = 0
    orphans: int = 0
    doubles: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        self.kills += other.kills
        self.told += other.told
        self.effects += other.effects
        self.orphans += other.orphans
        self.doubles += other.doubles
        self.lost += other.lost
        self.wrong += other.wrong

    def __str__(self) -> str:
        said = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.told.items()))
        return (
            f"{self.kills} kills; {self.effects} effects; told: {said}; "
            f"orphans {self.orphans}, effects that came twice {self.doubles}, told and lost {self.lost}"
        )


class Nursery:
    """The process whose children are killed (`tests.acceptance.kills_worker`)."""

    def __init__(self, folder: Path, mutate: str = "", shim: Path | None = None) -> None:
        self.folder = folder
        command = [sys.executable, "-m", "tests.acceptance.kills_worker", str(folder)]
        command += ["--mutate", mutate] if mutate else []
        given = environment() | ({"LD_PRELOAD": str(shim)} if shim else {})
        with (folder / "worker.log").open("a") as log:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, env=given)

    def ask(self, do: str, **more: Any) -> int:
        """Begin something in a child, or end it; answers its id, or how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, "folder": str(self.folder)} | more) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        if not said:
            raise AssertionError(f"the worker ended:\n{(self.folder / 'worker.log').read_text()[-3000:]}")
        (answer,) = json.loads(said).values()
        return int(answer)

    def pay(self, within_s: float = PAID_WITHIN_S, **more: Any) -> str:
        """Pay what is owed; what went wrong, or nothing."""
        self.ask("pay", **more)
        limit = threading.Timer(within_s, self.close)
        limit.start()
        try:
            code = self.ask("wait")
        except AssertionError:
            return f"not paid within {within_s:g}s"
        finally:
            limit.cancel()
        return "" if code == 0 else f"paying ended with {code}: {(self.folder / 'worker.log').read_text()[-2000:]}"

    def close(self) -> None:
        self._process.kill()  # its child goes with it
        self._process.wait()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def lay_out(folder: Path, url: str, journeys: int = JOURNEYS) -> None:
    """Journeys that make three things each: two whose create may be repeated, one that can only be found."""
    (folder / "probes").mkdir(parents=True)
    for number in range(journeys):
        steps = (("one", "true"), ("two", "false"), ("three", "true"))
        probe = _PROBE.format(number=number)
        probe += "".join(_STEP.format(id=name, repeatable=repeatable, ttl=TTL_S) for name, repeatable in steps)
        (folder / "probes" / f"making-{number}.yaml").write_text(probe)
    (folder / "synthmon.yaml").write_text(_SETTINGS.format(url=url))


def torture(folder: Path, kills: int, seed: int, mutate: str = "") -> Report:
    """Start and kill on the same stores, then pay what is owed and look."""
    chance, things = random.Random(seed), LateThings(seed)
    with serving_things(things) as url:
        lay_out(folder, url)
        with Nursery(folder, mutate) as nursery:
            for _ in range(kills):
                before = len(things.requests), _told(folder)
                nursery.ask("live")
                _let_live(chance, things, folder, before)
                assert nursery.ask("kill") == -9, (folder / "worker.log").read_text()[-3000:]
            wait_for(things.quiet)
            unpaid = nursery.pay(PAID_WITHIN_S + 3 * kills)
        report = look([folder], things)
    report.kills = kills
    report.wrong += [unpaid] if unpaid else []
    return report


def _let_live(chance: random.Random, things: Things, folder: Path, before: tuple[int, int]) -> None:
    """Until the moment of the kill: in the start, in the midst of runs, or just after one was told."""
    match chance.choice(("start", "work", "work", "told")):
        case "start":
            time.sleep(chance.uniform(0, START_S))
        case "work":
            _wait(lambda: len(things.requests) > before[0])
            time.sleep(chance.uniform(0, WORK_S))
        case "told":
            _wait(lambda: _told(folder) > before[1])
            time.sleep(chance.uniform(0, TOLD_S))


def _wait(ask: Callable[[], bool]) -> None:
    """Until it is so, or for long: whoever is killed need not have done anything."""
    until_s = time.monotonic() + 30
    while not ask() and time.monotonic() < until_s:
        time.sleep(0.01)


def _told(folder: Path) -> int:
    """How many runs were told as passed so far."""
    file = folder / "told"
    return file.read_bytes().count(b" passed ") if file.exists() else 0


def look(folders: Sequence[Path], things: Things) -> Report:
    """Compare what the target has with what the stores in these folders say and what was told."""
    report, claimed = Report(), set[str]()
    for folder in folders:
        told = [tuple(line.split()) for line in (folder / "told").read_text().splitlines()]
        report.told.update(outcome for _, outcome, _ in told)
        claimed |= _look_at_stores(report, folder, told)
    left, twice = things.left(), [reference for reference, made in things.made.items() if made > 1]
    strangers = {reference.partition("-")[0] for reference in things.made} - claimed
    report.effects, report.orphans, report.doubles = sum(things.made.values()), len(left), len(twice)
    report.wrong += [f"orphan: {made} of {reference}" for made, reference in left.items()]
    report.wrong += [f"made twice: {reference}" for reference in twice]
    report.wrong += [f"an effect of a run that never claimed its slot: {run}" for run in strangers]
    return report


def _look_at_stores(report: Report, folder: Path, told: Sequence[tuple[str, ...]]) -> set[str]:
    """Note what is wrong in one folder; answers the runs that claimed a slot there."""
    with _reading(folder / "store.db") as history, _reading(folder / "store-journal.db") as journal:
        kept = {(row[0] or "-", row[1]) for row in history.execute("SELECT run_id, outcome FROM runs")}
        doubles = [row[0] for row in history.execute("SELECT run_id FROM runs GROUP BY run_id HAVING count(*) > 1")]
        claimed = {str(row[0]) for row in journal.execute("SELECT run_id FROM claims")}
        open_claims = [row[0] for row in journal.execute("SELECT run_id FROM claims WHERE recorded = 0")]
        debts = [row[0] for row in journal.execute("SELECT run_id FROM debts")]
        damage = [row[0] for each in (history, journal) for row in each.execute("PRAGMA integrity_check")]
    lost = [run for run, outcome, reason in told if (run, outcome) not in kept and reason != "history_unwritable"]
    report.lost += len(lost)
    report.wrong += [f"told and lost: {run}" for run in lost]
    report.wrong += [f"claimed and not told: {run}" for run in (*open_claims, *(claimed - {run for run, _ in kept}))]
    report.wrong += [f"kept twice: {run}" for run in doubles]
    report.wrong += [f"still owed: {run}" for run in debts]
    report.wrong += [f"damaged: {words}" for words in damage if words != "ok"]
    return claimed


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        yield connection


def in_lanes(folder: Path, kills: int, seed: int, lanes: int) -> Report:
    """The same in several lanes that know nothing of each other, for several cores."""
    whole = Report()
    shares = [kills // lanes + (lane < kills % lanes) for lane in range(lanes)]
    with ThreadPoolExecutor(lanes) as pool:
        begun = [pool.submit(torture, folder / str(n), share, seed + n) for n, share in enumerate(shares)]
        for lane in begun:
            whole.add(lane.result())
    return whole


def main() -> int:
    """Exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    given = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = in_lanes(Path(folder), given.kills, given.seed, given.lanes)
    print(f"seed {given.seed}, {time.monotonic() - began_s:.0f} s: {report}")
    print(*Counter(words.partition(":")[0] for words in report.wrong).items(), *report.wrong[:20], sep="\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

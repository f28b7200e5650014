"""kill -9, or a disk that fails, at the first, second, … Nth call of one life: every point there is.

    python -m tests.acceptance.kills_points --kills --errors

A life opens the stores, runs a journey that makes three things, and closes. `kills_shim.c` stands before the calls.
"""

from __future__ import annotations

import argparse
import errno
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice, product
from pathlib import Path

from tests.acceptance.kills import Nursery, Report, lay_out, look
from tests.acceptance.kills_worker import REFUSED, Point
from tests.acceptance.things import Things, serving_things
from tests.servers.process import program

CALLS: Mapping[str, int] = {"fdatasync": 1, "pwrite64": 2, "connect": 4, "send": 8, "recv": 16, "close": 32}
DISK = ("fdatasync", "pwrite64")
ERRORS = (errno.EIO, errno.ENOSPC)
MOST = 2_000
_SHIM = Path(__file__).with_name("kills_shim.c")


@dataclass(slots=True)
class Walk:
    """How many points of each kind were hit, and what was wrong after them."""

    points: Counter[str] = field(default_factory=Counter)
    report: Report = field(default_factory=Report)

    def add(self, other: Walk) -> None:
        self.points += other.points
        self.report.add(other.report)

    def __str__(self) -> str:
        said = ", ".join(f"{number} {what}" for what, number in self.points.items())
        return f"{self.points.total()} points ({said}): {self.report}"


def compile_shim(folder: Path) -> Path:
    """The shared object of the shim. Raises `FileNotFoundError` that says how to get a compiler."""
    made = folder / "shim.so"
    command = [program("gcc"), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(made), str(_SHIM), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


def every(call: str) -> Iterator[tuple[str, int]]:
    """The first call of a kind, the second, …: a walk ends when a life is over before its call comes."""
    return ((call, nth) for nth in range(1, MOST))


def walk_kills(folder: Path, points: Iterable[tuple[str, int]], fresh: bool = False) -> Walk:
    """Kill one life at each of these calls; start again each time, and at the end pay and look.

    Ends at the first life that is over before its call comes. `fresh`: each life makes its stores, too.
    """
    walk = Walk()
    with _target(folder) as (nursery, things):
        for call, nth in points:
            stores = _stores(folder, nth if fresh else 0)
            before = len(walk.report.wrong)
            nursery.ask("once", point=asdict(Point(CALLS[call], nth)), times=1, folder=str(stores))
            ended = nursery.ask("wait")
            walk.report.wrong += [f"life {nth} of {call} ended with {ended}"] if ended not in (-9, 0) else []
            nursery.ask("mend", point=asdict(_NOWHERE), folder=str(stores))
            if (mended := nursery.ask("wait")) != 0:
                walk.report.wrong.append(f"the start after {call} {nth} ended with {mended}")
            if ended == 0:
                break
            walk.points[call] += 1
            walk.report.kills += 1
            _name(walk, before, f"{call} {nth}")
        _pay_and_look(walk, nursery, things, folder)
    return walk


def walk_mending(folder: Path, points: Iterable[tuple[str, int]]) -> Walk:
    """The same for the start after a kill: the one who pays is killed as well, at each of its calls."""
    walk = Walk()
    with _target(folder) as (nursery, things):
        stores = _stores(folder, 0)
        for call, nth in points:
            # in the middle of the second create: one thing is there, another may be
            nursery.ask("once", point=asdict(Point(CALLS["send"], 40)), times=1, folder=str(stores))
            nursery.ask("wait")
            nursery.ask("mend", point=asdict(Point(CALLS[call], nth)), folder=str(stores))
            ended = nursery.ask("wait")
            walk.report.wrong += [f"mending {nth} of {call} ended with {ended}"] if ended not in (-9, 0) else []
            if ended == 0:
                break
            walk.points[f"{call} while paying"] += 1
            walk.report.kills += 1
        _pay_and_look(walk, nursery, things, folder)
    return walk


def walk_errors(folder: Path, points: Iterable[tuple[str, int]], error: int, burst: int = 1) -> Walk:
    """Let `burst` calls fail from each of these on; the life must go on or refuse to begin, and end well after it."""
    walk = Walk()
    with _target(folder) as (nursery, things):
        stores, told = _stores(folder, 0), 0
        nursery.ask("mend", point=asdict(_NOWHERE), folder=str(stores))
        nursery.ask("wait")
        for call, nth in points:
            point = Point(CALLS[call], nth, burst, error)
            nursery.ask("once", point=asdict(point), times=2 + burst // 10, folder=str(stores))
            ended, what = nursery.ask("wait"), f"{call} {nth} {errno.errorcode[error]}"
            lines = (stores / "told").read_text().splitlines()
            hurt = [line for line in lines[told:] if line.split()[1] != "passed" and line.split()[2] != "interrupted"]
            if ended not in (0, REFUSED):
                walk.report.wrong.append(f"the life with {what} ended with {ended}")
            elif burst == 1 and error == errno.EIO and len(hurt) > 1:  # a full disk is looked at again after a second
                walk.report.wrong.append(f"{what} hurt more than one run: {hurt}")
            told = len(lines)
            if ended == 0 and int((stores / "seen").read_text()) < nth:
                break
            walk.points[f"{call} {errno.errorcode[error]}{f' x{burst}' if burst > 1 else ''}"] += 1
        _pay_and_look(walk, nursery, things, folder)
    return walk


_NOWHERE = Point(0, 0)


@contextmanager
def _target(folder: Path) -> Iterator[tuple[Nursery, Things]]:
    folder.mkdir(parents=True, exist_ok=True)
    things = Things()
    with serving_things(things) as url:
        lay_out(folder, url, journeys=1)
        with Nursery(folder, shim=compile_shim(folder)) as nursery:
            yield nursery, things


def _stores(folder: Path, number: int) -> Path:
    stores = folder / f"stores-{number}"
    stores.mkdir(exist_ok=True)
    return stores


def _name(walk: Walk, begin: int, what: str) -> None:
    walk.report.wrong[begin:] = [f"after {what}: {words}" for words in walk.report.wrong[begin:]]


def _pay_and_look(walk: Walk, nursery: Nursery, things: Things, folder: Path) -> None:
    folders = [stores for stores in sorted(folder.glob("stores-*")) if any(stores.iterdir())]
    for stores in folders:
        unpaid = nursery.pay(folder=str(stores))
        walk.report.wrong += [f"{stores.name}: {unpaid}"] if unpaid else []
    seen = look(folders, things)
    walk.report.add(seen)


def walk_all(folder: Path, kills: bool, errors: bool, lanes: int, tell: Callable[[Walk], None] | None = None) -> Walk:
    """Every point, in several lanes that know nothing of each other; `tell` hears of each walk that is over."""
    begun, whole = [], Walk()
    with ThreadPoolExecutor(lanes) as pool:
        if kills:
            begun += [pool.submit(walk_kills, folder / f"kill-{call}", every(call)) for call in CALLS]
            begun += [pool.submit(walk_kills, folder / f"fresh-{call}", every(call), fresh=True) for call in DISK]
            begun += [pool.submit(walk_mending, folder / f"mend-{call}", every(call)) for call in ("fdatasync", "send")]
        if errors:
            for call, error in product(DISK, ERRORS):
                begun.append(pool.submit(walk_errors, folder / f"{call}-{error}", every(call), error))
                some = islice(every(call), 0, None, 15)
                begun.append(pool.submit(walk_errors, folder / f"{call}-{error}-burst", some, error, burst=20))
        for walk in as_completed(begun):
            whole.add(walk.result())
            if tell is not None:
                tell(walk.result())
    return whole


def main(words: Sequence[str] | None = None) -> int:
    """Exit 1 when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--lanes", type=int, default=2)
    given = parser.parse_args(words)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        walk = walk_all(Path(folder), given.kills, given.errors, given.lanes, lambda walk: print(walk, flush=True))
    print(f"{time.monotonic() - began_s:.0f} s: {walk}", *walk.report.wrong[:30], sep="\n")
    return 1 if walk.report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

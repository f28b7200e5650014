"""A small synthmon to be killed: the real runner, stores, door and reaper, forked from a process that has read it all.

`python -m tests.acceptance.kills_worker FOLDER` obeys lines of JSON on its standard input, one child at a time:
`{"do": "live" | "once" | "mend" | "pay", …}` → `{"pid": …}`; `{"do": "kill" | "wait"}` → `{"ended": …}`, negative for
a signal.
A child writes one line in `FOLDER/told` for each record that it was told of. It dies with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import alembic.command
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  read here, so that a child need not

from synthmon.core.journey import Journey
from synthmon.core.run import Record
from synthmon.core.undo.intents import Journal
from synthmon.language.load import Loaded, load
from synthmon.runtime.holes import close_holes
from synthmon.runtime.house import House, open_house
from synthmon.runtime.reaper import Reaper
from synthmon.runtime.runner import Runner
from synthmon.store import journal_sqlite, sql
from synthmon.store.failures import StoreUnusable

STORE = "store.db"
REFUSED = 3  # how a child ends that could not open its stores, or write what it must before it can begin
_PR_SET_PDEATHSIG = 1  # prctl(2)
_BETWEEN_ROUNDS_S = 0.1


@dataclass(frozen=True, slots=True)
class Point:
    """Which calls of libc count (a mask), the first that fails and how many do; `error` 0 is SIGKILL."""

    calls: int
    nth: int
    count: int = 1
    error: int = 0

    def arm(self) -> None:
        ctypes.CDLL(None).fault_arm(self.calls, ctypes.c_long(self.nth), ctypes.c_long(self.count), self.error)


def calls_seen() -> int:
    """How many of the calls that count there were since the point was armed."""
    seen = ctypes.CDLL(None).fault_seen
    seen.restype = ctypes.c_long
    return int(seen())


@dataclass(slots=True)
class Small:
    """What lives in one child."""

    house: House
    runner: Runner
    reaper: Reaper
    journeys: tuple[Journey, ...]

    async def fill_once(self, journey: Journey) -> None:
        """One slot of a journey, now."""
        now = self.house.clock.now()
        await self.runner.fill(journey, now, now)

    async def fill_for_ever(self, journey: Journey) -> None:
        while True:
            await self.fill_once(journey)


@asynccontextmanager
async def _small(folder: Path, loaded: Loaded) -> AsyncIterator[Small]:
    """As the daemon begins: what a dead process claimed is closed, and its debts are looked for."""
    journeys = {journey.name: journey for journey in loaded.journeys}
    told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(record: Record, _: Journey) -> None:
        os.write(told, f"{record.run_id or '-'} {record.outcome} {record.reason or '-'}\n".encode())

    async def find(version: str, name: str) -> Journey | None:
        return journeys[name]

    async with open_house(f"sqlite:///{folder / STORE}") as house:
        lent, _ = house.lend(loaded.settings)
        runner = Runner(lent, house.journal, house.history, house.clock, tell)
        closed, _ = await close_holes({}, house.journal, house.history, "", house.clock.now())
        for claim, record in closed:
            await runner.keep(record, journeys[record.journey], claim)
        reaper = Reaper(lambda: lent, house.journal, house.clock, find, runner.is_live)
        yield Small(house, runner, reaper, loaded.journeys)


async def live(folder: Path, loaded: Loaded) -> None:
    """Run every journey again and again and pay what is owed, until killed."""
    async with _small(folder, loaded) as small, asyncio.TaskGroup() as group:
        group.create_task(small.reaper.run())
        for journey in small.journeys:
            group.create_task(small.fill_for_ever(journey))


async def once(folder: Path, loaded: Loaded, point: Point, times: int) -> None:
    """A whole life: open the stores, run every journey `times` times with a fault at a point, close."""
    point.arm()
    async with _small(folder, loaded) as small:
        try:
            for _ in range(times):
                for journey in small.journeys:
                    await small.fill_once(journey)
            await small.runner.stop(10.0)
        except OSError as error:
            raise AssertionError("a disk that fails after the begin is told, and ends nothing") from error
    (folder / "seen").write_text(str(calls_seen()))


async def mend(folder: Path, loaded: Loaded, point: Point) -> None:
    """A start after a kill, with a fault at a point: close what the dead left, one try at what they owe."""
    point.arm()
    async with _small(folder, loaded) as small:
        await small.reaper.round()
    (folder / "seen").write_text(str(calls_seen()))


async def pay(folder: Path, loaded: Loaded) -> None:
    """Close what the dead left, and pay until nothing is owed; each round as after a new start."""
    async with _small(folder, loaded) as small:
        await small.reaper.round()
    while True:
        async with _small(folder, loaded) as small:
            if not await small.house.journal.open_runs():
                return
            await small.reaper.round()
        await asyncio.sleep(_BETWEEN_ROUNDS_S)


# mutations: each takes one promise away, and the torture must turn red ------------------------------------------------


def forget_intents() -> None:
    """A journal that answers without having written."""

    async def forget(self: Journal, run_id: str, entry: Any, after_seq: int) -> int:
        return after_seq + 1

    journal_sqlite.SqliteJournal.append = forget  # type: ignore[method-assign]


def tell_before_it_is_kept() -> None:
    """A history that answers at once and writes a little later."""
    save, late = sql.SqlHistory.save, set[asyncio.Task[Any]]()

    async def answer_first(self: sql.SqlHistory, records: Any) -> Any:
        async def write() -> None:
            await asyncio.sleep(0.2)
            await save(self, records)

        late.add(asyncio.create_task(write()))
        return records

    sql.SqlHistory.save = answer_first  # type: ignore[method-assign]


MUTATIONS = {"forget_intents": forget_intents, "tell_before_it_is_kept": tell_before_it_is_kept}


# the parent -----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Read everything once, then fork what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mutate", choices=MUTATIONS)
    given = parser.parse_args()
    if given.mutate:
        MUTATIONS[given.mutate]()
    assert alembic.command
    loaded = load([given.folder / "probes"], [given.folder / "synthmon.yaml"])
    assert loaded.journeys, loaded.problems
    assert not loaded.errors, loaded.problems
    child = 0
    for line in sys.stdin:
        wish = json.loads(line)
        match wish["do"]:
            case "kill" | "wait":
                if wish["do"] == "kill":
                    os.kill(child, signal.SIGKILL)
                _say(ended=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                child = 0
            case _:
                child = _forked(wish, loaded)
                _say(pid=child)
    if child:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _say(**facts: int) -> None:
    print(json.dumps(facts), flush=True)


def _forked(wish: dict[str, Any], loaded: Loaded) -> int:
    parent = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the parent alone answers
            asyncio.run(_wished(wish, Path(wish["folder"]), loaded))
            code = 0
    except (OSError, StoreUnusable) as error:
        print("refused:", error, file=sys.stderr)
        code = REFUSED
    except BaseException:  # noqa: BLE001  whatever it was: a child must end here and not run on as its parent
        traceback.print_exc()
    finally:
        os._exit(code)


async def _wished(wish: dict[str, Any], folder: Path, loaded: Loaded) -> None:
    match wish["do"]:
        case "live":
            await live(folder, loaded)
        case "once":
            await once(folder, loaded, Point(**wish["point"]), wish["times"])
        case "mend":
            await mend(folder, loaded, Point(**wish["point"]))
        case "pay":
            await pay(folder, loaded)
        case other:
            raise ValueError(other)


if __name__ == "__main__":
    main()

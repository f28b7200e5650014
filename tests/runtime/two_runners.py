"""Two daemons with the same journeys on one store: how many slots run twice, and how many are forgotten.

    python -m tests.runtime.two_runners --slots 10000 sqlite postgres

Each is a process with a runner over the real journal and history. Both are told of every slot at the same instant; what
runs says so before it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.slots import Due, Gap
from synthmon.runtime.instants import SteadyClock
from synthmon.store.open import open_history, open_journal
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.servers.postgres import postgres

AT_ONCE = 200
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Figure:
    """What became of the slots."""

    slots: int
    ran: int
    twice: int
    shares: tuple[int, ...]  # how many each daemon ran
    kept: int  # slots that history has
    told: int  # slots that the daemons told, together
    scheduled: int  # slots that they counted as theirs, together

    @property
    def wrong(self) -> int:
        """Slots that ran twice, were forgotten, or are told or counted otherwise than once."""
        return self.twice + sum(abs(n - self.slots) for n in (self.kept, self.told, self.scheduled))

    def __str__(self) -> str:
        shares = " + ".join(str(share) for share in self.shares)
        return (
            f"{self.slots:,} slots, two daemons: {self.twice} ran twice; {self.ran:,} ran ({shares}), "
            f"{self.kept:,} kept, {self.told:,} told, {self.scheduled:,} counted"
        )


def measure(store: str, slots: int) -> Figure:
    """Let two daemons fill the same slots. One slot in ten comes too late to run and is to be told as missed."""
    asyncio.run(_close_again(store))
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.runtime.two_runners", "--slots", str(slots), "--as-daemon", store]
    daemons = [subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) for _ in "ab"]
    try:
        for daemon in daemons:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == "ready\n"
        for daemon in daemons:
            assert daemon.stdin is not None
            daemon.stdin.write("go\n")
            daemon.stdin.flush()
        said = [daemon.communicate(timeout=900)[0].splitlines() for daemon in daemons]
    finally:
        for daemon in daemons:
            daemon.kill()
            daemon.wait()
    ran = [[line for line in lines if line.startswith("ran ")] for lines in said]
    both = Counter(line for lines in ran for line in lines)
    sums = [lines[-1].split() for lines in said]
    return Figure(
        slots,
        len(both),
        sum(count > 1 for count in both.values()),
        tuple(len(lines) for lines in ran),
        asyncio.run(_kept(store)),
        sum(int(told) for _, told, _ in sums),
        sum(int(scheduled) for _, _, scheduled in sums),
    )


async def _close_again(store: str) -> None:
    await (await open_history(store)).aclose()


async def _kept(store: str) -> int:
    history = await open_history(store)
    totals = await history.totals()
    await history.aclose()
    return sum(totals.values())


async def _be_daemon(store: str, slots: int) -> None:
    history, journal = await open_history(store), open_journal(store)
    told = scheduled = 0

    def ask(request: str, envelope: object) -> Answer:
        print("ran", request, flush=True)
        return Answer(200)

    def tell(record: Record, _: object) -> None:
        nonlocal told
        told += record.slots
        if record.outcome not in (Outcome.PASSED, Outcome.MISSED):
            raise RuntimeError(f"{record.slot}: {record.outcome} {record.reason} {record.message}")

    def count(ours: int) -> None:
        nonlocal scheduled
        scheduled += ours

    clock = SteadyClock()
    stage = make_stage(ask, clock, journal=journal, history=history, tell=tell)
    stage.runner.scheduled = count
    await journal.unrecorded()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for first in range(0, slots, AT_ONCE):
        for number in range(first, min(first + AT_ONCE, slots)):
            probe = replace(journey(step("read", f"GET /{number}")), name=f"probe-{number % AT_ONCE}")
            slot = FIRST + timedelta(seconds=number)
            late = Due(None, None, Gap(1, slot, slot))
            stage.runner.take(probe, late if number % 10 == 0 else Due(slot, clock.now()))
            await asyncio.sleep(0)
        await _until_idle(stage.runner._tasks)
    await stage.runner.stop(30)
    print("sums", told, scheduled, flush=True)
    await journal.aclose()
    await history.aclose()


async def _until_idle(tasks: set[asyncio.Task[object]]) -> None:
    while tasks:
        await asyncio.gather(*tasks)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--slots", type=int, default=10_000)
    arguments.add_argument("--as-daemon", action="store_true", help=argparse.SUPPRESS)
    arguments.add_argument("stores", nargs="*", default=["sqlite", "postgres"])
    given = arguments.parse_args()
    if given.as_daemon:
        asyncio.run(_be_daemon(given.stores[0], given.slots))
        return 0
    wrong = 0
    for store in given.stores:
        if store == "postgres":
            with postgres() as server:
                figure = measure(server.url(), given.slots)
        else:
            with tempfile.TemporaryDirectory() as folder:
                figure = measure(f"sqlite:///{Path(folder) / 'synthmon.db'}", given.slots)
        print(f"{store}: {figure}")
        wrong += figure.wrong
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill -9 while records and intents are written, and look whether anything acknowledged is gone.

    python -m tests.store.kill_writer --kills 1000

The child writes and says what was acknowledged; the parent kills it at random moments and reads the files.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from synthmon.core.undo.intents import Fenced
from synthmon.store import engines, sqlite_file
from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.open import open_history
from tests.store.samples import a_claim, a_record, three_entries

_HISTORY, _JOURNAL = "synthmon.db", "synthmon-journal.db"
_SIDE_BY_SIDE = 6
_LONGEST_LIFE_S = 0.25


@dataclass(slots=True)
class Report:
    """What was killed, what was acknowledged, and what is wrong (empty: nothing)."""

    kills: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = ", ".join(f"{number} {what}" for what, number in sorted(self.acknowledged.items()))
        return f"{self.kills} kills; acknowledged: {said}; lost or damaged: {len(self.wrong)}"


def torture(folder: Path, kills: int, seed: int) -> Report:
    """Start and kill writers on the same files; ask after each kill for everything acknowledged by it."""
    chance, report, told = random.Random(seed), Report(), list[tuple[str, ...]]()
    for generation in range(kills):
        acks = _killed(folder, generation, chance)
        report.kills += 1
        for what, *_ in acks:
            report.acknowledged[what] = report.acknowledged.get(what, 0) + 1
        report.wrong += _missing(folder, acks)
        told += acks
    report.wrong += look(folder, told)
    return report


def look(folder: Path, acks: list[tuple[str, ...]]) -> list[str]:
    """What is wrong in these files: something acknowledged that is gone, a debt that is forgotten, damage."""
    try:
        return [*_missing(folder, acks), *_forgotten_debts(folder), *_damage(folder)]
    except sqlite3.Error as error:
        return [f"the files cannot be read: {error}"]


def heard(lines: str) -> list[tuple[str, ...]]:
    """What a writer said; its last word may be cut."""
    return [tuple(line.split()) for line in lines.splitlines(keepends=True) if line.endswith("\n")]


def _killed(folder: Path, generation: int, chance: random.Random) -> list[tuple[str, ...]]:
    """What one writer said before it was killed, at a random moment after its start or its first word."""
    command = [sys.executable, "-m", "tests.store.kill_writer", "--write", str(folder), "--generation", str(generation)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline() if chance.random() < 0.9 else ""
        time.sleep(chance.random() * _LONGEST_LIFE_S)
        writer.kill()
        return heard(first + writer.stdout.read())


def _missing(folder: Path, acks: list[tuple[str, ...]]) -> list[str]:
    if not acks:
        return []
    with closing(sqlite3.connect(folder / _HISTORY)) as history, closing(sqlite3.connect(folder / _JOURNAL)) as journal:
        records = {row[0] for row in history.execute("SELECT run_id FROM runs")}
        claims = {row[0] for row in journal.execute("SELECT run_id FROM claims")}
        entries = {(row[0], str(row[1])) for row in journal.execute("SELECT run_id, seq FROM entries")}
    wrong = []
    for ack in acks:
        match ack:
            case ("record", run_id):
                kept = run_id in records
            case ("claim", run_id):
                kept = run_id in claims
            case ("entry", run_id, seq):
                kept = (run_id, seq) in entries
            case _:
                kept = False
        if not kept:
            wrong.append(f"acknowledged and lost: {' '.join(ack)}")
    return wrong


def _forgotten_debts(folder: Path) -> list[str]:
    """Intents without a settlement that are no open debt, and the other way round."""
    with closing(sqlite3.connect(folder / _JOURNAL)) as journal:
        debts = {row[0] for row in journal.execute("SELECT run_id FROM debts")}
        last = dict(journal.execute("SELECT run_id, max(seq) FROM entries GROUP BY run_id"))
    owing = {run_id for run_id, seq in last.items() if seq == 2}  # of `three_entries`: the intent is the second
    return [f"owed by its entries or by its debts, not by both: {run_id}" for run_id in sorted(owing ^ debts)]


def _damage(folder: Path) -> list[str]:
    wrong = []
    for name in (_HISTORY, _JOURNAL):
        with closing(sqlite3.connect(folder / name)) as connection:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            wrong += [f"{name}: {line}" for line in found if line != "ok"]
    return wrong


def sync_less() -> None:
    """Open files as a design would that is quicker and loses what it acknowledged: the control of these tests."""
    for module in (sqlite_file, engines):
        setattr(module, "ON_CONNECT", ("PRAGMA synchronous=NORMAL",))  # noqa: B010  no longer one of two pragmas


async def _write(folder: Path, generation: int) -> None:
    """Write until killed; a line is said only after the store has answered."""
    history = await open_history(f"sqlite:///{folder / _HISTORY}")
    journal = SqliteJournal(folder / _JOURNAL)
    numbers = count(generation * 1_000_000)

    async def one_after_another() -> None:
        while True:
            number = next(numbers)
            claim = a_claim(number)
            if not await journal.claim(claim):
                raise RuntimeError(f"slot {number} was taken")
            print("claim", claim.run_id, flush=True)
            for seq, entry in enumerate(three_entries(number)):
                answer = await journal.append(claim.run_id, entry, seq)
                if isinstance(answer, Fenced):
                    raise RuntimeError(f"fenced: {answer}")
                print("entry", claim.run_id, answer, flush=True)
            await history.save([a_record(number)])
            print("record", claim.run_id, flush=True)
            await journal.release([claim])

    async with asyncio.TaskGroup() as group:
        for _ in range(_SIDE_BY_SIDE):
            group.create_task(one_after_another())


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=1000)
    arguments.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--generation", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--sync-less", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.write:
        if given.sync_less:
            sync_less()
        asyncio.run(_write(given.write, given.generation))
    with tempfile.TemporaryDirectory() as folder:
        report = torture(Path(folder), given.kills, given.seed)
    print(f"seed {given.seed}: {report}", *report.wrong[:20], sep="\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Claims what its rivals claim, and says what it got: `python -m tests.store.claim_all JOURNAL SLOTS NAME`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from synthmon.core.undo.intents import Claim
from synthmon.store.journal_sqlite import SqliteJournal
from tests.store.samples import slot

_AT_ONCE = 20


async def claim_all(path: Path, slots: int, name: str) -> list[int]:
    journal = SqliteJournal(path, ballast_bytes=0)
    won: list[int] = []
    for start in range(0, slots, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, slots))
        taken = await asyncio.gather(*(journal.claim(Claim("j", slot(n), "", name, slot(n))) for n in numbers))
        won += [number for number, mine in zip(numbers, taken, strict=True) if mine]
    await journal.aclose()
    return won


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(*asyncio.run(claim_all(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))

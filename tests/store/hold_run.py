"""A process that has a slot and a run with a debt, until it is killed: `python -m tests.store.hold_run STORE`.

It says `ready`, and answers each line it is told with what a further entry of its run brought.
"""

from __future__ import annotations

import asyncio
import sys

from synthmon.core.undo.intents import Journal
from synthmon.store.journal_postgres import PostgresJournal
from synthmon.store.open import open_journal
from tests.store.samples import a_claim, intent, opened, run_id

LEASE_S = 1.5
HELD = run_id(1)


def shared_journal(store: str) -> Journal:
    """The journal of a store, with leases short enough for a test."""
    return PostgresJournal(store, LEASE_S) if store.startswith("postgresql") else open_journal(store)


async def hold(store: str) -> None:
    journal = shared_journal(store)
    await journal.claim(a_claim(1))
    await journal.append(HELD, opened(1), 0)
    await journal.append(HELD, intent("first", 1), 1)
    print("ready", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(await journal.append(HELD, intent("second", 2), 2), flush=True)
    await journal.aclose()


if __name__ == "__main__":
    asyncio.run(hold(sys.argv[1]))

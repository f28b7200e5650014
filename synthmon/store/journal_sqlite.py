"""A journal in a SQLite file of its own: what it answered survives a power cut."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from synthmon.core.undo.intents import Claim, Entry, Fenced, Intent, Opened, OpenRun, Taken, Whose
from synthmon.store import journal_tables as tables
from synthmon.store.ballast import Ballast
from synthmon.store.claim_rows import rows_of
from synthmon.store.journal_codec import line_of
from synthmon.store.journal_writer import JournalWriter
from synthmon.store.living import Living
from synthmon.store.nouns import from_microseconds

BALLAST_BYTES = 4 * 1024 * 1024
_PRUNED_AT_ONCE = 500


class SqliteJournal:
    """A `Journal` in one file, which several processes may share.

    A thread of its own commits everything that waits together; every call returns after that commit is on the disk and
    raises `OSError` when it is not, or when thousands of others wait already. A file of a newer version raises
    `StoreUnusable`. On a full disk the ballast (a file of `ballast_bytes` beside it; 0: none) makes room to settle
    debts, while new claims and intents are refused until there is space enough to make the ballast again. Which of
    the processes live, the kernel knows (`store.living`).
    """

    def __init__(self, path: Path, ballast_bytes: int = BALLAST_BYTES) -> None:
        self._writer = JournalWriter(path, Ballast(path.with_name(path.name + "-ballast"), ballast_bytes))
        self._living = Living(path)

    async def claim(self, claim: Claim) -> bool:
        (row,) = rows_of(claim)
        return await self._writer.do(
            lambda connection: tables.insert_claim(connection, row, self._living.arrive()), adds=True, urgent=False
        )

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        gaps = [rows_of(claim) for claim in claims]

        def work(connection: sqlite3.Connection) -> Sequence[int | None]:
            owner = self._living.arrive()
            return [tables.insert_gap(connection, rows, owner) for rows in gaps]

        taken = await self._writer.do(work, adds=True)
        return [None if slot_us is None else from_microseconds(slot_us) for slot_us in taken]

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        line = line_of(entry)

        def work(connection: sqlite3.Connection) -> int | Fenced:
            owner = self._living.arrive() if isinstance(entry, Opened) else ""
            return tables.insert_entry(connection, run_id, entry, line, after_seq, owner)

        return await self._writer.do(work, adds=isinstance(entry, Opened | Intent))

    async def take_over(self, run_id: str, after_seq: int) -> int | Fenced | None:
        def work(connection: sqlite3.Connection) -> int | Fenced | None:
            if self._living.whose(tables.select_owner(connection, run_id)) is Whose.ANOTHERS:
                return None
            entry = Taken(self._living.arrive())
            return tables.insert_entry(connection, run_id, entry, line_of(entry), after_seq, entry.by)

        return await self._writer.do(work)

    async def keep_text(self, version: str, text: str) -> None:
        now_us = time.time_ns() // 1000
        await self._writer.do(lambda connection: tables.keep_text(connection, version, text, now_us), adds=True)

    async def text(self, version: str) -> str | None:
        return await self._writer.do(lambda connection: tables.select_text(connection, version))

    async def open_runs(self) -> Sequence[OpenRun]:
        return await self._writer.do(lambda connection: tables.select_open_runs(connection, self._living.whose))

    async def unrecorded(self) -> Sequence[Claim]:
        return await self._writer.do(lambda connection: tables.select_unrecorded(connection, self._living.whose))

    async def release(self, claims: Sequence[Claim]) -> None:
        rows = [row for claim in claims for row in rows_of(claim)]
        await self._writer.do(lambda connection: tables.mark_recorded(connection, rows), urgent=False)

    async def prune(self, before: datetime) -> int:
        """In small batches, between which everything else goes on."""
        forgotten = 0
        some = partial(tables.delete_some, before=before, limit=_PRUNED_AT_ONCE)
        while count := await self._writer.do(some):
            forgotten += count
        return forgotten

    async def aclose(self) -> None:
        await asyncio.shield(self._writer.aclose())
        self._living.leave()

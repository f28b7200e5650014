"""A journal in a SQLite file of its own: what it answered survives a power cut."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from synthmon.core.intents import Claim, Entry, Fenced, Intent, Opened, OpenRun
from synthmon.store import journal_tables as tables
from synthmon.store.ballast import Ballast
from synthmon.store.journal_codec import line_of
from synthmon.store.journal_writer import JournalWriter

BALLAST_BYTES = 4 * 1024 * 1024
_PRUNED_AT_ONCE = 500


class SqliteJournal:
    """A `Journal` in one file, which several processes may share.

    A thread of its own commits everything that waits together; every call returns after that commit is on the disk and
    raises `OSError` when it is not, or when thousands of others wait already. A file of a newer version raises
    `StoreUnusable`. On a full disk the ballast (a file of `ballast_bytes` beside it; 0: none) makes room to settle
    debts, while new claims and intents are refused until there is space enough to make the ballast again.
    """

    def __init__(self, path: Path, ballast_bytes: int = BALLAST_BYTES) -> None:
        self._writer = JournalWriter(path, Ballast(path.with_name(path.name + "-ballast"), ballast_bytes))

    async def claim(self, claim: Claim) -> bool:
        row = tables.row_of(claim)
        return await self._writer.do(lambda connection: tables.insert_claim(connection, row), adds=True, urgent=False)

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        line = line_of(entry)
        return await self._writer.do(
            lambda connection: tables.insert_entry(connection, run_id, entry, line, after_seq),
            adds=isinstance(entry, Opened | Intent),
        )

    async def keep_text(self, version: str, text: str) -> None:
        now_us = time.time_ns() // 1000
        await self._writer.do(lambda connection: tables.keep_text(connection, version, text, now_us), adds=True)

    async def text(self, version: str) -> str | None:
        return await self._writer.do(lambda connection: tables.select_text(connection, version))

    async def open_runs(self) -> Sequence[OpenRun]:
        return await self._writer.do(tables.select_open_runs)

    async def unrecorded(self) -> Sequence[Claim]:
        return await self._writer.do(tables.select_unrecorded)

    async def release(self, claims: Sequence[Claim]) -> None:
        rows = [tables.row_of(claim) for claim in claims]
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

"""A journal in PostgreSQL, shared by daemons of many machines: what it answered survives a crash of the server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.core.undo.intents import Claim, Entry, Fenced, OpenRun, Taken, Whose
from synthmon.store import journal_schema as sql
from synthmon.store.claim_rows import joined, rows_of
from synthmon.store.journal_batch import Add, Close, Keep, Outrun, Take, TakeGaps, grant
from synthmon.store.journal_codec import entry_from, line_of
from synthmon.store.journal_commits import JournalCommits
from synthmon.store.nouns import from_microseconds, microseconds

LEASE_S = 15.0
READ_S = 30.0
_PRUNED_AT_ONCE = 500


class PostgresJournal:
    """A `Journal` in one database, which daemons of many machines may share.

    Every call returns after a commit with `synchronous_commit`; a standby that takes over must have that commit too, so
    it has to be a synchronous one. A database that is away for more than ten seconds is an `OSError`. A process is
    alive while it renews its lease (`lease_s`, by the database's clock); who cannot reach the database is dead for the
    others, and fenced from the runs that they take over.
    """

    def __init__(self, url: str, lease_s: float = LEASE_S) -> None:
        self._commits = JournalCommits(url, secrets.token_hex(8), lease_s)
        self._as = {"me": self._commits.me, "lease_s": lease_s}

    async def claim(self, claim: Claim) -> bool:
        (row,) = rows_of(claim)
        taken: bool = await self._commits.do(Take(row))
        return taken

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        taken: Sequence[int | None] = await self._commits.do(TakeGaps([rows_of(claim) for claim in claims]))
        return [None if slot_us is None else from_microseconds(slot_us) for slot_us in taken]

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        wrote: int | Fenced = await self._commits.do(Add(run_id, entry, line_of(entry), after_seq))
        return wrote

    async def keep_text(self, version: str, text: str) -> None:
        await self._commits.do(Keep(version, text))

    async def text(self, version: str) -> str | None:
        found = await self._read(sql.TEXT, {"version": version})
        return str(found[0].text) if found else None

    async def open_runs(self) -> Sequence[OpenRun]:
        await self._commits.do(None)
        owing: dict[str, list[Entry]] = {}
        whose: dict[str, Whose] = {}
        for row in await self._read(sql.OPEN_RUNS, self._as):
            owing.setdefault(row.run_id, []).append(entry_from(row.line))
            whose[row.run_id] = Whose(row.whose)
        return [OpenRun(run_id, tuple(entries), whose[run_id]) for run_id, entries in owing.items()]

    async def take_over(self, run_id: str, after_seq: int) -> int | Fenced | None:
        await self._commits.do(None)
        taken = Taken(self._commits.me)
        try:
            async with self._transaction() as connection:
                whose = await connection.scalar(sql.WHOSE_RUN, {**self._as, "run": run_id})
                if whose == Whose.ANOTHERS:
                    return None
                (wrote,) = await grant(connection, taken.by, [Add(run_id, taken, line_of(taken), after_seq)], False)
                if not isinstance(wrote, Fenced):
                    await connection.execute(sql.TAKE_OVER, {"me": taken.by, "run": run_id})
                return int(wrote) if not isinstance(wrote, Fenced) else wrote
        except Outrun:
            return Fenced(after_seq + 1)

    async def unrecorded(self) -> Sequence[Claim]:
        await self._commits.do(None)
        claims = [
            Claim(
                row.journey,
                from_microseconds(row.slot_us),
                row.location,
                row.run_id,
                from_microseconds(row.at_us),
                Whose(row.whose),
            )
            for row in await self._read(sql.UNRECORDED, self._as)
        ]
        return joined(claims)

    async def release(self, claims: Sequence[Claim]) -> None:
        await self._commits.do(Close([row for claim in claims for row in rows_of(claim)]))

    async def prune(self, before: datetime) -> int:
        """In small batches, between which everything else goes on."""
        old = {"before_us": microseconds(before), "most": _PRUNED_AT_ONCE}
        forgotten = 0
        while True:
            async with self._transaction() as connection:
                claims = (await connection.execute(sql.PRUNE_CLAIMS, old)).rowcount
                runs = [row.run_id for row in await connection.execute(sql.PRUNE_RUNS, old)]
                await connection.execute(sql.PRUNE_ENTRIES, {"runs": runs})
                await connection.execute(sql.PRUNE_TEXTS, {"before_us": old["before_us"]})
                await connection.execute(sql.PRUNE_OWNERS)
            if not claims and not runs:
                return forgotten
            forgotten += claims + len(runs)

    async def aclose(self) -> None:
        await asyncio.shield(self._commits.aclose())

    async def _read(self, wanted: sa.Executable, values: Mapping[str, Any]) -> Sequence[sa.Row[Any]]:
        async with self._transaction() as connection:
            return (await connection.execute(wanted, dict(values))).all()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        engines = await self._commits.engines()
        try:
            async with asyncio.timeout(READ_S), engines.reader.begin() as connection:
                await connection.execute(sa.text("SET LOCAL synchronous_commit TO on"))
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise engines.broken(error) from error

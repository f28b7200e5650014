"""History in a SQL database: SQLite beside the daemon, or PostgreSQL that several share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.store.engines import Engines, connect
from synthmon.store.kept import GOOD, key_of, one_of, prefix_of
from synthmon.store.migrate import bring_up_to_date
from synthmon.store.nouns import from_microseconds, microseconds
from synthmon.store.record_codec import detail_of, head_of, record_from
from synthmon.store.schema import LAST_SLOTS, runs
from synthmon.store.sql_writer import Row, SqlWriter

READ_LIMIT_S = 30.0
_PRUNED_AT_ONCE = 500
_ENCODED_AT_ONCE = 50


class SqlHistory:
    """A `History` in SQLite or PostgreSQL. Made by `SqlHistory.open`; `aclose` ends its writer and connections."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._writer = SqlWriter(engines)

    @classmethod
    async def open(cls, url: str) -> SqlHistory:
        """Open, and create or migrate the tables. Raises `OSError`, or `StoreUnusable` when waiting will not help."""
        engines = await connect(url)
        try:
            await bring_up_to_date(engines)
        except (SQLAlchemyError, OSError) as error:
            await engines.aclose()
            raise engines.broken(error) from error
        except BaseException:
            await engines.aclose()
            raise
        return cls(engines)

    async def save(self, records: Sequence[Record]) -> Sequence[Record]:
        rows = []
        for count, record in enumerate(records, 1):
            rows.append(_row(record))
            if count % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)  # a long list must not hold the loop
        if not rows:
            return ()
        new = await self._writer.write(rows)
        return [record for record, was_new in zip(records, new, strict=True) if was_new]

    async def run(self, run_id: str) -> Record | None:
        start = prefix_of(run_id)
        with_prefix = sa.and_(runs.c.run_id >= start, runs.c.run_id < start[:-1] + chr(ord(start[-1]) + 1))
        # An exact id sorts before every longer one.
        ids = await self._read(sa.select(runs.c.run_id).where(with_prefix).distinct().order_by(runs.c.run_id).limit(2))
        if not ids:
            return None
        wanted = one_of(start, [row.run_id for row in ids])
        whole = sa.select(runs.c.head, runs.c.detail).where(runs.c.run_id == wanted)
        found = await self._read(whole.order_by(runs.c.id.desc()).limit(1))
        return record_from(found[0].head, found[0].detail) if found else None

    async def recent(
        self,
        journey: str | None = None,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
    ) -> Sequence[Record]:
        wanted = sa.select(runs.c.head).order_by(runs.c.slot_us.desc(), runs.c.id.desc()).limit(limit)
        if journey is not None:
            wanted = wanted.where(runs.c.journey == journey)
        if outcomes:
            wanted = wanted.where(runs.c.outcome.in_([str(outcome) for outcome in outcomes]))
        if outcomes and Outcome.PASSED not in outcomes:
            wanted = wanted.where(sa.text("outcome <> 'passed'"))  # in these words the small index serves
        if before is not None:
            wanted = wanted.where(runs.c.slot_us < microseconds(before))
        return [record_from(row.head) for row in await self._read(wanted)]

    async def last_slots(self) -> Mapping[tuple[str, str], datetime]:
        found = await self._read(LAST_SLOTS)
        return {(row.journey, row.location): from_microseconds(row.slot_us) for row in found}

    async def totals(self, journey: str | None = None) -> Mapping[tuple[str, Outcome, str], int]:
        """Without a journey this reads every row."""
        by = (runs.c.journey, runs.c.outcome, runs.c.reason)
        wanted = sa.select(*by, sa.func.sum(runs.c.slots).label("slots")).group_by(*by)
        if journey is not None:
            wanted = wanted.where(runs.c.journey == journey)
        found = await self._read(wanted)
        return {(row.journey, Outcome(row.outcome), row.reason): int(row.slots) for row in found}

    async def prune(self, before: datetime, keep_failed_before: datetime) -> int:
        """In small batches, between which records are saved as ever."""
        good = runs.c.outcome.in_([str(outcome) for outcome in GOOD])
        forgotten = await self._forget(microseconds(before), good)
        forgotten += await self._forget(microseconds(keep_failed_before), sa.not_(good))
        await self._writer.give_space_back()
        return forgotten

    async def _forget(self, before_us: int, which: sa.ColumnElement[bool]) -> int:
        old = sa.and_(runs.c.slot_us < before_us, which)
        some = sa.select(runs.c.id, runs.c.slot_us).where(old).order_by(runs.c.slot_us).limit(_PRUNED_AT_ONCE)
        found, forgotten = await self._read(some), 0
        while found:
            forgotten += await self._writer.delete_some(sa.delete(runs).where(runs.c.id.in_([row.id for row in found])))
            # from here on, or each batch would walk over everything that is kept
            found = await self._read(some.where(runs.c.slot_us >= found[-1].slot_us))
        return forgotten

    async def aclose(self) -> None:
        await self._writer.aclose()
        await self._engines.aclose()

    async def _read(self, wanted: sa.Executable) -> Sequence[sa.Row[Any]]:
        try:
            async with asyncio.timeout(READ_LIMIT_S), self._engines.reader.connect() as connection:
                return (await connection.execute(wanted)).all()
        except (SQLAlchemyError, OSError) as error:
            raise self._engines.broken(error) from error


def _row(record: Record) -> Row:
    journey, location, slot_us, kept_as = key_of(record)
    return {
        "journey": journey,
        "location": location,
        "slot_us": slot_us,
        "kept_as": kept_as,
        "run_id": record.run_id,
        "outcome": str(record.outcome),
        "reason": str(record.reason),
        "slots": record.slots,
        "took_ms": record.took_ms,
        "outcome_ms": record.outcome_ms,
        "head": head_of(record),
        "detail": detail_of(record),
    }

"""History in a SQL database: SQLite beside the daemon, or PostgreSQL that several share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from synthmon.core.evidence import Evidence
from synthmon.core.history import MOST_TOLD_BYTES
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.store import evidence_codec
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
_WHOLE = (runs.c.head, runs.c.detail, runs.c.evidence, runs.c.evidence_kept)
_Columns = TypeVar("_Columns", bound=tuple[Any, ...])


class EvidenceKept(IntEnum):
    """What became of the evidence of a run; in its row as a number."""

    NONE = 0  # there never was any
    KEPT = 1
    FORGOTTEN = 2


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
            row = _row(record)
            if record.evidence:
                row |= {"evidence": await _written(record), "evidence_kept": EvidenceKept.KEPT}
            rows.append(row)
            if count % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)  # a long list must not hold the loop
        if not rows:
            return ()
        new = await self._writer.write(rows)
        return [record for record, was_new in zip(records, new, strict=True) if was_new]

    async def run(self, run_id: str) -> Record | None:
        start = prefix_of(run_id)
        if not (start.isascii() and start.isprintable()):
            return None  # no run id has such letters, and not every database takes them
        with_prefix = sa.and_(runs.c.run_id >= start, runs.c.run_id < start[:-1] + chr(ord(start[-1]) + 1))
        # An exact id sorts before every longer one.
        ids = await self._read(sa.select(runs.c.run_id).where(with_prefix).distinct().order_by(runs.c.run_id).limit(2))
        if not ids:
            return None
        wanted = one_of(start, [row.run_id for row in ids])
        found = await self._read(sa.select(*_WHOLE).where(runs.c.run_id == wanted).order_by(runs.c.id.desc()).limit(1))
        return (await _whole(found[0]))[0] if found else None

    async def recent(
        self,
        journey: str | None = None,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
    ) -> Sequence[Record]:
        wanted = _newest(sa.select(runs.c.head), journey, outcomes, limit, before)
        return [record_from(row.head) for row in await self._read(wanted)]

    async def told(
        self,
        journey: str,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
        version: str = "",
    ) -> Sequence[Record]:
        """One after the other: together they may be far more than should be in memory twice."""
        wanted = _newest(sa.select(runs.c.id), journey, outcomes, limit, before)
        wanted = wanted.where(sa.or_(runs.c.detail.is_not(None), runs.c.evidence_kept != EvidenceKept.NONE))
        if version:  # few ask for it, and the rows of one journey are walked in the database's own time
            wanted = wanted.where(runs.c.head.contains(f'"version":"{version}"', autoescape=True))
        found: list[Record] = []
        told_bytes = 0
        for known in await self._read(wanted):
            for row in await self._read(sa.select(*_WHOLE).where(runs.c.id == known.id)):  # none: just forgotten
                record, size_bytes = await _whole(row)
                told_bytes += size_bytes
                if found and told_bytes > MOST_TOLD_BYTES:
                    return found
                if not version or record.version == version:
                    found.append(record)
        return found

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

    async def forget_evidence(self, keep: int) -> int:
        """In small batches, between which records are saved as ever."""
        place = sa.func.row_number().over(
            partition_by=(runs.c.journey, runs.c.location), order_by=(runs.c.slot_us.desc(), runs.c.id.desc())
        )
        # in these words the index of the few serves
        ranked = sa.select(runs.c.id, place.label("place")).where(sa.text("evidence_kept = 1 AND outcome = 'passed'"))
        kept = ranked.subquery()
        old = [row.id for row in await self._read(sa.select(kept.c.id).where(kept.c.place > keep))]
        empty = sa.update(runs).values(evidence=None, evidence_kept=EvidenceKept.FORGOTTEN)
        for start in range(0, len(old), _PRUNED_AT_ONCE):
            await self._writer.change_some(empty.where(runs.c.id.in_(old[start : start + _PRUNED_AT_ONCE])))
        if old:
            await self._writer.give_space_back()
        return len(old)

    async def _forget(self, before_us: int, which: sa.ColumnElement[bool]) -> int:
        old = sa.and_(runs.c.slot_us < before_us, which)
        some = sa.select(runs.c.id, runs.c.slot_us).where(old).order_by(runs.c.slot_us).limit(_PRUNED_AT_ONCE)
        found, forgotten = await self._read(some), 0
        while found:
            forgotten += await self._writer.change_some(sa.delete(runs).where(runs.c.id.in_([row.id for row in found])))
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
        "evidence": None,
        "evidence_kept": EvidenceKept.NONE,
    }


def _newest(
    wanted: sa.Select[_Columns],
    journey: str | None,
    outcomes: Sequence[Outcome],
    limit: int,
    before: datetime | None,
) -> sa.Select[_Columns]:
    """Narrowed as a caller asks, the newest first."""
    if journey is not None:
        wanted = wanted.where(runs.c.journey == journey)
    if outcomes:
        wanted = wanted.where(runs.c.outcome.in_([str(outcome) for outcome in outcomes]))
    if outcomes and Outcome.PASSED not in outcomes:
        wanted = wanted.where(sa.text("outcome <> 'passed'"))  # in these words the small index serves
    if before is not None:
        wanted = wanted.where(runs.c.slot_us < microseconds(before))
    return wanted.order_by(runs.c.slot_us.desc(), runs.c.id.desc()).limit(limit)


async def _written(record: Record) -> bytes:
    pieces = []
    for piece in evidence_codec.written(record.evidence):
        pieces.append(piece)
        if len(record.evidence) > evidence_codec.RECORDS_AT_ONCE:
            await asyncio.sleep(0)
    return b"".join(pieces)


async def _whole(row: sa.Row[Any]) -> tuple[Record, int]:
    """The record of a row with all its evidence, and how many bytes of it there are."""
    record, size_bytes = record_from(row.head, row.detail), 0
    if row.evidence is None:
        return replace(record, evidence_forgotten=row.evidence_kept == EvidenceKept.FORGOTTEN), 0
    evidence: list[Evidence] = []
    for some, some_bytes in evidence_codec.opened(bytes(row.evidence)):
        evidence += some
        size_bytes += some_bytes
        if len(evidence) > evidence_codec.RECORDS_AT_ONCE:
            await asyncio.sleep(0)
    return replace(record, evidence=tuple(evidence)), size_bytes

"""The one writer of a SQL history: whatever waits is committed together, and everyone is told when it is durable."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.store.engines import Engines
from synthmon.store.kept import Key
from synthmon.store.schema import runs

BATCH_ROWS = 200
LINGER_S = 0.05
COMPANY = 50  # that many need not wait for more
WAITING = 1_000  # callers; more of them wait for a place
LIMIT_S = 30.0
_DOUBTS = 20_000
_VACUUM_PAGES = 500

Row = dict[str, Any]
_KEY = (runs.c.journey, runs.c.location, runs.c.slot_us, runs.c.kept_as)


@dataclass(frozen=True, slots=True)
class _Wish:
    """Rows that somebody waits for; `done` gets one truth a row: whether it was new."""

    rows: Sequence[Row]
    done: asyncio.Future[list[bool]]


class SqlWriter:
    """Gathers rows into transactions. `aclose` writes what waits, then ends."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._wishes: deque[_Wish] = deque()
        self._bell = asyncio.Event()
        self._places = asyncio.Semaphore(WAITING)
        self._turn = asyncio.Lock()
        self._doubts: dict[Key, set[int]] = {}  # a commit of these broke: it may have happened, under one of the names
        self._closed = False
        self._committed_at_s = float("-inf")
        self._on_postgres = engines.writer.dialect.name == "postgresql"
        dialect = postgresql if self._on_postgres else sqlite
        self._insert = dialect.insert(runs).on_conflict_do_nothing().returning(*_KEY)
        self._task = asyncio.create_task(self._serve(), name="history writer")

    async def write(self, rows: Sequence[Row]) -> list[bool]:
        """Durable when it returns; answers for each row whether it was new. Raises `OSError`."""
        async with self._places:
            if self._closed:
                raise OSError(f"{self._engines.where} is closed")
            done: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
            self._wishes.append(_Wish(rows, done))
            self._bell.set()
            return await done

    async def change_some(self, statement: sa.Delete | sa.Update) -> int:
        """Run one small change between two batches; answers how many rows it met. Raises `OSError`."""
        try:
            async with self._turn, asyncio.timeout(LIMIT_S), self._engines.writer.begin() as connection:
                return (await connection.execute(statement)).rowcount
        except (SQLAlchemyError, OSError) as error:
            raise self._engines.broken(error) from error

    async def give_space_back(self) -> None:
        """Shrink a SQLite file in small steps while more than a quarter of it is empty. Raises `OSError`."""
        while not self._on_postgres:
            try:
                async with self._turn, asyncio.timeout(LIMIT_S), self._engines.writer.begin() as connection:
                    empty = await connection.scalar(sa.text("PRAGMA freelist_count"))
                    if empty < _VACUUM_PAGES or empty * 4 < await connection.scalar(sa.text("PRAGMA page_count")):
                        return
                    (await connection.exec_driver_sql(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")).all()
                    if await connection.scalar(sa.text("PRAGMA freelist_count")) == empty:
                        return  # somebody else made the file, without room for this
            except (SQLAlchemyError, OSError) as error:
                raise self._engines.broken(error) from error

    async def aclose(self) -> None:
        self._closed = True
        self._bell.set()
        await self._task

    async def _serve(self) -> None:
        while not self._closed or self._wishes:
            await self._bell.wait()
            self._bell.clear()
            await self._wait_for_company()
            while self._wishes:
                await self._grant(self._gathered())
                self._committed_at_s = time.monotonic()

    async def _wait_for_company(self) -> None:
        """Under load a few records wait a little for others; one that comes alone is written at once."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._committed_at_s + LINGER_S - time.monotonic())):
                while len(self._wishes) < COMPANY and not self._closed:
                    await self._bell.wait()
                    self._bell.clear()

    def _gathered(self) -> list[_Wish]:
        """Everything that waits, up to a full batch. While one batch is synced to disk the next one gathers."""
        wishes, count = [], 0
        while self._wishes and count < BATCH_ROWS:
            wishes.append(self._wishes.popleft())
            count += len(wishes[-1].rows)
        return wishes

    async def _grant(self, wishes: list[_Wish]) -> None:
        try:
            new = iter(await self._committed([row for wish in wishes for row in wish.rows]))
        except OSError as error:
            _refuse(wishes, error)
        # one row that cannot be written must neither keep the others out nor end the writer
        except Exception as error:  # noqa: BLE001
            if len(wishes) == 1:
                _refuse(wishes, self._engines.broken(error))
                return
            for wish in wishes:
                await self._grant([wish])
        else:
            for wish in wishes:
                answer = [next(new) for _ in wish.rows]
                if not wish.done.done():
                    wish.done.set_result(answer)

    async def _committed(self, rows: Sequence[Row]) -> list[bool]:
        """Write rows in one transaction, again if the connection broke. Raises `OSError`; else a row is at fault."""
        tries = 0
        while True:
            tries += 1
            try:
                return await self._attempt(rows)
            except _ROW_AT_FAULT:
                raise
            except (SQLAlchemyError, OSError) as error:
                if tries == 2 or not _worth_another_try(error):
                    raise self._engines.broken(error) from error

    async def _attempt(self, rows: Sequence[Row]) -> list[bool]:
        batch = secrets.randbits(63)
        self._doubt(rows, batch)
        async with self._turn, asyncio.timeout(LIMIT_S):
            new = await self._transaction(rows, batch)
        for row in rows:
            self._doubts.pop(_key(row), None)
        return new

    async def _transaction(self, rows: Sequence[Row], batch: int) -> list[bool]:
        # Sorted, so that two machines that write the same slots cannot lock each other out.
        ordered = [{**row, "batch": batch} for row in sorted(rows, key=_key)]
        async with self._engines.writer.begin() as connection:
            if self._on_postgres:
                await connection.execute(sa.text("SET LOCAL synchronous_commit TO on"))
            inserted = {tuple(key) for key in await connection.execute(self._insert, ordered)}
            ours = await self._ours_after_all(connection, rows, inserted) | inserted
        new = []
        for row in rows:
            new.append(_key(row) in ours)
            ours.discard(_key(row))  # the same record twice in one batch: the first was new
        return new

    async def _ours_after_all(
        self, connection: AsyncConnection, rows: Sequence[Row], inserted: set[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        """Rows refused as known that a broken commit of ours had written: nobody was told about them yet."""
        ours: set[tuple[Any, ...]] = set()
        for row in rows:
            key = _key(row)
            if key not in inserted and len(self._doubts.get(key, ())) > 1:
                same = sa.and_(*(column == value for column, value in zip(_KEY, key, strict=True)))
                if await connection.scalar(sa.select(runs.c.batch).where(same)) in self._doubts[key]:
                    ours.add(key)
        return ours

    def _doubt(self, rows: Sequence[Row], batch: int) -> None:
        for row in rows:
            self._doubts.setdefault(_key(row), set()).add(batch)
        while len(self._doubts) > max(_DOUBTS, len(rows)):
            del self._doubts[next(iter(self._doubts))]


_ROW_AT_FAULT = (DataError, IntegrityError, ProgrammingError)


def _key(row: Row) -> Key:
    return row["journey"], row["location"], row["slot_us"], row["kept_as"]


def _refuse(wishes: list[_Wish], error: OSError) -> None:
    for wish in wishes:
        if not wish.done.done():
            wish.done.set_exception(OSError(*error.args))


def _worth_another_try(error: Exception) -> bool:
    """The connection broke (a stale one, a restart), or the database asked for it: deadlock, serialization."""
    return isinstance(error, DBAPIError) and (
        error.connection_invalidated or getattr(error.orig, "sqlstate", None) in ("40001", "40P01")
    )

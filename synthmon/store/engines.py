"""The connections of a history by its URL: one that writes, a few that read and never wait for it."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from synthmon.store.failures import StoreUnusable, from_postgres, from_sqlite
from synthmon.store.sqlite_file import BUSY_S, ON_CONNECT, prepare

CONNECT_S = 5
_READERS = 2


@dataclass(frozen=True, slots=True)
class Engines:
    """`where` names the database for messages, without its password; `broken` translates a refusal.

    `migrator` makes an engine that writes from a thread.
    """

    where: str
    writer: AsyncEngine
    reader: AsyncEngine
    migrator: Callable[[], sa.Engine]
    broken: Callable[[Exception], OSError]

    async def aclose(self) -> None:
        await self.writer.dispose()
        if self.reader is not self.writer:
            await self.reader.dispose()


async def connect(url: str) -> Engines:
    """Engines for `sqlite:///file` or `postgresql://host/database`; PostgreSQL is not called yet.

    Raises `StoreUnusable` for a URL that is neither, `OSError` when the SQLite file cannot be made.
    """
    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise StoreUnusable("The store is no URL. Write sqlite:///synthmon.db or postgresql://host/name.") from error
    match address.get_backend_name():
        case "sqlite":
            return await _sqlite(address)
        case "postgresql":
            return _postgres(address)
        case name:
            raise StoreUnusable(f"A store of kind {name!r} is unknown. Write sqlite:///… or postgresql://….")


async def _sqlite(address: sa.URL) -> Engines:
    if not address.database or address.database == ":memory:":
        raise StoreUnusable("The store's URL names no file. Write sqlite:///synthmon.db, or memory: to keep nothing.")
    path = Path(address.database)
    try:
        await asyncio.to_thread(prepare, path)
    except sqlite3.Error as error:
        raise from_sqlite(error, str(path)) from error
    async_url = sa.URL.create("sqlite+aiosqlite", database=str(path))
    arguments = {"timeout": BUSY_S}
    writer = create_async_engine(async_url, pool_size=1, max_overflow=0, connect_args=arguments)
    reader = create_async_engine(
        async_url, pool_size=_READERS, max_overflow=2, connect_args=arguments, isolation_level="AUTOCOMMIT"
    )
    _let_write(writer.sync_engine)
    sa.event.listen(reader.sync_engine, "connect", _prepare_reader)

    def migrator() -> sa.Engine:
        url = sa.URL.create("sqlite", database=str(path))
        return _let_write(sa.create_engine(url, connect_args=arguments, poolclass=sa.NullPool))

    return Engines(str(path), writer, reader, migrator, partial(_translated, from_sqlite, str(path)))


def _postgres(address: sa.URL) -> Engines:
    where = f"PostgreSQL {address.host or address.query.get('host', 'localhost')}/{address.database or ''}"
    url = address.set(drivername="postgresql+psycopg")
    arguments = {"connect_timeout": CONNECT_S, "application_name": "synthmon", **address.query}
    migrator = partial(sa.create_engine, url, connect_args=arguments, poolclass=sa.NullPool)
    try:
        engine = create_async_engine(
            url,
            pool_size=_READERS + 1,
            max_overflow=2,
            pool_pre_ping=True,
            pool_timeout=CONNECT_S,
            connect_args=arguments,
        )
    except ModuleNotFoundError as error:
        raise StoreUnusable("PostgreSQL needs psycopg. Install it: pip install 'synthmon[postgres]'.") from error
    return Engines(where, engine, engine, migrator, partial(_translated, from_postgres, where))


def _let_write(engine: sa.Engine) -> sa.Engine:
    """Transactions take the lock at once: one that reads first and writes later fails when another wrote in between."""
    sa.event.listen(engine, "connect", _prepare_writer)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_writer(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    _run(connection, ON_CONNECT)


def _prepare_reader(connection: Any, _record: object) -> None:
    _run(connection, (*ON_CONNECT, "PRAGMA query_only=ON"))


def _run(connection: Any, pragmas: tuple[str, ...]) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(pragma)
    cursor.close()


def _translated(by: Callable[[Exception, str], OSError], where: str, error: Exception) -> OSError:
    """A refusal in words; SQLAlchemy's own words are left out, they would repeat the whole statement."""
    if isinstance(error, TimeoutError | PoolTimeout):
        return TimeoutError(errno.ETIMEDOUT, f"{where}: no answer in time; look at its disk and its load")
    cause = error.orig if isinstance(error, DBAPIError) else error
    return by(cause if isinstance(cause, Exception) else error, where)

"""Leases in a PostgreSQL database, shared by daemons of many machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from synthmon.identities.pools import Held, Lease, LeasesUnavailable, Pool

CONNECT_S = 5
ANSWER_S = 10.0
_LOCK = 7_310_293_744_310_299  # any number, as long as every synthmon takes the same

# Names are compared byte by byte, as in SQLite.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    pool text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    run_id text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    until double precision NOT NULL DEFAULT 0,
    free_after double precision NOT NULL DEFAULT 0,
    used bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (pool, account)
)
"""

_ADD = sa.text("""
INSERT INTO leases (pool, account) SELECT :pool, unnest(CAST(:accounts AS text[])) ON CONFLICT DO NOTHING
""")

# `FOR UPDATE` looks at the row again once it is locked, so that a row which another run took in between is not taken
# twice; a row that somebody holds locked is one that is being taken, kept or given back: not free yet, so no waiting.
# https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE
_TAKE = sa.text("""
UPDATE leases
   SET run_id = :run, fence = fence + 1, until = :until, free_after = CAST(:until AS float8) + :cooldown,
       used = used + 1
 WHERE pool = :pool
   AND account = (
        SELECT account
          FROM leases
         WHERE pool = :pool AND account = ANY(CAST(:accounts AS text[]))
           AND free_after <= :now AND (CAST(:max_use AS bigint) IS NULL OR used < :max_use)
         ORDER BY used, free_after, array_position(CAST(:accounts AS text[]), account)
         LIMIT 1
           FOR UPDATE SKIP LOCKED)
RETURNING account, fence
""")

_MINE = "pool = :pool AND account = :account AND fence = :fence AND run_id = :run"
_RENEW = sa.text(
    f"UPDATE leases SET until = :until, free_after = CAST(:until AS float8) + :cooldown"
    f" WHERE {_MINE} AND until > :now RETURNING 1"
)
_RELEASE = sa.text(
    f"UPDATE leases SET run_id = '', until = :now, free_after = CAST(:now AS float8) + :cooldown"
    f" WHERE {_MINE} RETURNING 1"
)
_HELD = sa.text(
    "SELECT account, run_id, fence, until, free_after, used FROM leases WHERE pool = :pool AND fence > 0"
    " ORDER BY account"
)


class PostgresLeases:
    """`Leases` over PostgreSQL; the table is made when the first account is leased.

    Times are the callers': the clocks of machines that share a pool may differ by less than the margin between a run's
    deadline and the end of its lease (30 s). Needs psycopg (`synthmon[postgres]`).
    """

    def __init__(self, url: str) -> None:
        address = sa.make_url(url)
        self._where = f"PostgreSQL {address.host or address.query.get('host', 'localhost')}/{address.database or ''}"
        arguments = {"connect_timeout": CONNECT_S, "application_name": "synthmon leases", **address.query}
        self._engine = create_async_engine(
            address.set(drivername="postgresql+psycopg"),
            pool_size=2,
            max_overflow=4,
            pool_pre_ping=True,
            pool_timeout=CONNECT_S,
            connect_args=arguments,
        )
        self._ready = False

    async def lease(self, pool: Pool, run_id: str, now: float, until: float) -> Lease | None:
        values: dict[str, Any] = {
            "pool": pool.name,
            "accounts": [account.name for account in pool.accounts],
            "run": run_id,
            "now": now,
            "until": until,
            "cooldown": pool.cooldown_s,
            "max_use": pool.max_use,
        }
        async with self._connected() as connection:
            await self._prepare(connection)
            async with connection.begin():
                await connection.execute(_ADD, values)  # for accounts that are new in the file
                row = (await connection.execute(_TAKE, values)).one_or_none()
        return Lease(pool, pool.account(row.account), run_id, row.fence, until) if row else None

    async def renew(self, lease: Lease, now: float, until: float) -> Lease | None:
        kept = await self._changed(_RENEW, {**_named(lease), "now": now, "until": until})
        return replace(lease, until=until) if kept else None

    async def release(self, lease: Lease, now: float) -> bool:
        return await self._changed(_RELEASE, {**_named(lease), "now": now})

    async def held(self, pool: Pool) -> tuple[Held, ...]:
        async with self._connected() as connection:
            if not await _has_table(connection):
                return ()
            rows = await connection.execute(_HELD, {"pool": pool.name})
            return tuple(Held(*row) for row in rows)

    async def aclose(self) -> None:
        await self._engine.dispose()

    async def _changed(self, statement: sa.TextClause, values: Mapping[str, object]) -> bool:
        async with self._connected() as connection, connection.begin():
            return (await connection.execute(statement, values)).one_or_none() is not None

    async def _prepare(self, connection: AsyncConnection) -> None:
        """Make the table once; who may not make tables can still use one that is there."""
        if not self._ready:
            async with connection.begin():
                if not await _has_table(connection):
                    await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                    await connection.execute(sa.text(_SCHEMA))
            self._ready = True

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """A connection; what goes wrong is told without the password of the URL."""
        try:
            async with asyncio.timeout(ANSWER_S), self._engine.connect() as connection:
                yield connection
        except TimeoutError as error:
            said = f"no answer within {ANSWER_S:g} s; look at its load"
            raise LeasesUnavailable(f"leases in {self._where}: {said}") from error
        except (SQLAlchemyError, OSError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            said = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            remedy = "Check that it runs, and that this user may write the table leases."
            raise LeasesUnavailable(f"leases in {self._where}: {said}. {remedy}") from error


async def _has_table(connection: AsyncConnection) -> bool:
    return await connection.scalar(sa.text("SELECT to_regclass('leases') IS NOT NULL")) is True


def _named(lease: Lease) -> dict[str, object]:
    return {
        "pool": lease.pool.name,
        "account": lease.account.name,
        "fence": lease.fence,
        "run": lease.run_id,
        "cooldown": lease.pool.cooldown_s,
    }

"""Leases in a SQLite file, shared by every process of one machine."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from synthmon.identities.pools import Held, Lease, LeasesUnavailable, Pool

T = TypeVar("T")

_BUSY_S = 10.0

_SCHEMA = """
create table if not exists leases (
    pool text not null,
    account text not null,
    run_id text not null default '',
    fence integer not null default 0,
    until real not null default 0,
    free_after real not null default 0,
    used integer not null default 0,
    primary key (pool, account)
) strict, without rowid
"""

_ADD = """
insert into leases (pool, account) select :pool, value from json_each(:accounts) where true on conflict do nothing
"""

# One statement finds and takes the account: there is no moment in which two runs could see it free.
_TAKE = """
update leases
   set run_id = :run, fence = fence + 1, until = :until, free_after = :until + :cooldown, used = used + 1
 where pool = :pool
   and account = (
        select free.account
          from leases as free
          join json_each(:accounts) as listed on listed.value = free.account
         where free.pool = :pool and free.free_after <= :now and (:max_use is null or free.used < :max_use)
         order by free.used, free.free_after, listed.key
         limit 1)
returning account, fence
"""

_MINE = "pool = :pool and account = :account and fence = :fence and run_id = :run"
_RENEW = f"update leases set until = :until, free_after = :until + :cooldown where {_MINE} and until > :now returning 1"
_RELEASE = f"update leases set run_id = '', until = :now, free_after = :now + :cooldown where {_MINE} returning 1"
_HELD = """
select account, run_id, fence, until, free_after, used from leases where pool = :pool and fence > 0 order by account
"""


class SqliteLeases:
    """`Leases` over a SQLite file: a connection per call, in a thread, at most 10 s for the write lock.

    WAL with `synchronous=NORMAL`: a power cut may forget the last leases, but it also ends every run that held one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready = False

    async def lease(self, pool: Pool, run_id: str, now: float, until: float) -> Lease | None:
        accounts = json.dumps([account.name for account in pool.accounts])
        values: dict[str, object] = {
            "pool": pool.name,
            "accounts": accounts,
            "run": run_id,
            "now": now,
            "until": until,
            "cooldown": pool.cooldown_s,
            "max_use": pool.max_use,
        }

        def take(connection: sqlite3.Connection) -> Lease | None:
            connection.execute(_ADD, values)  # for accounts that are new in the file
            row = connection.execute(_TAKE, values).fetchone()
            return Lease(pool, pool.account(row[0]), run_id, row[1], until) if row else None

        return await self._write(take)

    async def renew(self, lease: Lease, now: float, until: float) -> Lease | None:
        values = {**_named(lease), "now": now, "until": until}
        kept = await self._write(lambda connection: connection.execute(_RENEW, values).fetchone())
        return replace(lease, until=until) if kept else None

    async def release(self, lease: Lease, now: float) -> bool:
        values = {**_named(lease), "now": now}
        return await self._write(lambda connection: connection.execute(_RELEASE, values).fetchone()) is not None

    async def held(self, pool: Pool) -> tuple[Held, ...]:
        if not await asyncio.to_thread(self._path.exists):
            return ()  # nothing was ever leased; looking does not make a file
        rows = await self._write(lambda connection: connection.execute(_HELD, {"pool": pool.name}).fetchall())
        return tuple(Held(*row) for row in rows)

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._in_transaction, work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)) as connection:
                connection.execute("pragma synchronous = normal")
                if not self._ready:
                    _switch_to_wal(connection)
                    connection.execute(_SCHEMA)
                    self._ready = True
                connection.execute("begin immediate")
                try:
                    result = work(connection)
                except BaseException:
                    connection.execute("rollback")
                    raise
                connection.execute("commit")
                return result
        except sqlite3.Error as error:
            raise LeasesUnavailable(f"leases in {self._path}: {error}. Check that the disk is writable.") from error


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait by itself for the one who is switching the file already."""
    end_s = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
                raise
        time.sleep(0.01)


def _named(lease: Lease) -> dict[str, object]:
    return {
        "pool": lease.pool.name,
        "account": lease.account.name,
        "fence": lease.fence,
        "run": lease.run_id,
        "cooldown": lease.pool.cooldown_s,
    }

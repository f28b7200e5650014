"""The one writer of a journal in PostgreSQL: whatever waits is committed together, and its process is kept alive there.

While the database is away it waits for a while, since a server restarts in seconds, and asks again whether a commit
that got no answer had happened.
"""

from __future__ import annotations

import asyncio
import errno
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from synthmon.store import journal_schema as sql
from synthmon.store.engines import Engines, connect
from synthmon.store.journal_batch import Ask, Outrun, grant
from synthmon.store.migrate import bring_up_to_date

BATCH = 500
WAITING = 10_000
PATIENCE_S = 10.0  # how long a call waits for a database that is away
ATTEMPT_S = 10.0
FIRST_REST_S, LONGEST_REST_S = 0.05, 1.0  # between tries to reach it
BEATS = 4  # how often a lease is renewed while it lasts

# Who is frozen or cut off in the midst of a transaction holds locks that the others wait for: the server ends it.
_SESSION = (
    "SET synchronous_commit TO on",
    "SET idle_in_transaction_session_timeout TO '5s'",
    "SET lock_timeout TO '8s'",
)


@dataclass(slots=True)
class _Wish:
    """Something to be written; without it, only that our lease holds."""

    ask: Ask | None
    done: asyncio.Future[Any]
    since_s: float = field(default_factory=time.monotonic)


class JournalCommits:
    """Connects when it is first asked for something. `me` is this process; its lease lasts `lease_s`."""

    def __init__(self, url: str, me: str, lease_s: float) -> None:
        self._url, self.me, self.lease_s = url, me, lease_s
        self._wishes: deque[_Wish] = deque()
        self._bell = asyncio.Event()
        self._closed = False
        self._engines: Engines | None = None
        self._connection: AsyncConnection | None = None
        self._opening = asyncio.Lock()
        self._renewed_s = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def do(self, ask: Ask | None) -> Any:
        """The answer, durable. Raises `OSError` when nothing is certain, `StoreUnusable` when waiting will not help."""
        if self._closed:
            raise OSError(errno.EBADF, "the journal is closed")
        if len(self._wishes) >= WAITING:
            raise OSError(errno.EAGAIN, f"{WAITING} entries of the journal wait already; the database is too slow")
        if self._task is None:
            await self.engines()
            self._task = self._task or asyncio.create_task(self._serve(), name="journal writer")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._wishes.append(_Wish(ask, done))
        self._bell.set()
        return await done

    async def engines(self) -> Engines:
        """The database, its tables made. Raises `OSError`, or `StoreUnusable` when waiting will not help."""
        async with self._opening:
            if self._engines is None:
                engines = await connect(self._url)
                try:
                    await bring_up_to_date(engines)
                except (SQLAlchemyError, OSError) as error:
                    await engines.aclose()
                    raise engines.broken(error) from error
                except BaseException:
                    await engines.aclose()
                    raise
                self._engines = engines
            return self._engines

    async def aclose(self) -> None:
        """Write what waits; from then on this process is dead for the others."""
        self._closed = True
        self._bell.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self._engines is not None:
            engines, self._engines = self._engines, None
            await engines.aclose()

    async def _serve(self) -> None:
        while not self._closed or self._wishes:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._renewed_s + self.lease_s / BEATS - time.monotonic())):
                    await self._bell.wait()
            self._bell.clear()
            await self._grant([self._wishes.popleft() for _ in range(min(BATCH, len(self._wishes)))])
            if self._wishes:
                self._bell.set()
        await self._leave()

    async def _grant(self, wishes: list[_Wish]) -> None:
        again, rest_s = False, FIRST_REST_S
        while True:
            try:
                answers = await self._attempt([wish.ask for wish in wishes], again)
            except Outrun:
                continue
            except _ENTRY_AT_FAULT as error:
                await self._drop()
                await self._grant_each(wishes, error)
                return
            except (SQLAlchemyError, OSError) as error:
                await self._drop()
                again = True
                wishes = self._patient(wishes, error)
            # whatever it was: those who wait must hear of it, and the writer must go on
            except Exception as error:  # noqa: BLE001
                await self._drop()
                await self._grant_each(wishes, error)
                return
            else:
                for wish, answer in zip(wishes, answers, strict=True):
                    if not wish.done.done():
                        wish.done.set_result(answer)
                return
            await asyncio.sleep(rest_s if wishes else LONGEST_REST_S)
            rest_s = min(2 * rest_s, LONGEST_REST_S)
            if not wishes:
                return

    async def _grant_each(self, wishes: list[_Wish], error: Exception) -> None:
        """One of them cannot be written; it must not keep the others out."""
        if len(wishes) > 1:
            for wish in wishes:
                await self._grant([wish])
        else:
            _refuse(wishes, OSError(errno.EIO, f"an entry of the journal cannot be written ({type(error).__name__})"))

    def _patient(self, wishes: list[_Wish], error: Exception) -> list[_Wish]:
        """Those that may wait longer; the others hear what is wrong."""
        assert self._engines is not None  # nothing is served before
        late_s = time.monotonic() - PATIENCE_S
        _refuse([wish for wish in wishes if wish.since_s < late_s], self._engines.broken(error))
        return [wish for wish in wishes if wish.since_s >= late_s]

    async def _attempt(self, asks: Sequence[Ask | None], again: bool) -> list[Any]:
        async with asyncio.timeout(ATTEMPT_S):
            connection = await self._connected()
            begun_s = time.monotonic()
            renews = begun_s > self._renewed_s + self.lease_s / BEATS / 2
            async with connection.begin():
                if renews:
                    await connection.execute(sql.RENEW, {"me": self.me, "lease_s": self.lease_s})
                wanted = {n: ask for n, ask in enumerate(asks) if ask is not None}
                granted = dict(zip(wanted, await grant(connection, self.me, [*wanted.values()], again), strict=True))
        if renews:
            self._renewed_s = begun_s
        return [granted.get(n) for n in range(len(asks))]

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            assert self._engines is not None  # nothing is served before
            connection = await self._engines.writer.connect()
            self._connection = connection
            self._renewed_s = float("-inf")
            async with connection.begin():
                for each in _SESSION:
                    await connection.execute(sa.text(each))
        return self._connection

    async def _drop(self) -> None:
        """Forget the connection: what it had begun and not committed is no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                async with asyncio.timeout(ATTEMPT_S):
                    await connection.invalidate()
                    await connection.close()

    async def _leave(self) -> None:
        if self._connection is not None:
            with suppress(SQLAlchemyError, OSError):
                async with asyncio.timeout(ATTEMPT_S), self._connection.begin():
                    await self._connection.execute(sql.LEAVE, {"me": self.me})
        await self._drop()


_ENTRY_AT_FAULT = (DataError, IntegrityError, ProgrammingError, UnicodeError)


def _refuse(wishes: Sequence[_Wish], error: OSError) -> None:
    for wish in wishes:
        if not wish.done.done():
            wish.done.set_exception(OSError(*error.args))

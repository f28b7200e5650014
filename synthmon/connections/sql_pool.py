"""The sessions with one database: a few at once, each in a thread, given back, and closed when nobody needs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from synthmon.connections.breaking import Breakable
from synthmon.connections.sql_session import CANCEL_S, Session
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason

MOST_SESSIONS = 4
WAIT_S = 2.0  # for a session, while all are in use
IDLE_S = 30.0

T = TypeVar("T")


class SqlLink(Breakable):
    """`core.connections.Answers` over a bounded number of sessions."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._threads = ThreadPoolExecutor(2 * MOST_SESSIONS, "synthmon-sql")  # as many again to cancel and to close
        self._free = asyncio.Semaphore(MOST_SESSIONS)
        self._idle: list[tuple[float, Session]] = []
        self._busy: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._dial: Callable[[], Awaitable[Session]] | None = None

    async def connect(self, dial: Callable[[], Awaitable[Session]]) -> None:
        """Open the first session. Raises what `dial` raises."""
        self._dial = dial
        self._rest(await dial())

    async def query(self, sql: str, params: Mapping[str, Any], limit: int) -> Sequence[Mapping[str, Any]]:
        """At most `limit` rows; more are no answer. Cancelled, the query is ended at the database as well."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            said = f"all {MOST_SESSIONS} sessions with {self._name} were in use for {WAIT_S:g} s"
            raise ConnectionTrouble(Reason.SATURATED, said, sent=False) from None
        owed = True
        try:
            while True:
                session, fresh = await self._session()
                asked = asyncio.ensure_future(self.in_thread(session.query, sql, params, limit))
                try:
                    rows = await asyncio.shield(asked)
                except asyncio.CancelledError:
                    owed = False
                    self._own(self._end(session, asked))
                    raise
                except Exception as error:
                    again = isinstance(error, ConnectionTrouble) and session.broken and not fresh and not self.broken
                    self._back(session)
                    if again:
                        continue  # it was idle, and was cut meanwhile; reading twice does no harm
                    raise
                self._back(session)
                return rows
        finally:
            if owed:
                self._free.release()

    async def in_thread(self, work: Callable[..., T], *given: Any) -> T:
        """Do what blocks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *given)

    def forsake(self, opening: asyncio.Future[Session]) -> None:
        """Nobody waits for this session any more: closed as soon as it is there."""
        self._own(self._unwanted(opening))

    async def aclose(self) -> None:
        self.break_off("it was closed")
        if self._timer is not None:
            self._timer.cancel()
        idle, self._idle = self._idle, []
        for _, session in idle:
            self._own(self._closed(session))
        for session in self._busy:
            self._own(self._cancelled(session))
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _session(self) -> tuple[Session, bool]:
        """One for this query alone, and whether it is new."""
        if self.broken:
            raise ConnectionTrouble(Reason.RESET, f"the connection to {self._name} was lost", sent=False)
        while self._idle:
            _, session = self._idle.pop()
            if not session.broken:
                self._busy.add(session)
                return session, False
            self._own(self._closed(session))
        assert self._dial is not None  # `connect` was called
        try:
            session = await self._dial()
        except ConnectionTrouble as error:
            if not self._busy:
                self.break_off(error.detail)  # opened anew by whoever holds it, with pauses
            raise
        self._busy.add(session)
        return session, True

    def _back(self, session: Session) -> None:
        self._busy.discard(session)
        if session.broken or self.broken:
            self._own(self._closed(session))
        else:
            self._rest(session)

    def _rest(self, session: Session) -> None:
        self._idle.append((time.monotonic(), session))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._tidy)

    def _tidy(self) -> None:
        """Close what nobody used for a while."""
        self._timer, now_s = None, time.monotonic()
        for since_s, session in [each for each in self._idle if now_s - each[0] >= IDLE_S]:
            self._idle.remove((since_s, session))
            self._own(self._closed(session))
        if self._idle:
            self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._tidy)

    async def _end(self, session: Session, asked: asyncio.Future[Any]) -> None:
        """Nobody waits for this query any more: the database is told so, and then the session is closed."""
        try:
            await self._cancelled(session)
            await asyncio.wait((asked,), timeout=CANCEL_S)
            if not asked.done():
                session.sever()
                await asyncio.wait((asked,), timeout=CANCEL_S)
            if asked.done() and not asked.cancelled():
                asked.exception()  # it was looked at: nobody else will
            self._busy.discard(session)
            await self._closed(session)
        finally:
            self._free.release()

    async def _unwanted(self, opening: asyncio.Future[Session]) -> None:
        with suppress(ConnectionTrouble):
            await self._closed(await opening)

    async def _cancelled(self, session: Session) -> None:
        with suppress(Exception):  # a database that cannot be told is cut off next
            async with asyncio.timeout(2 * CANCEL_S):
                await self.in_thread(session.cancel)

    async def _closed(self, session: Session) -> None:
        await self.in_thread(session.close)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

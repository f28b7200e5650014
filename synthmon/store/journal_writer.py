"""The one thread that writes the journal: everything that waits becomes one transaction, synced before anyone hears."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from synthmon.store.ballast import Ballast
from synthmon.store.failures import StoreUnusable, from_sqlite
from synthmon.store.journal_tables import make_tables
from synthmon.store.sqlite_file import open_for_writing, prepare

WAITING = 10_000
BATCH = 500
LINGER_S = 0.05
COMPANY = 50  # that many need not wait for more
_LOOK_FOR_SPACE_S = 1.0

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Wish:
    """Something to do inside a transaction. `adds`: it makes new obligations, for which a full disk has no room."""

    work: Callable[[sqlite3.Connection], Any]
    adds: bool
    done: asyncio.Future[Any]
    urgent: bool
    outcome: Any = None  # an answer, or the exception to raise


class JournalWriter:
    """Owns the file and its thread. `aclose` writes what waits, then ends the thread."""

    def __init__(self, path: Path, ballast: Ballast) -> None:
        self._path = path
        self._ballast = ballast
        self._wishes: deque[_Wish] = deque()
        self._bell = threading.Condition(threading.Lock())
        self._closed = False
        self._urgent = 0
        self._committed_at_s = float("-inf")
        self._connection: sqlite3.Connection | None = None
        self._short_of_space = False
        self._looked_at_s = float("-inf")
        # A daemon thread: nothing it has not acknowledged counts, so a dying process need not wait for it.
        self._thread = threading.Thread(target=self._serve, name="journal", daemon=True)
        self._thread.start()

    async def do(self, work: Callable[[sqlite3.Connection], Answer], adds: bool = False, urgent: bool = True) -> Answer:
        """The answer of `work`, durable. Raises `OSError` when it is not written, `StoreUnusable` when it cannot be.

        What is not urgent waits for company if there was a commit less than `LINGER_S` ago: each commit is a sync to
        the disk, and under load most of the work.
        """
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        with self._bell:
            if self._closed:
                raise OSError(errno.EBADF, f"{self._path}: the journal is closed")
            if len(self._wishes) >= WAITING:
                raise OSError(errno.EAGAIN, f"{self._path}: {WAITING} entries wait already; the disk is too slow")
            self._wishes.append(_Wish(work, adds, done, urgent))
            self._urgent += urgent
            if urgent or len(self._wishes) == 1 or len(self._wishes) >= COMPANY:
                self._bell.notify()
        return await done

    async def aclose(self) -> None:
        with self._bell:
            self._closed = True
            self._bell.notify()
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while wishes := self._gathered():
            self._serve_batch(wishes)
            _tell(wishes)
        self._forget_connection()

    def _serve_batch(self, wishes: list[_Wish]) -> None:
        try:
            self._write(wishes)
        # whatever it was: those who wait must hear of it, and the thread must go on
        except Exception as error:  # noqa: BLE001
            self._forget_connection()
            if len(wishes) > 1 and _one_is_at_fault(error):
                for wish in wishes:
                    self._serve_batch([wish])
            else:
                _fail(wishes, self._in_words(error))

    def _gathered(self) -> list[_Wish]:
        """Everything that waits, up to a full batch; nothing when the journal is closed."""
        with self._bell:
            while not self._wishes and not self._closed:
                self._bell.wait()
            until_s = self._committed_at_s + LINGER_S
            while not (self._urgent or self._closed or len(self._wishes) >= COMPANY):
                if (left_s := until_s - time.monotonic()) <= 0:
                    break
                self._bell.wait(left_s)
            batch = [self._wishes.popleft() for _ in range(min(BATCH, len(self._wishes)))]
            if not self._wishes:
                self._urgent = 0
            return batch

    def _write(self, wishes: list[_Wish]) -> None:
        self._look_for_space()
        if self._short_of_space:
            wishes = self._without_new_obligations(wishes)
        try:
            self._commit(wishes)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            self._forget_connection()
            if not self._ballast.drop():
                raise
            self._short_of_space = True
            self._looked_at_s = time.monotonic()
            self._commit(self._without_new_obligations(wishes))

    def _commit(self, wishes: list[_Wish]) -> None:
        if not wishes:
            return
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        outcomes = [wish.work(connection) for wish in wishes]
        connection.execute("COMMIT")
        self._committed_at_s = time.monotonic()
        for wish, outcome in zip(wishes, outcomes, strict=True):
            wish.outcome = outcome

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            prepare(self._path)
            self._connection = open_for_writing(self._path)
            make_tables(self._connection, str(self._path))
        return self._connection

    def _forget_connection(self) -> None:
        """Close it, which rolls back; the next batch opens the file anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _look_for_space(self) -> None:
        """Make the ballast when it is missing, at most once a second: that it fits proves that there is space."""
        if time.monotonic() >= self._looked_at_s + _LOOK_FOR_SPACE_S:
            self._looked_at_s = time.monotonic()
            if self._ballast.load():
                self._short_of_space = False

    def _without_new_obligations(self, wishes: list[_Wish]) -> list[_Wish]:
        words = f"{self._path}: the disk is full; only clean-up is written until there is space again"
        _fail([wish for wish in wishes if wish.adds], OSError(errno.ENOSPC, words))
        return [wish for wish in wishes if not wish.adds]

    def _in_words(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            return from_sqlite(error, str(self._path))
        if isinstance(error, StoreUnusable):
            return error
        if isinstance(error, OSError):
            return OSError(error.errno or errno.EIO, f"{self._path}: {error.strerror or error}")
        return OSError(errno.EIO, f"{self._path}: an entry cannot be written ({type(error).__name__}: {error})")


def _one_is_at_fault(error: Exception) -> bool:
    """Whether a single entry, and not the file or the disk, may be what failed."""
    if isinstance(error, sqlite3.DataError | sqlite3.ProgrammingError | sqlite3.IntegrityError):
        return True
    return not isinstance(error, sqlite3.Error | OSError | StoreUnusable)


def _fail(wishes: list[_Wish], error: Exception) -> None:
    for wish in wishes:
        if not isinstance(wish.outcome, Exception):
            wish.outcome = error


def _tell(wishes: list[_Wish]) -> None:
    try:
        wishes[0].done.get_loop().call_soon_threadsafe(_answer, wishes)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more


def _answer(wishes: list[_Wish]) -> None:
    for wish in wishes:
        if wish.done.done():
            continue
        if isinstance(wish.outcome, Exception):
            wish.done.set_exception(type(wish.outcome)(*wish.outcome.args))
        else:
            wish.done.set_result(wish.outcome)

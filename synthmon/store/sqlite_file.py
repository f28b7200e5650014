"""A SQLite file that keeps what it acknowledged through a power cut."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

# WAL with synchronous=FULL syncs the log at every commit; with NORMAL a power cut takes acknowledged rows along
# (sqlite.org/pragma.html#pragma_synchronous). WAL itself is a property of the file, set once by `prepare`.
ON_CONNECT = ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
BUSY_S = 5.0


def prepare(path: Path) -> None:
    """Create the file, readable by its owner only, and switch it to WAL. Blocks: call it in a thread.

    Raises `sqlite3.Error`, or `OSError` when the file cannot be made.
    """
    # Never opened if it is there: closing it would take away every lock that SQLite holds on it in this process, and
    # the next process to come and go would delete the log under us (sqlite.org/howtocorrupt.html, section 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    end_s = time.monotonic() + BUSY_S
    with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
        while not _in_wal(connection):
            # Somebody else is switching it; SQLite does not wait by itself for this one lock.
            if time.monotonic() > end_s:
                raise sqlite3.OperationalError("database is locked while it is switched to WAL")
            time.sleep(0.01)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection of a prepared file for one thread that begins and commits itself. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=True)
    try:
        for pragma in ON_CONNECT:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _in_wal(connection: sqlite3.Connection) -> bool:
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return True
    try:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only takes before the first table
        return bool(connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False

"""What a database's refusal means: an `OSError` in words for a person, with the errno of its cause."""

from __future__ import annotations

import errno
import sqlite3


class StoreUnusable(Exception):
    """The store cannot be used as it is, and waiting will not help: says the fault and the remedy."""


_SQLITE = {
    sqlite3.SQLITE_FULL: (errno.ENOSPC, "the disk is full; free some space"),
    sqlite3.SQLITE_READONLY: (errno.EROFS, "it is read-only; make the file, its folder and its disk writable"),
    sqlite3.SQLITE_BUSY: (errno.EAGAIN, "another process holds it locked; end whatever keeps it open for long"),
    sqlite3.SQLITE_LOCKED: (errno.EAGAIN, "it is locked; end whatever keeps it open for long"),
    sqlite3.SQLITE_CANTOPEN: (errno.ENOENT, "it cannot be opened; make sure that its folder exists and is writable"),
    sqlite3.SQLITE_PERM: (errno.EACCES, "access is denied; give this user the right to write it"),
    sqlite3.SQLITE_CORRUPT: (errno.EIO, "the file is damaged; put it aside and restore a copy"),
    sqlite3.SQLITE_NOTADB: (errno.EIO, "the file is not a SQLite database; name another file"),
    sqlite3.SQLITE_IOERR: (errno.EIO, "the disk failed; look at the kernel log"),
}


def from_sqlite(error: Exception, where: str) -> OSError:
    """The refusal of SQLite (result codes: sqlite.org/rescode.html) for the file `where`."""
    code = getattr(error, "sqlite_errorcode", None)
    known = _SQLITE.get(code & 0xFF) if isinstance(code, int) else None
    number, words = known or (errno.EIO, "it refused")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return OSError(number, f"{where}: {words} ({name}: {error})")


_POSTGRES = {
    "53100": (errno.ENOSPC, "its disk is full; free some space on the server"),
    "53200": (errno.ENOMEM, "it is out of memory"),
    "53300": (errno.EAGAIN, "it has too many connections; raise max_connections or close some"),
    "25006": (errno.EROFS, "it is read-only (a standby?); name the primary"),
    "57P01": (errno.ECONNRESET, "it is shutting down"),
    "57P02": (errno.ECONNRESET, "it crashed and restarts"),
    "57P03": (errno.ECONNREFUSED, "it is starting or stopping"),
    "57014": (errno.ETIMEDOUT, "it cancelled the statement"),
    "42501": (errno.EACCES, "this user may not write there; grant it the tables"),
}


def from_postgres(error: Exception, where: str) -> OSError:
    """The refusal of PostgreSQL (SQLSTATE: appendix A of its manual), or of the way to it."""
    state = getattr(error, "sqlstate", None)
    number, words = _POSTGRES.get(state or "", (errno.EIO, f"it refused ({state})"))
    if state is None:
        number, words = errno.ECONNREFUSED, "it cannot be reached, or the connection broke; start it or correct the URL"
    first = str(error).strip().splitlines()[:1]
    return OSError(number, f"{where}: {words} ({first[0] if first else type(error).__name__})")

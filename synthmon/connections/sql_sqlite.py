"""A session with a file of SQLite: opened for reading, guarded by SQLite's own authorizer, interrupted in time."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synthmon.connections.sql_session import LONGEST_S, Access, Session, Target
from synthmon.connections.sql_values import MOST_BYTES, gathered
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason

BUSY_S = 1.0  # how long to wait for a writer that holds the whole file
_STEPS = 20_000  # of SQLite's machine between two looks at the time: about a millisecond
_READS = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE))
_TOLD = frozenset("table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list".split())
_TROUBLES = frozenset(
    (
        *(
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_IOERR,
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_FULL,
        ),
        *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL),
    )
)


class SqliteSession:
    """See `Session`."""

    def __init__(self, path: str) -> None:
        self._ends_s = 0.0
        self._denied = self.broken = False
        self._path = path
        self._db = sqlite3.connect(
            f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA query_only=ON")
        self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_BYTES)
        self._db.set_authorizer(self._judge)
        self._db.set_progress_handler(self._over, _STEPS)

    def query(self, sql: str, params: Mapping[str, Any], limit: int) -> list[Mapping[str, Any]]:
        self._ends_s, self._denied = time.monotonic() + LONGEST_S, False
        cursor = self._db.cursor()
        try:
            cursor.execute(sql, {name: _bound(value) for name, value in params.items()})
            if cursor.description is None:
                raise ConnectionTrouble(Reason.EXPRESSION, "the statement gives no rows")
            return gathered([column[0] for column in cursor.description], cursor, limit)
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError) as error:
            raise self._trouble(error) from error
        finally:
            cursor.close()

    def cancel(self) -> None:
        self._db.interrupt()

    def sever(self) -> None:
        self._ends_s = 0.0

    def close(self) -> None:
        self._db.close()

    def _over(self) -> int:
        return int(time.monotonic() > self._ends_s)

    def _judge(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        allowed = _allows(action, first, second)
        self._denied = self._denied or not allowed
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    def _trouble(self, error: Exception) -> ConnectionTrouble:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            return ConnectionTrouble(Reason.TIMEOUT, f"{self._path}: the query was ended after {LONGEST_S} s")
        if code in _TROUBLES:
            self.broken = True
            return ConnectionTrouble(Reason.NO_ANSWER, f"{self._path}: {error}")
        more = " (it may only be read)" if self._denied or code == sqlite3.SQLITE_READONLY else ""
        return ConnectionTrouble(Reason.EXPRESSION, f"SQLite refuses the query: {error}{more}")


def dial_sqlite(target: Target, access: Access) -> Session:
    """Open the file. Raises `ConnectionTrouble`."""
    try:
        return SqliteSession(str(Path(target.path).absolute()))
    except sqlite3.Error as error:
        raise ConnectionTrouble(Reason.NO_ANSWER, f"{target.path}: {error}", sent=False) from error


def _allows(action: int, first: str | None, second: str | None) -> bool:
    """Nothing but reading: no ATTACH, no PRAGMA that sets, no extension, no transaction of its own."""
    if action == sqlite3.SQLITE_FUNCTION:
        return second not in ("load_extension", "fts3_tokenizer")
    if action == sqlite3.SQLITE_PRAGMA:
        return first in _TOLD or (first == "data_version" and second is None)
    if action == sqlite3.SQLITE_UPDATE:
        return first == "sqlite_master"  # how `json_each` is declared; the file cannot be written to in any case
    return action in _READS


def _bound(value: Any) -> Any:
    """Lists and maps as JSON, for `json_each`; SQLite has no other form of them."""
    return json.dumps(value) if isinstance(value, list | dict) else value

"""A session with MySQL or MariaDB: every query prepared by the server, in a transaction that may only read."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from synthmon.connections.sql_names import Dialect, rewritten
from synthmon.connections.sql_session import CANCEL_S, CONNECT_S, LONGEST_S, Access, Session, Target, cut
from synthmon.connections.sql_values import gathered, stamped
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import SSCursor

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html, https://mariadb.com/kb/en/mariadb-error-codes/
_LATE = frozenset((1317, 1969, 3024))
_CLOSED_OFF = frozenset((0, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031))
_NOT_LET_IN = frozenset((1044, 1045, 1049, 1130, 1251, 1524, 1698, 1820, 2049, 2061, 3118, 3159, 4151))
_IN_NEED = frozenset((1021, 1037, 1038, 1040, 1041, 1135, 1180, 1203, 1205, 1206, 1213, 1226, 1290, 2000, 2008, 2027))


class MysqlSession:
    """See `Session`. Values are bound as variables, spelled in hexadecimal: none is ever a part of the SQL."""

    def __init__(self, connection: Connection[SSCursor], handle: socket.socket, target: Target, access: Access) -> None:
        self._connection, self._handle = connection, handle
        self._wire: socket.socket = connection._sock  # that of TLS, where there is TLS
        self._target, self._access = target, access
        self._where = f"{target.host}:{target.port}"
        self.broken = False

    def prepare(self) -> None:
        """Read only from now on, also where a procedure ends our transaction; times in UTC, and not for ever."""
        maria = "mariadb" in str(self._connection.get_server_info()).lower()
        limit = f"max_statement_time = {LONGEST_S}" if maria else f"max_execution_time = {LONGEST_S * 1000}"
        self._do("SET SESSION TRANSACTION READ ONLY")
        self._do(f"SET SESSION time_zone = '+00:00', SESSION {limit}, SESSION lock_wait_timeout = {LONGEST_S}")

    def query(self, sql: str, params: Mapping[str, Any], limit: int) -> list[Mapping[str, Any]]:
        import pymysql

        used: list[str] = []

        def marked(name: str) -> str:
            used.append(name)
            return "?"

        prepared = rewritten(sql, Dialect.MYSQL, marked)
        variables = {name: f"@synthmon_{n}" for n, name in enumerate(dict.fromkeys(used), 1)}
        try:
            set_to = [
                f"@synthmon_0 = {_text(prepared)}",
                *(f"{at} = {_literal(params[n])}" for n, at in variables.items()),
            ]
            self._do("SET " + ", ".join(set_to))
            self._do("PREPARE synthmon FROM @synthmon_0")  # one statement, or the server refuses it
            self._do("START TRANSACTION READ ONLY")
            using = f" USING {', '.join(variables[name] for name in used)}" if used else ""
            rows = self._rows(f"EXECUTE synthmon{using}", limit)
            self._do("ROLLBACK")
            return rows
        except (pymysql.Error, OSError, UnicodeEncodeError) as error:
            trouble = _trouble(error, self._where)
            self.broken = self.broken or trouble.reason is not Reason.EXPRESSION
            if not self.broken:
                self._roll_back()
            raise trouble from error
        except ConnectionTrouble:
            if not self.broken:
                self._roll_back()
            raise

    def cancel(self) -> None:
        with _connected(self._target, self._access, CANCEL_S) as (other, _):
            other.query(f"KILL QUERY {self._connection.thread_id()}")

    def sever(self) -> None:
        cut(self._handle)

    def close(self) -> None:
        if not self.broken:
            with suppress(Exception):  # it is let go of, whatever it says
                self._connection.close()
        self._connection._force_close()  # `close` raises for one that is closed
        _shut(self._wire)
        self._handle.close()

    def _do(self, sql: str) -> None:
        self._connection.query(sql)

    def _roll_back(self) -> None:
        try:
            self._do("ROLLBACK")
        except Exception:  # noqa: BLE001  whatever it is: nothing more is asked here, and the server rolls back itself
            self.broken = True

    def _rows(self, sql: str, limit: int) -> list[Mapping[str, Any]]:
        from pymysql.cursors import SSCursor

        cursor = SSCursor(self._connection)
        try:
            cursor.execute(sql)
            if cursor.description is None:
                raise ConnectionTrouble(Reason.EXPRESSION, "the statement gives no rows")
            rows = gathered([column[0] for column in cursor.description], cursor.fetchall_unbuffered(), limit)
        except BaseException:
            self._drop(cursor)
            raise
        cursor.close()
        return rows

    def _drop(self, cursor: SSCursor) -> None:
        """What else there is of an answer is on its way, and nobody wants it; the library would read all of it."""
        result, cursor._result = cursor._result, None
        if result is not None and result.unbuffered_active:
            result.unbuffered_active, result.connection, self.broken = False, None, True
            self._connection._result = None
            self._connection._force_close()


def dial_mysql(target: Target, access: Access) -> Session:
    """Log in. Raises `ConnectionTrouble`."""
    import pymysql

    try:
        with _connected(target, access, CONNECT_S, keep=True) as (connection, handle):
            session = MysqlSession(connection, handle, target, access)
            session.prepare()
        return session
    except (pymysql.Error, OSError) as error:
        trouble = _trouble(error, f"{target.host}:{target.port}")
        raise ConnectionTrouble(trouble.reason, trouble.detail, sent=False) from error


@contextmanager
def _connected(
    target: Target, access: Access, limit_s: float, keep: bool = False
) -> Iterator[tuple[Connection[SSCursor], socket.socket]]:
    """A connection to the address that may be dialled, by the host's own name for TLS; all within the limit."""
    from pymysql.connections import Connection
    from pymysql.cursors import SSCursor

    wire = socket.create_connection((access.address, target.port), limit_s)
    handle = wire.dup()
    too_late = threading.Timer(limit_s, cut, (handle,))
    too_late.daemon = True
    connection: Connection[SSCursor] | None = None
    kept = False
    try:
        too_late.start()
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(
            host=target.host,
            port=target.port,
            user=target.user,
            password=access.password.encode(),  # a text would be sent in Latin-1
            database=target.path or None,
            charset="utf8mb4",
            cursorclass=SSCursor,
            conv=_decoders(),
            autocommit=True,
            defer_connect=True,
            program_name="synthmon",
            **({"ssl": access.tls} if access.tls else _IN_CLEAR),
        )
        connection.connect(wire)
        yield connection, handle
        kept = keep
    finally:
        too_late.cancel()
        if not kept:
            if connection is not None:
                connection._force_close()  # `close` says goodbye, and nobody may listen
            handle.close()
            _shut(wire)


def _shut(wire: socket.socket) -> None:
    """Closed at once: the library leaves a reader of it to the garbage collector, which would keep it open."""
    number = wire.detach()
    if number >= 0:
        os.close(number)


class _Never:
    """In place of the plugin that sends the password as it is: a server may ask for it, and gets it by TLS only."""

    def __init__(self, connection: Connection[SSCursor]) -> None:
        self._connection = connection

    def authenticate(self, _: Any) -> Any:
        """Raises `ConnectionTrouble`."""
        said = "the server wants the password in clear, and there is no TLS; set `secure: true`"
        raise ConnectionTrouble(Reason.CONNECTION, said, sent=False)


_IN_CLEAR: Mapping[str, Any] = {"ssl_disabled": True, "auth_plugin_map": {b"mysql_clear_password": _Never}}


def _trouble(error: Exception, where: str) -> ConnectionTrouble:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else -1
    words = str(error.args[1]) if len(error.args) > 1 and not isinstance(error, OSError) else str(error)
    cause = getattr(error, "original_exception", None) or error
    match cause:
        case ssl.SSLError():
            return ConnectionTrouble(Reason.TLS, f"{where}: TLS failed: {cause}")
        case TimeoutError():
            return ConnectionTrouble(Reason.TIMEOUT, f"{where} did not answer in time: {words}")
        case ConnectionRefusedError():
            return ConnectionTrouble(Reason.REFUSED, f"{where}: {words}")
        case OSError():
            return ConnectionTrouble(Reason.RESET, f"{where}: {words}")
        case UnicodeEncodeError():
            return ConnectionTrouble(Reason.EXPRESSION, f"a value cannot be written for MySQL: {error}")
    if number in _LATE:
        said = f"{where}: the query was ended after {LONGEST_S} s, or by somebody there: {words}"
        return ConnectionTrouble(Reason.TIMEOUT, said)
    if number in _CLOSED_OFF:
        return ConnectionTrouble(Reason.RESET, f"{where} broke the connection off: {words or 'it is closed'}")
    if number in _NOT_LET_IN:
        return ConnectionTrouble(Reason.CONNECTION, f"{where}: {words}")
    if number in _IN_NEED or 2000 <= number < 3000:
        return ConnectionTrouble(Reason.NO_ANSWER, f"{where}: {words} ({number})")
    return ConnectionTrouble(Reason.EXPRESSION, f"MySQL refuses the query: {words} ({number})")


def _literal(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case float():
            return f"{value:.17e}"
        case list() | dict():
            return _text(json.dumps(value))
    return _text(str(value))


def _text(text: str) -> str:
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)"


def _decoders() -> dict[Any, Any]:
    """By the type of a column; texts and bytes that are not named here stay what they are."""
    from pymysql.constants import FIELD_TYPE as T

    whole = (T.TINY, T.SHORT, T.LONG, T.LONGLONG, T.INT24, T.YEAR)
    return {
        **dict.fromkeys(whole, int),
        **dict.fromkeys((T.FLOAT, T.DOUBLE), float),
        **dict.fromkeys((T.DECIMAL, T.NEWDECIMAL), Decimal),
        **dict.fromkeys((T.DATETIME, T.TIMESTAMP), stamped),
        T.BIT: lambda content: int.from_bytes(content, "big"),
        T.JSON: _json,
    }


def _json(text: str) -> Any:
    try:
        return parse_json(text.encode())
    except InvalidJson:
        return text

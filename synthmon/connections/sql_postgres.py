"""A session with PostgreSQL: every query in a transaction of its own that may only read, and that is rolled back."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from collections.abc import Generator, Mapping
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, cast

from synthmon.connections.sql_names import Dialect, names_in, rewritten
from synthmon.connections.sql_session import CANCEL_S, CONNECT_S, LONGEST_S, Access, Session, Target, cut
from synthmon.connections.sql_values import gathered, stamped
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from psycopg import Connection, Error

_BEGIN = (
    "BEGIN READ ONLY"
    f"; SET LOCAL statement_timeout = {LONGEST_S * 1000}"
    f"; SET LOCAL idle_in_transaction_session_timeout = {LONGEST_S * 1000}"
    "; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'"
    "; SET LOCAL bytea_output = 'hex'"
)
_NOWHERE = "/dev/null/none"  # a file that cannot be: libpq would look into the home directory
_TEXTS = ("uuid", "date", "time", "timetz", "interval", "inet", "cidr")


class PostgresSession:
    """See `Session`."""

    def __init__(self, connection: Connection[Any], where: str) -> None:
        self._connection, self._where = connection, where
        self._handle = socket.socket(fileno=os.dup(connection.pgconn.socket))
        self._lost = False
        _register(connection)

    @property
    def broken(self) -> bool:
        return self._lost or self._connection.closed

    def query(self, sql: str, params: Mapping[str, Any], limit: int) -> list[Mapping[str, Any]]:
        import psycopg

        names = names_in(sql, Dialect.POSTGRES)
        numbered = rewritten(sql, Dialect.POSTGRES, lambda name: f"${names.index(name) + 1}")
        values = [_bound(params[name]) for name in names]
        try:
            self._connection.execute(_BEGIN.encode())
            try:
                # streamed: not all of a large answer in memory, and always as a statement that is one (extended query)
                cursor = psycopg.RawCursor(self._connection)
                stream = cast("Generator[Any, None, None]", cursor.stream(numbered.encode(), values))
                with cursor, closing(stream) as rows:
                    first = list(islice(rows, 1))  # the columns are known with it
                    columns = [column.name for column in cursor.description or ()]
                    return gathered(columns, chain(first, rows), limit)
            finally:
                if not self._connection.closed:
                    self._connection.execute(b"ROLLBACK")
        except psycopg.Error as error:
            raise self._trouble(error) from error
        except UnicodeEncodeError as error:
            raise ConnectionTrouble(Reason.EXPRESSION, f"a value cannot be written for PostgreSQL: {error}") from error

    def cancel(self) -> None:
        self._connection.cancel_safe(timeout=CANCEL_S)

    def sever(self) -> None:
        cut(self._handle)

    def close(self) -> None:
        self._connection.close()
        self._handle.close()

    def _trouble(self, error: Error) -> ConnectionTrouble:
        state = error.sqlstate or ""
        words = error.diag.message_primary or str(error)
        if self._connection.closed or state.startswith(("08", "57P")):
            self._lost = True
            return ConnectionTrouble(Reason.RESET, f"{self._where} broke the connection off: {words}")
        if state == "57014":
            said = f"{self._where}: the query was ended after {LONGEST_S} s, or by somebody there: {words}"
            return ConnectionTrouble(Reason.TIMEOUT, said)
        if state.startswith(("40", "53", "55", "58", "XX")):
            return ConnectionTrouble(Reason.NO_ANSWER, f"{self._where}: {words} ({state})")
        hint = f"; {error.diag.message_hint}" if error.diag.message_hint else ""
        return ConnectionTrouble(
            Reason.EXPRESSION, f"PostgreSQL refuses the query: {words}{hint} ({state or 'client'})"
        )


def dial_postgres(target: Target, access: Access) -> Session:
    """Log in. Raises `ConnectionTrouble`."""
    import psycopg

    where = f"{target.host}:{target.port}"
    with _Roots(access.tls) as roots:
        secured = {"sslmode": "disable"}
        if access.tls is not None:
            secured = {"sslmode": "verify-full", "sslrootcert": roots}
            if target.cert:
                secured |= {"sslcert": target.cert, "sslkey": target.key or target.cert}
        try:
            connection = psycopg.connect(
                "",
                **_bare(access.tls is not None)
                | {
                    "host": target.host,
                    "hostaddr": access.address,
                    "port": str(target.port),
                    "user": target.user,
                    "password": access.password,
                    "dbname": target.path or target.user,
                    "connect_timeout": str(CONNECT_S),
                    "client_encoding": "utf8",
                    "application_name": "synthmon",
                }
                | secured,
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            raise _not_opened(str(error), where) from error
    try:
        return PostgresSession(connection, where)
    except BaseException:
        connection.close()
        raise


class _Roots:
    """The certificates that a context trusts, in a file in memory: libpq takes no context."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls, self._handle = tls, -1

    def __enter__(self) -> str:
        if self._tls is None:
            return _NOWHERE
        self._handle = os.memfd_create("synthmon-roots")
        certificates = self._tls.get_ca_certs(binary_form=True)
        with os.fdopen(os.dup(self._handle), "w") as file:
            file.writelines(ssl.DER_cert_to_PEM_cert(each) for each in certificates)
        return f"/proc/self/fd/{self._handle}"

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.close(self._handle)


def _bare(secure: bool) -> dict[str, Any]:
    """Every setting of libpq that it would take from the environment or the home directory, set to what it is alone."""
    from psycopg import pq

    options = {
        option.keyword.decode(): (option.compiled or b"").decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
    for name in ("service", "servicefile"):
        options.pop(name, None)  # it fills in only what is not set, and all is set here
    files = dict.fromkeys(("passfile", "sslcert", "sslkey", "sslcrl"), _NOWHERE)
    words = {"sslcertmode": "allow", "min_protocol_version": "3.0", "max_protocol_version": "3.0"}
    words["require_auth"] = "scram-sha-256,md5,none" + (",password" if secure else "")  # none in clear but by TLS
    return options | files | {name: word for name, word in words.items() if name in options}


def _not_opened(words: str, where: str) -> ConnectionTrouble:
    """libpq tells no code for what goes wrong before a session is there: its words must do."""
    said = " ".join(words.split())
    reason = next((reason for pattern, reason in _OPENING if re.search(pattern, said, re.IGNORECASE)), Reason.NO_ANSWER)
    return ConnectionTrouble(reason, f"{where}: {said}", sent=False)


def _register(connection: Connection[Any]) -> None:
    from psycopg.adapt import Buffer, Loader
    from psycopg.types.string import TextLoader

    class Instant(Loader):
        def load(self, data: Buffer) -> str:
            return stamped(bytes(data).decode())

    class Json(Loader):
        def load(self, data: Buffer) -> Any:
            try:
                return parse_json(bytes(data))
            except InvalidJson:
                return bytes(data).decode()

    for name in _TEXTS:
        connection.adapters.register_loader(name, TextLoader)
    for name in ("timestamp", "timestamptz"):
        connection.adapters.register_loader(name, Instant)
    for name in ("json", "jsonb"):
        connection.adapters.register_loader(name, Json)


def _bound(value: Any) -> Any:
    """A list is an array, a map is JSON."""
    return json.dumps(value) if isinstance(value, dict) else value


_OPENING = (
    (r"timeout expired", Reason.TIMEOUT),
    (r"connection refused", Reason.REFUSED),
    (r"starting up|shutting down|too many (clients|connections)|connection slots|recovery", Reason.NO_ANSWER),
    (r"FATAL", Reason.CONNECTION),  # it answered, and does not let us in
    (r"password|authentication", Reason.CONNECTION),
    (r"\bSSL\b|certificate|TLS", Reason.TLS),
    (r"no route|unreachable", Reason.UNREACHABLE),
)

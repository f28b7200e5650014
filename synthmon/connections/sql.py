"""`sql` is a database that can be asked: PostgreSQL, MySQL, MariaDB, or a file of SQLite.

```yaml
connections:
  ledger: {sql: "postgresql://db.example.com:5432/shop", user: probe, password: "env:LEDGER_PASSWORD", secure: true}
  stock: {sql: "mysql://127.0.0.1:3306/stock", user: probe, password: "file:/run/secrets/stock"}
  local: {sql: "sqlite:///shop.db"}
```

Nothing can be changed over it: the database itself refuses writes (a transaction that may only read, rolled back each
time; a file opened for reading, with SQLite's authorizer). Give it a user that may do no more all the same: some things
that a database calls reading do something (`pg_terminate_backend`, `pg_advisory_lock`, `COPY … TO` and `INTO OUTFILE`
with the rights for them, `GET_LOCK`, `FOR UPDATE` in MySQL). One statement a query; a value is bound by the database
and never a part of the text. A query is ended at the database when the step's time is over, and by the database itself
after 60 s. At most 4 at once; an answer of more than 10,000 rows or 4 MiB is none.

Values come as JSON has them: a decimal with digits after the point as text (`"12.50"`: `double(rows[0].amount)`
computes with it), one without as a number; NaN and Infinity as text; times as ISO 8601 in UTC (`2026-11-23T10:02:00Z`;
one that is kept without a zone is taken as UTC), days, hours and intervals as text; bytes as base64; UUIDs as text;
arrays and JSON as lists and maps (JSON of MariaDB, which is text to it, as text). A list is bound as an array by
PostgreSQL (`= ANY(:ids)`), as JSON by the others; a map as JSON.

`secure: true` asks for TLS, with the certificate of that very host; `tls: {ca: …}` asks for it too. PostgreSQL needs
the extra `postgres`, MySQL and MariaDB `mysql`; a file of SQLite needs none, and its path is relative to where synthmon
runs (`sqlite:////` and a path is absolute). Settings of a client in the environment or the home directory (`PGHOST`,
`.pgpass`, `my.cnf`) are not looked at.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from synthmon.connections.opening import opened
from synthmon.connections.sql_mysql import dial_mysql
from synthmon.connections.sql_names import Dialect, names_in
from synthmon.connections.sql_pool import SqlLink
from synthmon.connections.sql_postgres import dial_postgres
from synthmon.connections.sql_session import Access, Dial, Session, Target
from synthmon.connections.sql_sqlite import dial_sqlite
from synthmon.core.connections import ConnectionTrouble, Outlet

DIALECTS = MappingProxyType(
    {
        "postgresql": Dialect.POSTGRES,
        "postgres": Dialect.POSTGRES,
        "mysql": Dialect.MYSQL,
        "mariadb": Dialect.MYSQL,
        "sqlite": Dialect.SQLITE,
    }
)
PORTS = MappingProxyType({Dialect.POSTGRES: 5432, Dialect.MYSQL: 3306})
DIALS: Mapping[Dialect, Dial] = MappingProxyType(
    {Dialect.POSTGRES: dial_postgres, Dialect.MYSQL: dial_mysql, Dialect.SQLITE: dial_sqlite}
)
LIBRARIES = MappingProxyType({Dialect.POSTGRES: ("psycopg", "postgres"), Dialect.MYSQL: ("pymysql", "mysql")})


class SqlKeys(BaseModel):
    """The keys of an `sql` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sql: str = Field(
        description="Its address: `postgresql://host:5432/database`, `mysql://host:3306/database`, `sqlite:///file`."
    )
    user: str = Field("", description="The user to log in as; one that may only read.")
    password: str | None = Field(None, description="Its password, by reference: `env:LEDGER_PASSWORD`.")
    secure: StrictBool = Field(False, description="Whether it must be reached by TLS, its certificate checked.")


_MANUAL = __doc__


class SqlConnection:
    """The kind of connection that `sql:` chooses (`core.connections.ConnectionKind`, `Asks`)."""

    word: str = "sql"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = SqlKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({})
    hears_at: Mapping[str, bool] = MappingProxyType({})

    def hosts(self, keys: SqlKeys) -> Sequence[str]:
        """The host of its address; a file has none."""
        target = _target(keys)
        library, extra = LIBRARIES.get(target.dialect, ("", ""))
        if library and importlib.util.find_spec(library) is None:
            said = f"the library for {target.dialect} is not installed: pip install 'synthmon[{extra}]'"
            raise ValueError(said)
        return (target.host,) if target.host else ()

    def parameters(self, keys: SqlKeys, sql: str) -> Sequence[str]:
        """The `:names` in a query."""
        return names_in(sql, _target(keys).dialect)

    async def open(self, keys: SqlKeys, outlet: Outlet) -> SqlLink:
        """Log in once, so that what is wrong is known."""
        target = _target(keys)
        link = SqlLink(target.host or target.path)

        async def dial() -> Session:
            return await _dialled(target, outlet, link)

        return await opened(link, link.connect(dial))


CONNECTION = SqlConnection()


def _target(keys: SqlKeys) -> Target:
    """Raises `ValueError` with words for a person, none of them a secret."""
    try:
        parts = urlsplit(keys.sql)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the address cannot be read: {error}") from error
    dialect = DIALECTS.get(parts.scheme)
    if dialect is None:
        raise ValueError("the address does not begin with postgresql://, mysql:// or sqlite:///")
    if parts.password is not None:
        raise ValueError("the address holds a password; write `password: env:NAME`")
    if parts.query or parts.fragment:
        raise ValueError("the address has options behind `?` or `#`; `secure: true` asks for TLS, there are no others")
    path = unquote(parts.path.removeprefix("/"))
    if dialect is Dialect.SQLITE:
        if parts.netloc or not path or path.startswith(":"):
            raise ValueError("a file of SQLite is written sqlite:///file, or sqlite:////absolute/file")
        return Target(dialect, path=path)
    if not parts.hostname:
        raise ValueError(f"the address has no host; write {parts.scheme}://host/database")
    if parts.username and keys.user:
        raise ValueError("the address holds a user, and `user:` another; keep one of them")
    user = keys.user or unquote(parts.username or "")
    if not user:
        raise ValueError("nothing says who logs in; add `user:`")
    tls = getattr(keys, "tls", None)  # a key that all connections have
    ca, cert, key = (str(getattr(tls, name, "")) for name in ("ca", "cert", "key"))
    if dialect is Dialect.POSTGRES and f"{cert}{key}".startswith("env:"):
        raise ValueError("PostgreSQL's library reads a client's certificate and key from files only; name files")
    return Target(
        dialect,
        host=parts.hostname,
        port=port or PORTS[dialect],
        path=path,
        user=user,
        secure=keys.secure or bool(ca or cert),
        cert=cert.removeprefix("file:"),
        key=key.removeprefix("file:"),
    )


async def _dialled(target: Target, outlet: Outlet, link: SqlLink) -> Session:
    """A session with the first address that answers; each is looked up and judged anew every time."""
    if not target.host:
        return await _opened(link, target, Access())
    password = outlet.secret("password")
    tls = outlet.tls() if target.secure else None
    failed: ConnectionTrouble | None = None
    for address in await outlet.pinned(target.host, target.port):
        try:
            return await _opened(link, target, Access(address, password, tls))
        except ConnectionTrouble as error:
            failed = failed or error
    assert failed is not None  # a host without addresses is refused above
    raise failed


async def _opened(link: SqlLink, target: Target, access: Access) -> Session:
    opening = asyncio.ensure_future(link.in_thread(DIALS[target.dialect], target, access))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        link.forsake(opening)  # it comes to its end within seconds
        raise

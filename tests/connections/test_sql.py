"""`sql` against real servers: PostgreSQL, MariaDB, and a file of SQLite."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
import pytest
import trustme

from synthmon.connections.sql_names import Dialect, names_in, rewritten
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from tests.connections.running import faults, run_probe
from tests.servers.mariadb import Mariadb, mariadb
from tests.servers.postgres import Postgres, postgres
from tests.servers.process import until

HOSTILE = [
    "x'; DROP TABLE orders; --",
    'x"; DROP TABLE orders; --',
    "x\\'; DROP TABLE orders; -- ",
    "' OR '1'='1",
    "\\",
    "%s %(x)s %% ? $1 :name @name {x}",
    "/* */ -- # \n\t\r",
    "ünïcødé 🦆 ﷽",
    "",
]


class Database:
    """A database past synthmon: `connection` is its entry in the settings, `do` asks as one who may do all."""

    connection: str
    slow: str  # takes `:s` seconds, or for ever

    def do(self, sql: str) -> Sequence[Sequence[Any]]:
        raise NotImplementedError

    def asked_now(self) -> int:
        """How many queries run that are not ours."""
        raise NotImplementedError


class OfPostgres(Database):
    slow = "select 'slow', pg_sleep(:s)"

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.name = f"test_{uuid4().hex}"
        self._url = server.new_database(self.name)
        self.connection = f'sql: "postgresql://postgres@127.0.0.1:{server.port}/{self.name}"'

    def do(self, sql: str) -> Sequence[Sequence[Any]]:
        with psycopg.connect(self._url, autocommit=True) as connection:
            done = connection.execute(sql.encode())
            return done.fetchall() if done.description else ()

    def asked_now(self) -> int:
        return len(
            self.do(
                "select 1 from pg_stat_activity where query like '%slow%' and state = 'active' "
                "and pid <> pg_backend_pid()"
            )
        )


class OfMariadb(Database):
    slow = "select 'slow', count(*) from seq_1_to_1000000000000 where seq > :s"  # `sleep` ends when a client hangs up

    def __init__(self, server: Mariadb) -> None:
        self.server = server
        self.name = f"test_{uuid4().hex}"
        server.do(f"CREATE DATABASE {self.name}")
        self.connection = f'sql: "mysql://root@127.0.0.1:{server.port}/{self.name}"'

    def do(self, sql: str) -> Sequence[Sequence[Any]]:
        return self.server.do(sql, self.name)

    def asked_now(self) -> int:
        wanted = "info like '%slow%' or info like '%EXECUTE%'"
        found = self.do(f"select 1 from information_schema.processlist where ({wanted}) and id <> connection_id()")
        return len(found)


class OfSqlite(Database):
    slow = "with recursive n(x) as (select :s union all select x + 1 from n) select 'slow', count(*) from n"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shop #1?.db"
        self.connection = f'sql: "sqlite:///{str(self.file).replace("#", "%23").replace("?", "%3F")}"'
        self.do("PRAGMA journal_mode = WAL")

    def do(self, sql: str) -> Sequence[Sequence[Any]]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    def asked_now(self) -> int:
        return sum(thread.name.startswith("synthmon-sql") for thread in threading.enumerate())


@pytest.fixture(scope="module")
def a_postgres() -> Iterator[Postgres]:
    try:
        running = postgres()
        server = running.__enter__()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"PostgreSQL cannot run here: {error}")
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(scope="module")
def a_mariadb() -> Iterator[Mariadb]:
    try:
        running = mariadb()
        server = running.__enter__()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


def step(sql: str, *expect: str, more: str = "", **params: Any) -> str:
    """A journey of one query; `more` are lines of the step."""
    lines = [
        *("journey: asked", "every: 1m", "deadline: 90s", "steps:", "  - id: asked", "    query: ledger"),
        f"    sql: {_cel(sql)}",
        f"    params: {_cel(params)}" if params else "",
        *(f"    {line}" for line in more.splitlines()),
        f"    expect: {_cel(list(expect) or ['count >= 0'])}",
    ]
    return "\n".join(line for line in lines if line) + "\n"


async def ask(folder: Path, database: Database, probe: str, options: str = "") -> Record:
    return await run_probe(folder, probe, f"connections:\n  ledger: {{{database.connection}{options}}}\n")


class Asked:
    """What every database must show."""

    refused: ClassVar[Mapping[str, str]]
    """What may not be done → a part of the database's own words."""

    async def test_rows_come_in_order_with_their_columns(self, database: Database, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (id int, reference varchar(200))")
        database.do("INSERT INTO orders VALUES (2, 'b'), (1, 'a'), (3, NULL)")

        probe = step(
            "select id, reference as ref from orders where id < :most order by id",
            "count == 3",
            "rows == [{'id': 1, 'ref': 'a'}, {'id': 2, 'ref': 'b'}, {'id': 3, 'ref': null}]",
            "elapsed > duration('0s')",
            most=9,
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_no_rows_are_an_answer_too(self, database: Database, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (id int)")

        empty = await ask(tmp_path, database, step("select id from orders", "count == 0", "rows == []"))
        missed = await ask(tmp_path, database, step("select id from orders", "rows[0].id == 1"))

        assert empty.outcome is Outcome.PASSED, empty.message
        assert (missed.outcome, missed.reason) == (Outcome.FAILED, Reason.EXPECTATION), missed.message

    async def test_a_row_that_appears_later_is_found_within_its_time(self, database: Database, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (id int)")

        async def book() -> None:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(database.do, "INSERT INTO orders VALUES (7)")

        booking = asyncio.create_task(book())
        probe = step("select id from orders", "count == 1", "rows[0].id == 7", more="within: 30s")
        record = await ask(tmp_path, database, probe)
        await booking

        assert record.outcome is Outcome.PASSED, record.message
        assert len(record.steps[0].attempts) > 1

    async def test_a_value_is_never_a_part_of_the_query(self, database: Database, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (reference varchar(200))")
        database.do("INSERT INTO orders VALUES ('safe')")
        params = {f"p{n}": text for n, text in enumerate(HOSTILE)}
        same = " union all ".join(
            f"select :p{n} as v, {n} as n from orders where :p{n} = :p{n}" for n in range(len(HOSTILE))
        )

        found = await ask(
            tmp_path,
            database,
            step(f"select v from ({same}) x order by n", f"rows.map(row, row.v) == {_cel(HOSTILE)}", **params),
        )
        none = await ask(
            tmp_path,
            database,
            step(
                "select 1 from orders where reference = :p0 or reference = :p3",
                "count == 0",
                **{k: params[k] for k in ("p0", "p3")},
            ),
        )

        assert found.outcome is Outcome.PASSED, found.message
        assert none.outcome is Outcome.PASSED, none.message
        assert list(database.do("SELECT reference FROM orders")) == [("safe",)]

    async def test_a_database_refuses_to_be_changed(self, database: Database, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (id int)")
        database.do("INSERT INTO orders VALUES (1)")

        for n, (sql, words) in enumerate(self.refused.items()):
            record = await ask(tmp_path / str(n), database, step(sql), options=", watches: true")
            assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION), (sql, record.message)
            assert words.lower() in record.message.lower(), (sql, record.message)

        assert list(database.do("SELECT id FROM orders")) == [(1,)]

    @pytest.mark.parametrize(
        "sql", ["select 1; select 2", "select 1; drop table orders", "select 1;; commit; drop table orders"]
    )
    async def test_one_statement_and_no_second(self, database: Database, tmp_path: Path, sql: str) -> None:
        database.do("CREATE TABLE orders (id int)")

        record = await ask(tmp_path, database, step(sql))

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION), record.message
        assert list(database.do("SELECT count(*) FROM orders")) == [(0,)]

    async def test_a_mistake_in_the_query_is_ours_and_told_in_the_databases_words(
        self, database: Database, tmp_path: Path
    ) -> None:
        record = await ask(tmp_path, database, step("select id from nowhere"), options=", watches: true")

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION), record.message
        assert "nowhere" in record.message

    @pytest.mark.parametrize(
        ("options", "outcome", "reason"),
        [("", Outcome.UNKNOWN, Reason.CONNECTION), (", watches: true", Outcome.FAILED, Reason.TIMEOUT)],
    )
    async def test_a_slow_query_ends_with_its_time_and_at_the_database_too(
        self, database: Database, tmp_path: Path, options: str, outcome: Outcome, reason: Reason
    ) -> None:
        record = await ask(tmp_path, database, step(database.slow, more="timeout: 1s", s=50), options=options)

        assert (record.outcome, record.reason) == (outcome, reason), record.message

        async def idle() -> bool | None:
            return True if await asyncio.to_thread(database.asked_now) == 0 else None

        await until(idle, "the end of the query at the database")

    async def test_an_answer_that_is_too_long_is_none(self, database: Database, tmp_path: Path) -> None:
        count = "with recursive n(x) as (select 1 union all select x + 1 from n where x < {}) select {} from n"
        most = await ask(tmp_path, database, step(count.format(900, "x"), "count == 900"))
        many = await ask(tmp_path, database, step(self.many_rows))
        wide = await ask(tmp_path, database, step(self.wide_rows))

        assert most.outcome is Outcome.PASSED, most.message
        assert (many.outcome, many.reason) == (Outcome.UNKNOWN, Reason.TOO_MANY), many.message
        assert "10000 rows" in many.message
        assert (wide.outcome, wide.reason) == (Outcome.UNKNOWN, Reason.TOO_MANY), wide.message

    async def test_two_columns_of_one_name_are_a_mistake(self, database: Database, tmp_path: Path) -> None:
        record = await ask(tmp_path, database, step("select 1 as a, 2 as a"))

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION), record.message
        assert "called a" in record.message

    async def test_many_queries_at_once_wait_for_one_another(self, database: Database, tmp_path: Path) -> None:
        one = "      - {{id: q{0}, query: ledger, sql: 'select {0} as n', expect: ['rows[0].n == {0}']}}\n"
        together = "".join(one.format(n) for n in range(12))
        probe = f"journey: asked\nevery: 1m\nsteps:\n  - together:\n{together}"

        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    many_rows: str
    wide_rows: str


class Served(Asked):
    """What every server must show."""

    async def test_a_server_that_dies_and_comes_back_is_asked_again(self, own: Any, tmp_path: Path) -> None:
        database, server = own
        database.do("CREATE TABLE orders (id int)")

        async def kill() -> None:
            await asyncio.sleep(1)
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(database.do, "INSERT INTO orders VALUES (7)")

        killing = asyncio.create_task(kill())
        record = await ask(tmp_path, database, step("select id from orders", "count == 1", more="within: 60s"))
        await killing

        assert record.outcome is Outcome.PASSED, record.message

    @pytest.mark.parametrize(
        ("options", "outcome", "reason"),
        [("", Outcome.UNKNOWN, Reason.CONNECTION), (", watches: true", Outcome.FAILED, Reason.REFUSED)],
    )
    async def test_a_server_that_is_down_is_ours_unless_it_is_itself_watched(
        self, database: Any, tmp_path: Path, options: str, outcome: Outcome, reason: Reason
    ) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            database.connection = database.connection.replace(str(database.server.port), str(port))
            record = await ask(tmp_path, database, step("select 1"), options=options)

        assert (record.outcome, record.reason) == (outcome, reason), record.message
        assert "127.0.0.1" in record.message

    async def test_a_session_that_was_cut_while_it_was_idle_is_no_trouble(self, database: Any, tmp_path: Path) -> None:
        pause = "  - pause: 2s\n"
        probe = (
            step("select 1 as n", "count == 1")
            + pause
            + "  - {id: again, query: ledger, sql: select 2 as n, expect: [count == 1]}\n"
        )

        async def cut() -> None:
            while not (cut := await asyncio.to_thread(self.cut_idle, database)):  # noqa: ASYNC110 - it is the server's
                await asyncio.sleep(0.05)
            assert cut

        cutting = asyncio.create_task(cut())
        record = await ask(tmp_path, database, probe, options=", watches: true")
        await asyncio.wait_for(cutting, 30)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_server_that_falls_silent_holds_up_nobody(self, database: Any, tmp_path: Path) -> None:
        async def begin(*_: Any) -> bool:
            return True

        began_s = time.monotonic()
        async with relay(
            database.server.port, begin, lambda sent: b"slow" in sent or b"slow".hex().encode() in sent
        ) as port:
            database.connection = database.connection.replace(str(database.server.port), str(port))
            probe = step("select 'slow'", more="timeout: 1s")
            record = await ask(tmp_path, database, probe, options=", watches: true")

        assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TIMEOUT), record.message
        assert time.monotonic() - began_s < 40  # it could be neither answered nor told to end: it was cut off

    async def test_a_password_comes_from_a_reference_and_is_never_shown(
        self, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LEDGER_PASSWORD", "open-sesame-ü-please")
        options = ', user: probe, password: "env:LEDGER_PASSWORD", watches: true'
        database.connection = database.connection.replace("postgres@", "").replace("root@", "")
        self.make_user(database, "open-sesame-ü-please")

        record = await ask(tmp_path, database, step("select 1 as n", "count == 1"), options)
        monkeypatch.setenv("LEDGER_PASSWORD", "not-the-right-one")
        denied = await ask(tmp_path, database, step("select 1"), options)

        assert record.outcome is Outcome.PASSED, record.message
        assert "open-sesame" not in repr(record)
        self.check_denied(denied)
        assert "not-the-right-one" not in repr(denied)

    async def test_a_secret_among_the_values_is_never_shown(
        self, database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("API_TOKEN", "a-token-of-the-shop")
        settings = f'secrets: {{token: "env:API_TOKEN"}}\nconnections:\n  ledger: {{{database.connection}}}\n'
        wrong = step("select :token as t from nowhere", "count == 1", token="${secret.token}")
        right = step("select :token as t", "rows[0].t == 'guess'", "size(rows[0].t) == 19", token="${secret.token}")

        refused = await run_probe(tmp_path / "a", wrong, settings)
        compared = await run_probe(tmp_path / "b", right, settings)

        assert refused.reason is Reason.EXPRESSION, refused.message
        assert (compared.outcome, compared.reason) == (Outcome.FAILED, Reason.EXPECTATION), compared.message
        assert [check.ok for check in compared.steps[0].checks] == [False, True]  # the database got the real one
        assert "a-token-of-the-shop" not in repr((refused, compared))

    async def test_an_address_outside_of_the_list_is_never_dialled(self, database: Any, tmp_path: Path) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            listening.setblocking(False)
            port = listening.getsockname()[1]
            database.connection = database.connection.replace(str(database.server.port), str(port))
            record = await ask(tmp_path, database, step("select 1"), options=', allow: ["db.example.com"]')
            with pytest.raises(BlockingIOError):
                listening.accept()

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message

    async def test_tls_holds_the_certificate_against_the_host_name(self, secured: Any, tmp_path: Path) -> None:
        database, authority = secured
        (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
        (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())
        by_name = database.connection.replace("127.0.0.1", "localhost")
        options = ", networks: [127.0.0.0/8, '::1/128'], watches: true, tls: {{ca: {}}}"
        trusted, other = (options.format(tmp_path / name) for name in ("ca.pem", "other.pem"))

        async def asked(connection: str, options: str) -> Record:
            database.connection = connection
            return await ask(tmp_path, database, step(self.encrypted, "count == 1", "rows[0].yes != ''"), options)

        good = await asked(by_name, trusted)
        wrong_name = await asked(database.connection.replace("localhost", "127.0.0.1"), trusted)
        stranger = await asked(by_name, other)
        no_tls = await asked(by_name, ", networks: [127.0.0.0/8, '::1/128'], watches: true")

        assert good.outcome is Outcome.PASSED, good.message
        assert (wrong_name.outcome, wrong_name.reason) == (Outcome.FAILED, Reason.TLS), wrong_name.message
        assert (stranger.outcome, stranger.reason) == (Outcome.FAILED, Reason.TLS), stranger.message
        assert no_tls.outcome is not Outcome.PASSED, no_tls.message

    encrypted: str

    def cut_idle(self, database: Any) -> bool:
        """End a session that waits; whether there was one."""
        raise NotImplementedError

    def make_user(self, database: Any, password: str) -> None:
        """A user `probe`."""
        raise NotImplementedError

    def check_denied(self, record: Record) -> None:
        """A wrong password is ours."""
        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message


class TestPostgres(Served):
    refused: ClassVar = {
        "insert into orders values (2)": "read-only transaction",
        "insert into orders values (2) returning id": "read-only transaction",
        "with x as (delete from orders returning id) select * from x": "read-only transaction",
        "update orders set id = 2": "read-only transaction",
        "drop table orders": "read-only transaction",
        "create table more (id int)": "read-only transaction",
        "truncate orders": "read-only transaction",
        "select id from orders for update": "read-only transaction",
        "select nextval('numbers')": "read-only transaction",
        "vacuum orders": "transaction block",
        "do $$ begin delete from orders; end $$": "read-only transaction",
        "do $$ begin commit; delete from orders; end $$": "invalid transaction termination",
        "set transaction read write": "result",
        "select set_config('transaction_read_only', 'off', true), (select id from orders)": "",
        "copy orders from stdin": "read-only transaction",
        "commit": "result",
    }
    many_rows = "select generate_series(1, 10001)"
    wide_rows = "select repeat('x', 100000) from generate_series(1, 100)"
    encrypted = "select 'by the relay' as yes"

    @pytest.fixture
    def database(self, a_postgres: Postgres) -> OfPostgres:
        made = OfPostgres(a_postgres)
        made.do("create sequence numbers")
        return made

    @pytest.fixture
    def own(self) -> Iterator[tuple[OfPostgres, Postgres]]:
        try:
            running = postgres()
            server = running.__enter__()
        except (OSError, RuntimeError) as error:
            pytest.skip(f"PostgreSQL cannot run here: {error}")
        try:
            yield OfPostgres(server), server
        finally:
            running.__exit__(None, None, None)

    @pytest.fixture
    async def secured(self, database: OfPostgres) -> AsyncIterator[tuple[OfPostgres, trustme.CA]]:
        """TLS in front of the server: that of the wheel was built without."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)

        async def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
            if await reader.readexactly(8) != SSL_REQUEST:
                return False
            writer.write(b"S")
            await writer.start_tls(context)
            return True

        async with relay(database.server.port, secure) as port:
            database.connection = database.connection.replace(str(database.server.port), str(port))
            yield database, authority

    def cut_idle(self, database: OfPostgres) -> bool:
        mine = f"datname = '{database.name}' and application_name = 'synthmon' and state = 'idle'"
        return bool(database.do(f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}"))

    def make_user(self, database: OfPostgres, password: str) -> None:
        database.do(f"do $$ begin create user probe password '{password}'; exception when duplicate_object then end $$")

    def check_denied(self, record: Record) -> None:
        """The server believes everybody (`trust`); the test below has one that does not."""
        assert record.outcome is Outcome.PASSED

    async def test_a_wrong_password_is_ours(
        self, own: tuple[OfPostgres, Postgres], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database, server = own
        self.make_user(database, "open-sesame-please")
        (data,) = database.do("show data_directory")[0]
        (Path(data) / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        database.do("select pg_reload_conf()")
        address = f'sql: "postgresql://127.0.0.1:{server.port}/{database.name}"'
        database.connection = f'{address}, user: probe, password: "env:LEDGER_PASSWORD"'
        monkeypatch.setenv("PGPASSWORD", "open-sesame-please")  # not looked at

        monkeypatch.setenv("LEDGER_PASSWORD", "not-the-right-one")
        denied = await ask(tmp_path, database, step("select 1"), options=", watches: true")
        monkeypatch.setenv("LEDGER_PASSWORD", "open-sesame-please")
        let_in = await ask(tmp_path, database, step("select current_user as u", "rows[0].u == 'probe'"))

        assert (denied.outcome, denied.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), denied.message
        assert "not-the-right-one" not in repr(denied)
        assert let_in.outcome is Outcome.PASSED, let_in.message

    async def test_values_come_as_json_has_them(self, database: OfPostgres, tmp_path: Path) -> None:
        probe = step(
            """select 12.50::numeric as price, sum(x)::numeric as total, 'NaN'::numeric as nan,
            'Infinity'::float8 as inf,
            '-Infinity'::float8 as least, 1.5::float8 as half, 9223372036854775807 as large,
            99999999999999999999::numeric as larger,
            true as yes, null as none, timestamptz '2026-11-23 10:02:00+01' as at,
            timestamp '2026-11-23 10:02:00.5' as plain,
            timestamptz 'infinity' as never, date '2026-11-23' as day, time '10:02' as hour,
            interval '1 day 2 hours' as span,
            '\\xdeadbeef'::bytea as bytes, '6f9619ff-8b86-d011-b42d-00cf4fc964ff'::uuid as uuid,
            array[1, 2, null] as list, array[timestamptz '2026-11-23 10:02:00+00'] as times,
            '{"a": [1, {"b": null}]}'::jsonb as json, '192.0.2.0/24'::cidr as net, int4range(1, 5) as range
            from generate_series(1, 3) x""",
            "rows[0].price == '12.50'",
            "rows[0].total == 6",
            "rows[0].nan == 'NaN' && rows[0].inf == 'Infinity' && rows[0].least == '-Infinity'",
            "rows[0].half == 1.5",
            "rows[0].large == 9223372036854775807",
            "rows[0].larger == '99999999999999999999'",
            "rows[0].yes && rows[0].none == null",
            "rows[0].at == '2026-11-23T09:02:00Z'",
            "timestamp(rows[0].plain) == timestamp('2026-11-23T10:02:00.5Z')",
            "rows[0].never == 'infinity'",
            "rows[0].day == '2026-11-23' && rows[0].hour == '10:02:00' && rows[0].span == 'P1DT2H'",
            "rows[0].bytes == '3q2+7w=='",
            "rows[0].uuid == '6f9619ff-8b86-d011-b42d-00cf4fc964ff'",
            "rows[0].list == [1, 2, null]",
            "rows[0].times == ['2026-11-23T10:02:00Z']",
            "rows[0].json.a[1].b == null",
            "rows[0].net == '192.0.2.0/24' && rows[0].range == '[1, 5)'",
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_values_are_bound_by_their_type(self, database: OfPostgres, tmp_path: Path) -> None:
        probe = step(
            "select 2 = any(:ids) as list, :n::int + 1 as n, :map::jsonb ->> 'a' as map, :b::bool as b, :f * 2 as f, "
            "'::' as c",
            "rows[0] == {'list': true, 'n': 8, 'map': 'x', 'b': true, 'f': 3.0, 'c': '::'}",
            ids=[1, 2],
            n=7,
            map={"a": "x"},
            b=True,
            f=1.5,
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_settings_of_a_client_in_the_environment_are_not_looked_at(
        self, database: OfPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hostile = {
            "PGHOST": "192.0.2.1",
            "PGHOSTADDR": "192.0.2.1",
            "PGPORT": "1",
            "PGUSER": "nobody",
            "PGDATABASE": "nowhere",
            "PGSSLMODE": "require",
            "PGOPTIONS": "-c search_path=elsewhere",
            "PGAPPNAME": "somebody",
            "PGTARGETSESSIONATTRS": "standby",
            "PGREQUIREAUTH": "gss",
            "PGCLIENTENCODING": "latin1",
            "PGCONNECT_TIMEOUT": "1",
        }
        for name, value in hostile.items():
            monkeypatch.setenv(name, value)

        probe = step(
            "select current_database() as d, current_setting('search_path') as p, "
            "current_setting('application_name') as a",
            f"rows[0].d == '{database.name}' && !rows[0].p.contains('elsewhere') && rows[0].a == 'synthmon'",
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_reading_may_still_do_something_with_the_rights_for_it(
        self, database: OfPostgres, tmp_path: Path
    ) -> None:
        """What the manual warns of: a transaction that may only read does not stop functions that write no row."""
        probe = step("select pg_advisory_lock_shared(7) as l, pg_terminate_backend(-1) as t", "count == 1")
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message


class TestMariadb(Served):
    refused: ClassVar = {
        "insert into orders values (2)": "READ ONLY transaction",
        "update orders set id = 2": "READ ONLY transaction",
        "delete from orders": "READ ONLY transaction",
        "drop table orders": "READ ONLY transaction",
        "create table more (id int)": "READ ONLY transaction",
        "truncate table orders": "READ ONLY transaction",
        "call breaking_out()": "READ ONLY transaction",
        "select nextval(numbers)": "READ ONLY transaction",
        "commit": "no rows",
        "set session transaction read write": "no rows",
        "load data local infile '/etc/passwd' into table orders": "",
    }
    many_rows = "select a.seq from seq_1_to_10001 a"
    wide_rows = "select repeat('x', 100000) as w from seq_1_to_100"
    encrypted = "select variable_value as yes from information_schema.session_status where variable_name = 'ssl_cipher'"

    @pytest.fixture
    def database(self, a_mariadb: Mariadb) -> OfMariadb:
        made = OfMariadb(a_mariadb)
        made.do("CREATE SEQUENCE numbers")
        made.do("CREATE PROCEDURE breaking_out() BEGIN COMMIT; INSERT INTO orders VALUES (3); SELECT 1; END")
        return made

    @pytest.fixture
    def own(self) -> Iterator[tuple[OfMariadb, Mariadb]]:
        try:
            running = mariadb()
            server = running.__enter__()
        except FileNotFoundError as error:
            pytest.skip(str(error))
        try:
            yield OfMariadb(server), server
        finally:
            running.__exit__(None, None, None)

    @pytest.fixture
    def secured(self, tmp_path: Path) -> Iterator[tuple[OfMariadb, trustme.CA]]:
        authority = trustme.CA()
        mine = authority.issue_cert("localhost")
        cert, key = tmp_path / "server.crt", tmp_path / "server.key"
        cert.write_bytes(mine.cert_chain_pems[0].bytes())
        key.write_bytes(mine.private_key_pem.bytes())
        try:
            running = mariadb((f"--ssl-cert={cert}", f"--ssl-key={key}"))
            server = running.__enter__()
        except FileNotFoundError as error:
            pytest.skip(str(error))
        try:
            database = OfMariadb(server)
            for host in ("localhost", "127.0.0.1"):
                database.do(f"CREATE USER secured@'{host}' IDENTIFIED BY '' REQUIRE SSL")
            database.connection = database.connection.replace("root@", "secured@").replace(f"/{database.name}", "")
            yield database, authority
        finally:
            running.__exit__(None, None, None)

    def cut_idle(self, database: OfMariadb) -> bool:
        mine = f"db = '{database.name}' and command = 'Sleep'"
        found = database.do(f"select id from information_schema.processlist where {mine}")
        for (number,) in found:
            database.do(f"KILL {number}")
        return bool(found)

    def make_user(self, database: OfMariadb, password: str) -> None:
        database.do(f"CREATE OR REPLACE USER probe IDENTIFIED BY '{password}'")
        database.do(f"GRANT SELECT ON {database.name}.* TO probe")

    async def test_values_come_as_json_has_them(self, database: OfMariadb, tmp_path: Path) -> None:
        database.do(
            "CREATE TABLE kinds (price decimal(12,2), whole decimal(12,0), half double, large bigint, "
            "bigger bigint unsigned, at timestamp(3) null, plain datetime, day date, hour time, bytes varbinary(9), "
            "flag bit(1), year year, json json, tiny tinyint(1))"
        )
        database.do(
            "INSERT INTO kinds VALUES (12.50, 6, 1.5, 9223372036854775807, 18446744073709551615, "
            "'2026-11-23 10:02:00.5', '2026-11-23 10:02:00', '2026-11-23', '-10:02:00', X'DEADBEEF', "
            "b'1', 2026, '{\"a\": 1}', 1)"
        )
        probe = step(
            "select * from kinds",
            "rows[0].price == '12.50' && rows[0].whole == 6 && rows[0].half == 1.5",
            "rows[0].large == 9223372036854775807 && rows[0].bigger == '18446744073709551615'",
            "timestamp(rows[0].at) == timestamp('2026-11-23T10:02:00.5Z')",
            "rows[0].plain == '2026-11-23T10:02:00Z' && rows[0].day == '2026-11-23' && rows[0].hour == '-10:02:00'",
            "rows[0].bytes == '3q2+7w==' && rows[0].flag == 1 && rows[0].year == 2026 && rows[0].tiny == 1",
            "rows[0].json == '{\"a\": 1}'",
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_values_are_bound_by_their_type_and_fit_any_collation(
        self, database: OfMariadb, tmp_path: Path
    ) -> None:
        database.do("CREATE TABLE l (a varchar(9) character set latin1, b varchar(9) collate utf8mb4_unicode_ci)")
        database.do("INSERT INTO l VALUES ('é', 'é'), ('x', 'x')")
        probe = step(
            "select :n + 1 as n, :f * 2 as f, :b as b, :none as none, json_value(:map, '$.a') as m "
            "from l where a = :e and b = :e and a in (:e, 'z') limit :most",
            "rows == [{'n': 8, 'f': 3.0, 'b': 1, 'none': null, 'm': 'x'}]",
            n=7,
            f=1.5,
            b=True,
            none=None,
            map={"a": "x"},
            e="é",
            most=5,
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message


class TestSqlite(Asked):
    refused: ClassVar = {
        "insert into orders values (2)": "may only be read",
        "update orders set id = 2": "may only be read",
        "delete from orders": "may only be read",
        "drop table orders": "may only be read",
        "create table more (id int)": "may only be read",
        "create temp table more (id int)": "may only be read",
        "attach database '/tmp/other.db' as other": "may only be read",
        "pragma query_only = off": "may only be read",
        "pragma journal_mode = delete": "may only be read",
        "pragma writable_schema = on": "may only be read",
        "select load_extension('/tmp/other.so')": "not",
        "vacuum into '/tmp/copy.db'": "",
        "update sqlite_master set sql = ''": "may not be modified",
        "begin": "may only be read",
        "select zeroblob(100000000)": "too big",
    }
    many_rows = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 10001) select x from n"
    wide_rows = many_rows.replace("10001", "100").replace("select x from", "select hex(zeroblob(50000)) from")

    @pytest.fixture
    def database(self, tmp_path: Path) -> OfSqlite:
        return OfSqlite(tmp_path)

    async def test_values_come_as_json_has_them(self, database: OfSqlite, tmp_path: Path) -> None:
        probe = step(
            "select 12.5 as half, 9223372036854775807 as large, null as none, x'deadbeef' as bytes, 'é' as text, "
            "1e999 as inf, -1e999 as least, (select value from json_each(:ids) where value = 2) as listed",
            "rows[0].half == 12.5 && rows[0].large == 9223372036854775807 && rows[0].none == null",
            "rows[0].bytes == '3q2+7w==' && rows[0].text == 'é' && rows[0].listed == 2",
            "rows[0].inf == 'Infinity' && rows[0].least == '-Infinity'",
            ids=[1, 2],
        )
        record = await ask(tmp_path, database, probe)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_the_shape_of_a_table_may_be_asked(self, database: OfSqlite, tmp_path: Path) -> None:
        database.do("CREATE TABLE orders (id int)")

        record = await ask(tmp_path, database, step("pragma table_info(orders)", "rows[0].name == 'id'"))

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_file_that_is_not_there_is_not_made(self, database: OfSqlite, tmp_path: Path) -> None:
        database.connection = f'sql: "sqlite:///{tmp_path}/none.db"'

        record = await ask(tmp_path, database, step("select 1"))

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
        assert not (tmp_path / "none.db").exists()

    async def test_a_file_without_wal_is_read_while_somebody_writes(self, database: OfSqlite, tmp_path: Path) -> None:
        database.do("PRAGMA journal_mode = DELETE")
        database.do("CREATE TABLE orders (id int)")
        with closing(sqlite3.connect(database.file, isolation_level=None)) as writer:
            writer.execute("BEGIN EXCLUSIVE")
            locked = await ask(tmp_path, database, step("select id from orders"), options=", watches: true")
            writer.execute("ROLLBACK")
            free = await ask(tmp_path, database, step("select id from orders", "count == 0"))

        assert (locked.outcome, locked.reason) == (Outcome.FAILED, Reason.NO_ANSWER), locked.message
        assert free.outcome is Outcome.PASSED, free.message


SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))  # PostgreSQL 53.2.9: length 8, code 80877103


Begin = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


@asynccontextmanager
async def relay(to: int, begin: Begin, mute: Callable[[bytes], bool] = lambda _: False) -> AsyncIterator[int]:
    """The port of a relay before a server. Where `begin` says no, it hangs up; once `mute` says yes to what a client
    sent, it passes nothing on any more, to nobody."""
    serving = set[asyncio.Task[None] | None]()
    muted = asyncio.Event()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bool) -> None:
        try:
            while content := await reader.read(65536):
                if asked and mute(content):
                    muted.set()
                if not muted.is_set():
                    writer.write(content)
                    await writer.drain()
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            if await begin(reader, writer):
                inner, outer = await asyncio.open_connection("127.0.0.1", to)
                ways = passed(reader, outer, True), passed(inner, writer, False)
                await asyncio.gather(*ways, return_exceptions=True)
                outer.close()
                await outer.wait_closed()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1]
        await asyncio.wait_for(asyncio.gather(*(task for task in serving if task)), 30)


def _cel(texts: Any) -> str:
    """JSON, which is YAML and CEL as well."""
    return json.dumps(texts, ensure_ascii=False)


@pytest.mark.parametrize(
    ("dialect", "sql", "names"),
    [
        (Dialect.POSTGRES, "select :a, :b_2, :a", ("a", "b_2")),
        (Dialect.POSTGRES, "select 'it''s :no', x::text, \":no\", :a::int", ("a",)),
        (Dialect.POSTGRES, r"select E'\' :no', e'a\\', :a", ("a",)),
        (Dialect.POSTGRES, r"select '\', :a", ("a",)),
        (Dialect.POSTGRES, "select $$ :no $$, $x$ :no $$ :no $x$, :a", ("a",)),
        (Dialect.POSTGRES, "select 1 /* :no /* :no */ :no */ -- :no\n, :a", ("a",)),
        (Dialect.POSTGRES, "select list[1:2], list[:a:3]", ("a",)),
        (Dialect.POSTGRES, "select 1 # :a", ("a",)),
        (Dialect.POSTGRES, "select 'never closed :no", ()),
        (
            Dialect.MYSQL,
            r"select 'it\' :no', ':no', "  # one literal, two parts
            r'"a\" :no", `:no`, :a # :no',
            ("a",),
        ),
        (Dialect.MYSQL, "select 5--:a, 1 -- :no\n, :b", ("a", "b")),
        (Dialect.MYSQL, "select @x := :a /* :no */", ("a",)),
        (Dialect.SQLITE, r"select '\', [:no], `:no`, :a -- :no", ("a",)),
    ],
)
def test_a_name_is_found_where_it_means_a_value(dialect: Dialect, sql: str, names: tuple[str, ...]) -> None:
    assert names_in(sql, dialect) == names
    assert ":no" in rewritten(sql, dialect, lambda _: "?") or ":no" not in sql


def test_a_name_is_written_anew_in_its_place() -> None:
    assert rewritten("a = :x and ':x' <> :y::text", Dialect.POSTGRES, lambda name: f"<{name}>") == (
        "a = <x> and ':x' <> <y>::text"
    )


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ('sql: "oracle://db.example.com/shop", user: probe', "bad-connection"),
        ('sql: "postgresql:///shop", user: probe', "bad-connection"),
        ('sql: "postgresql://db.example.com/shop"', "bad-connection"),
        ('sql: "postgresql://probe:sesame@db.example.com/shop"', "bad-connection"),
        ('sql: "postgresql://probe@db.example.com/shop", user: other', "bad-connection"),
        ('sql: "postgresql://probe@db.example.com/shop?sslmode=require"', "bad-connection"),
        ('sql: "postgresql://probe@db.example.com:x/shop"', "bad-connection"),
        ('sql: "postgresql://probe@db.example.com/shop", tls: {cert: "env:A", key: "env:B"}', "bad-connection"),
        ('sql: "sqlite://shop.db"', "bad-connection"),
        ('sql: "sqlite:///:memory:"', "bad-connection"),
        ('sql: "mysql://probe@h/shop", password: sesame', "bad-secret"),
        ('sql: "mysql://probe@h/shop", ssl: true', "unknown-key"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, code: str) -> None:
    found = faults(tmp_path, step("select 1"), f"connections:\n  ledger: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found
    assert "sesame" not in repr(found) or code == "bad-secret"


async def test_a_mute_server_is_given_up_in_time(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        began_s = time.monotonic()
        for scheme in ("postgresql", "mysql"):
            settings = f'connections:\n  ledger: {{sql: "{scheme}://probe@127.0.0.1:{port}/shop", watches: true}}\n'
            record = await run_probe(tmp_path, step("select 1", more="timeout: 1s"), settings)
            assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TIMEOUT), record.message

    assert time.monotonic() - began_s < 40

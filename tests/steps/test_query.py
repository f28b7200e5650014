"""The kind `query`: what it asks, what it offers, and its place in an undo."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from synthmon.core.door import Rows
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.timing import Timing
from synthmon.steps.query import QueryKeys, QueryRequest, QuerySpec
from tests.connections.running import faults, run_probe
from tests.steps.making import TestMaker, scope

SETTINGS = """
systems:
  shop: {{base: "{base}", writes: true}}
connections:
  ledger: {{sql: "sqlite:///{file}"}}
"""


class Shop:
    """It keeps its orders in a file of SQLite; where `forgets`, it says that it deleted one and did not."""

    def __init__(self, server: HTTPServer, file: Path) -> None:
        self.file, self.forgets, self.answers = file, False, True
        self.do("CREATE TABLE orders (id INTEGER PRIMARY KEY, reference TEXT)")
        server.expect_request("/orders", method="POST").respond_with_handler(self._order)
        server.expect_request("/orders/1", method="DELETE").respond_with_handler(self._cancel)
        self.settings = SETTINGS.format(base=server.url_for("/").rstrip("/"), file=file)

    def do(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as connection:
            return connection.execute(sql, values).fetchall()

    def _order(self, request: Request) -> Response:
        self.do("INSERT INTO orders (reference) VALUES (?)", request.get_json()["reference"])
        return Response(json.dumps({"id": 1}) if self.answers else "", 201, content_type="application/json")

    def _cancel(self, request: Request) -> Response:
        if not self.forgets:
            self.do("DELETE FROM orders WHERE id = 1")
        return Response(status=204)


@pytest.fixture
def shop(httpserver: HTTPServer, tmp_path: Path) -> Shop:
    return Shop(httpserver, tmp_path / "shop.db")


JOURNEY = """
journey: ordered
every: 1m
deadline: 90s
system: shop
steps:
  - id: order
    http: POST /orders
    json: {reference: "${run.namespace}"}
    expect: [status == 201]
    save: {id: body.id}
    undo:
      http: DELETE /orders/${order.id}
      find:
        query: ledger
        sql: select id from orders where reference = :reference
        params: {reference: "${run.namespace}"}
        save: {id: "rows[0].id"}
      gone:
        query: ledger
        sql: select 1 from orders where reference = :reference
        params: {reference: "${run.namespace}"}
        expect: [count == 0]
  - id: booked
    query: ledger
    sql: select reference from orders where id = :id
    params: {id: "${order.id}"}
    within: 10s after order
    expect: [count == 1, "rows[0].reference == run.namespace"]
"""


async def test_an_order_is_seen_in_the_database_taken_back_and_seen_to_be_gone(shop: Shop, tmp_path: Path) -> None:
    record = await run_probe(tmp_path, JOURNEY, shop.settings)

    assert record.outcome is Outcome.PASSED, record.message
    assert shop.do("SELECT * FROM orders") == []
    assert [debt.state for debt in record.debts] == ["closed"]


async def test_an_id_that_no_answer_told_is_found_in_the_database(shop: Shop, tmp_path: Path) -> None:
    shop.answers = False  # 201 without a body: the id is known to nobody but the database

    record = await run_probe(tmp_path, JOURNEY, shop.settings)

    assert record.outcome is Outcome.FAILED, record.message
    assert shop.do("SELECT * FROM orders") == []
    assert [debt.state for debt in record.debts] == ["closed"]


async def test_an_order_that_is_still_in_the_database_stays_a_debt(shop: Shop, tmp_path: Path) -> None:
    shop.forgets = True

    record = await run_probe(tmp_path, JOURNEY, shop.settings)

    assert len(shop.do("SELECT * FROM orders")) == 1
    assert [debt.state for debt in record.debts] == ["owed"]


async def test_a_query_that_fails_is_shown_with_its_values_and_rows(shop: Shop, tmp_path: Path) -> None:
    shop.do("INSERT INTO orders VALUES (7, 'somebody')")
    probe = """
journey: asked
every: 1m
steps:
  - id: asked
    query: ledger
    sql: select reference from orders where id = :id
    params: {id: 7}
    expect: ["rows[0].reference == 'me'"]
"""
    record = await run_probe(tmp_path, probe, shop.settings)

    last = record.steps[0].attempts[-1]
    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION)
    assert 'rows[0].reference is "somebody"' in record.message
    assert last.request == "select reference from orders where id = :id\n:id = 7"
    assert last.answer == '{"reference": "somebody"}'


def test_it_offers_rows_their_count_and_how_long_it_took() -> None:
    spec = QuerySpec("ledger", "select 1", None)
    request = spec.render(scope())
    answer = Rows(({"a": 1}, {"a": None}), Timing(total_ms=12))

    assert request == QueryRequest("ledger", "select 1", {})
    assert spec.see(request, answer) == {
        "rows": [{"a": 1}, {"a": None}],
        "count": 2,
        "elapsed": timedelta(milliseconds=12),
    }
    assert spec.describe(request, answer) == "query ledger → 2 rows"
    assert spec.describe(request, None) == "query ledger"
    assert not spec.effect


def test_values_keep_their_types() -> None:
    tree = TestMaker().tree({"n": "${vars.number}", "t": "no ${vars.number}", "l": [1, "${order.id}"], "z": None}, ())
    spec = QuerySpec("ledger", "select :n, :t, :l, :z", tree)

    request = spec.render(scope(vars__number=7, order__id="a"))

    assert request.params == {"n": 7, "t": "no 7", "l": [1, "a"], "z": None}
    assert spec.refs == {"vars.number", "order.id"}


def test_its_keys_are_told_and_no_others() -> None:
    assert QueryKeys.model_validate({"query": "ledger", "sql": "select 1"}).params == {}
    with pytest.raises(ValueError, match="limit"):
        QueryKeys.model_validate({"query": "ledger", "sql": "select 1", "limit": 1})


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("query: ledger, sql: 'select :a', params: {a: 1}", ""),
        ("query: ledger, sql: 'select :a'", "query-params"),
        ("query: ledger, sql: 'select 1', params: {a: 1}", "query-params"),
        ("query: ledger, sql: \"select ':a'\", params: {a: 1}", "query-params"),
        ("query: ledger, sql: 'select ${run.id}'", "query-text"),
        ("query: bus, sql: 'select 1'", "cannot-do"),
        ("query: elsewhere, sql: 'select 1'", "unknown-connection"),
        ("query: ledger", "missing-key"),
        ("query: ledger, sql: 'select 1', leaves: nothing, parms: {}", "unknown-key"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, step: str, code: str) -> None:
    probe = f"journey: asked\nevery: 1m\nsteps:\n  - {{{step}, expect: [count == 1]}}\n"
    settings = 'connections:\n  ledger: {sql: "sqlite:///shop.db"}\n  bus: {nats: "nats://127.0.0.1:4222"}\n'

    found = faults(tmp_path, probe, settings)

    assert any(one.startswith(f"{code}:") for one in found) if code else not found, found

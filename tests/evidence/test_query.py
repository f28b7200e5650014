"""`query` against a real database file."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from synthmon.core.evidence import Wanted
from synthmon.evidence.query import SOURCE, QueryKeys, names_in
from tests.evidence.lending import Lent, a_source, wanted, watching

OF_RUN = "select kind as step, id, created_at as at, state as status from audit where reference = :run"


class Audit:
    """A table that tells what happened, and each query that was asked of it."""

    def __init__(self, file: Path) -> None:
        self._file, self.asked = file, list[dict[str, Any]]()

    def make(self) -> None:
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute("create table audit (id, kind, state, reference, created_at)")

    def write(self, reference: str, kind: str, id: str | None = None, state: str = "ok", at: Any = None) -> None:
        with closing(sqlite3.connect(self._file)) as database, database:
            row = (id, kind, state, reference, time.time_ns() if at is None else at)
            database.execute("insert into audit values (?, ?, ?, ?, ?)", row)

    def ask(self, sql: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.asked.append(dict(params))
        with closing(sqlite3.connect(self._file)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, params)]


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    table = Audit(tmp_path / "ledger.db")
    table.make()
    return table


def rows_of(sql: str, **more: Any) -> Any:
    return a_source(SOURCE, {"query": "ledger", "sql": sql}, **more)


async def test_each_row_is_told_once_though_it_is_asked_for_again_and_again(audit: Audit) -> None:
    run = wanted()
    audit.write(run.run_id, "posted", "1")
    audit.write("another", "posted", "2")

    async with watching(SOURCE, rows_of(OF_RUN), run, Lent(audit.ask)) as heard:
        await heard.until_told("posted")
        audit.write(run.run_id, "mailed", "3")
        await heard.until_told("posted", "mailed")

    posted = heard.records[0]
    assert (posted.id, posted.status, posted.source) == ("1", "ok", "logs")
    assert heard.where == "rows of ledger"


async def test_a_row_without_a_mark_is_the_runs_if_the_query_named_the_run(audit: Audit) -> None:
    run = wanted()
    audit.write(run.run_id, "posted", "1")

    async with watching(SOURCE, rows_of(OF_RUN), run, Lent(audit.ask)) as heard:
        await heard.until_told("posted")

    assert heard.records[0].matched_by == "sql"


async def test_of_a_query_that_names_no_run_only_rows_with_a_mark_are_told(audit: Audit) -> None:
    run, other = wanted("a"), wanted("b")
    audit.write(f"inv-{run.namespace}", "posted", "1")
    audit.write(f"inv-{other.namespace}", "posted", "2")
    sql = "select kind as step, id, reference, created_at as at from audit where :since < '3'"

    async with watching(SOURCE, rows_of(sql), run, Lent(audit.ask)) as heard:
        await heard.until_told("posted")

    assert [(record.id, record.matched_by) for record in heard.records] == [("1", "reference")]


async def test_only_the_names_that_the_query_uses_are_bound(audit: Audit) -> None:
    run = Wanted("a" * 32, "syn-a", 1_800_000_000_123_456_789, keys=("k", 'l"'))
    sql = "select 'x' as step, 1 as at from audit where ':run' = :namespace or :since = :keys -- :none"

    async with watching(SOURCE, rows_of(sql), run, Lent(audit.ask)) as heard:
        await heard.until_sure()

    assert set(audit.asked[0]) == {"namespace", "since", "keys"}
    assert audit.asked[0]["since"] == "2027-01-15T08:00:00.123457Z"
    assert json.loads(audit.asked[0]["keys"]) == ["k", 'l"']


async def test_rows_of_an_earlier_run_with_the_same_key_are_not_told(audit: Audit) -> None:
    run = wanted(keys=("clerk-1",))
    audit.write("clerk-1", "login", "1", at=run.since_ns - 60 * 10**9)
    audit.write("clerk-1", "login", "2")
    sql = "select kind as step, id, created_at as at from audit where reference in (select value from json_each(:keys))"

    async with watching(SOURCE, rows_of(sql), run, Lent(audit.ask)) as heard:
        await heard.until_told("login")

    assert heard.records[0].id == "2"


async def test_two_rows_that_are_alike_are_two_happenings_and_a_changed_row_is_one(audit: Audit) -> None:
    run, at = wanted(), time.time_ns()
    for _ in range(2):
        audit.write(run.run_id, "mailed", at=at)
    audit.write(run.run_id, "posted", "7", "open")

    async with watching(SOURCE, rows_of(OF_RUN), run, Lent(audit.ask)) as heard:
        await heard.until_told("mailed", "mailed", "posted")
        audit.write(run.run_id, "posted", "7", "booked")
        await heard.until_told("mailed", "mailed", "posted", "posted")

    assert len({record.identity for record in heard.records if record.step == "mailed"}) == 2
    assert len({record.identity for record in heard.records if record.step == "posted"}) == 1


async def test_while_the_database_cannot_be_asked_nothing_is_claimed(tmp_path: Path) -> None:
    audit, run = Audit(tmp_path / "later.db"), wanted()

    async with watching(SOURCE, rows_of(OF_RUN), run, Lent(audit.ask)) as heard:
        await heard.until(lambda: heard.blind != [])
        assert "no such table" in heard.blind[0]
        assert heard.watermark_ns == 0
        audit.make()
        audit.write(run.run_id, "posted", "1")
        await heard.until_told("posted")


async def test_a_row_without_an_instant_is_said(audit: Audit) -> None:
    run = wanted()
    audit.write(run.run_id, "posted", "1")
    sql = "select kind as step, id from audit where reference = :run"

    async with watching(SOURCE, rows_of(sql), run, Lent(audit.ask)) as heard:
        await heard.until(lambda: heard.blind != [])

    assert heard.blind[0] == "a row has no instant; select one `as at` (columns: id, step)"
    assert heard.watermark_ns == 0


async def test_columns_are_found_by_the_map(audit: Audit) -> None:
    run = wanted()
    audit.write(run.run_id, "posted", "1")
    source = rows_of("select * from audit where reference = :run", map={"step": "kind", "at": "created_at"})

    async with watching(SOURCE, source, run, Lent(audit.ask)) as heard:
        await heard.until_told("posted")


def test_names_are_those_outside_of_texts_comments_and_casts() -> None:
    sql = """select ':a', ":b", x::text, '''' || :run -- :c
             from t /* :d */ where y = :namespace and z > :since"""

    assert names_in(sql) == {"run", "namespace", "since"}


def test_a_query_with_a_name_that_nothing_is_bound_to_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(ValueError, match="nothing is bound to :reference; use :run"):
        SOURCE.base(QueryKeys(query="ledger", sql="select :run, :reference"))

"""What the shop's books hold, for whoever may only read them; and that nothing waits for them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from shop_visitor import Visitor, until

from synthmon.demo.books import Books
from synthmon.demo.shop import Shop, running_shop


def read(file: Path, sql: str, **params: Any) -> list[tuple[Any, ...]]:
    """As a stranger with a right to read does."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as books:
        return books.execute(sql, params).fetchall()


async def test_an_order_is_one_row_of_the_ledger_and_gone_with_the_order(shop: Shop, visitor: Visitor) -> None:
    async def rows() -> list[tuple[Any, ...]]:
        sql = "select order_id, account, amount, currency, correlation_id from ledger where reference = :reference"
        return read(shop.books, sql, reference=order["reference"])

    async def none() -> bool:
        return not await rows()

    order = await visitor.order({"X-Correlation-ID": "c-1"})
    await visitor.mailed(order)

    assert await until(rows) == [(order["id"], "sales", "25.00", "EUR", "c-1")]
    await visitor.http.delete(f"/orders/{order['id']}")
    await until(none)


async def test_every_step_that_was_taken_is_in_the_audit_trail_in_its_order(shop: Shop, visitor: Visitor) -> None:
    order = await visitor.order()
    await visitor.mailed(order)

    async def steps() -> list[str] | None:
        sql = "select step from audit where reference = :reference and status = 'ok' order by seq"
        found = [step for (step,) in read(shop.books, sql, reference=order["reference"])]
        return found if "mail-sent" in found else None

    assert await until(steps) == [
        "order-placed",
        "order-validated",
        "stock-reserved",
        "payment-authorised",
        "ledger-posted",
        "shipment-prepared",
        "mail-sent",
    ]


async def test_books_are_made_anew_by_each_shop(tmp_path: Path) -> None:
    for _ in range(2):
        async with running_shop(tmp_path, bus="memory") as shop:
            assert read(shop.books, "select count(*) from audit") == [(0,)]
            books_of_the_first = shop.books
            with closing(sqlite3.connect(books_of_the_first)) as file, file:
                file.execute("insert into audit values ('a', 1, '', '', '', '', '', 1, '', '', '')")


def test_the_shop_does_not_wait_for_a_disk_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthmon.demo.books._BUSY_S", 0.01)
    row = {"id": "entry-1", "seq": 1, "time": "2999", "orderId": "o", "reference": "r", "account": "sales",
           "kind": "sale", "amount": "1.00", "currency": "EUR", "correlationId": "c"}  # fmt: skip

    with Books(tmp_path / "books.db") as books, closing(sqlite3.connect(books.file, isolation_level=None)) as other:
        other.execute("begin exclusive")
        for n in range(100):
            books.wrote("entry", {**row, "id": f"entry-{n}"})
        while not books.dropped:  # it gave up on them, and on nothing else
            books.wrote("mail", {})
        other.execute("rollback")
        books.wrote("entry", row)

    assert read(tmp_path / "books.db", "select id from ledger where id = 'entry-1'") == [("entry-1",)]

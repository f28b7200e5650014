"""`dynamodb` against moto's server."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from synthmon.connections.aws.partiql import attribute_of, bound, json_of, names_of
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.aws import KEYS, REGION, Account, set_keys
from tests.connections.opened import opened
from tests.connections.running import faults, run_probe
from tests.servers.front import Streams, front


def furnish(account: Account) -> None:
    """One order."""
    tables = account.client("dynamodb")
    tables.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    tables.put_item(TableName="orders", Item={"id": {"S": "o-1"}, "amount": {"N": "12.5"}, "lines": {"N": "3"}})


PROBE = """
journey: booked
every: 1m
steps:
  - id: booked
    query: tables
    sql: %s
    params: {order: "%s"}
    timeout: 20s
    expect:
      - count == 1
      - rows[0].amount == "12.5" && rows[0].lines == 3
"""
SELECT = """'select id, amount, lines from "orders" where id = :order'"""


def settings_of(url: str, more: str = "") -> str:
    return f'connections:\n  tables: {{dynamodb: "{url}", {KEYS}{more}}}\n'


async def test_an_order_is_found_by_its_key(account: Account, tmp_path: Path) -> None:
    record = await run_probe(tmp_path, PROBE % (SELECT, "o-1"), settings_of(account.url))

    assert record.outcome is Outcome.PASSED, record.message


async def test_a_value_is_bound_and_never_a_part_of_the_text(account: Account, tmp_path: Path) -> None:
    record = await run_probe(tmp_path, PROBE % (SELECT, "x' or '1' = '1"), settings_of(account.url))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION), record.message
    assert "count is 0" in record.message


@pytest.mark.parametrize(("more", "outcome"), [("", Outcome.UNKNOWN), (", watches: true", Outcome.FAILED)])
async def test_a_server_that_is_down_is_ours_unless_it_is_itself_watched(
    account: Account, tmp_path: Path, more: str, outcome: Outcome
) -> None:
    await account.kill()

    record = await run_probe(tmp_path, PROBE % (SELECT, "o-1"), settings_of(account.url, more))

    assert record.outcome is outcome, record.message
    assert "refused the connection" in record.message


async def test_a_table_that_is_not_there_is_a_mistake_of_ours(account: Account, tmp_path: Path) -> None:
    record = await run_probe(tmp_path, PROBE % (SELECT.replace("orders", "none"), "o-1"), settings_of(account.url))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "ResourceNotFoundException" in record.message


def link_of(url: str, **more: Any) -> AbstractAsyncContextManager[Any]:
    keys = {"region": REGION, "access_key": "env:PROBE_KEY_ID", "secret_key": "env:PROBE_KEY"}
    return opened("dynamodb", **{"dynamodb": url, **keys, **more})


CHANGES = [
    'delete from "orders" where id = :id',
    'update "orders" set amount = 0 where id = :id',
    "insert into \"orders\" value {'id': :id}",
    'select id from "orders" where id = :id; delete from "orders" where id = :id',
    'exists(select * from "orders" where id = :id)',
    '/* select */ delete from "orders" where id = :id',
    '-- select\ndelete from "orders" where id = :id',
    "",
]


@pytest.mark.parametrize("statement", CHANGES)
async def test_nothing_but_one_select_leaves(account: Account, statement: str) -> None:
    async with link_of(account.url) as link:
        with pytest.raises(ConnectionTrouble) as told:
            await link.query(statement, {"id": "o-1"}, 10)

    assert (told.value.reason, told.value.sent) == (Reason.EXPRESSION, False)
    assert account.client("dynamodb").scan(TableName="orders")["Items"][0]["amount"] == {"N": "12.5"}


@pytest.mark.parametrize("statement", CHANGES[:-1])
def test_nothing_but_one_select_loads(tmp_path: Path, statement: str) -> None:
    settings = settings_of("https://dynamodb.eu-west-1.amazonaws.com")
    text = "|\n" + "".join(f"      {line}\n" for line in statement.splitlines())
    found = faults(tmp_path, PROBE.replace("params: {order", "params: {id") % (text, "o-1"), settings)

    assert any(one.startswith("query-text:") for one in found), found


async def test_a_read_is_consistent_unless_an_index_is_asked(account: Account) -> None:
    bodies: list[bytes] = []
    assert account.server is not None

    async def noted(asking: Streams, behind: Streams) -> bool:
        head = await asking[0].readuntil(b"\r\n\r\n")
        bodies.append(await asking[0].read(65536))
        behind[1].write(head + bodies[-1])
        return True

    for consistent in (True, False):
        before = front(0, account.server.port, greet=noted)
        async with before as door, link_of(f"http://127.0.0.1:{door.port}", consistent=consistent) as link:
            assert await link.query('select id from "orders"', {}, 10) == [{"id": "o-1"}]

    assert b'"ConsistentRead": true' in bodies[0]
    assert b'"ConsistentRead": false' in bodies[1]


async def test_all_pages_are_read_and_no_more_rows_than_are_kept(account: Account) -> None:
    """Moto has one page, so pages are a server's of our own."""
    pages = [f'{{"Items":[{{"n":{{"N":"{n}"}}}}]{more}}}' for n, more in ((1, ',"NextToken":"t"'), (2, ""))]

    async def answer(asking: Streams, behind: Streams) -> bool:
        reader, writer = asking
        for page in pages:
            head = await reader.readuntil(b"\r\n\r\n")
            (length,) = (
                line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            assert (b'"NextToken": "t"' in await reader.readexactly(int(length))) == (page is pages[1])
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n{page}".encode())
            await writer.drain()
        return False

    assert account.server is not None
    async with front(0, account.server.port, greet=answer) as door, link_of(f"http://127.0.0.1:{door.port}") as link:
        rows = await link.query('select n from "orders"', {}, 2)
    async with front(0, account.server.port, greet=answer) as door, link_of(f"http://127.0.0.1:{door.port}") as link:
        with pytest.raises(ConnectionTrouble, match="more than 1 rows"):
            await link.query('select n from "orders"', {}, 1)

    assert rows == [{"n": 1}, {"n": 2}]


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch)
    async with front(0) as stranger:
        settings = settings_of(f"http://127.0.0.1:{stranger.port}", ", allow: [dynamodb.example.com]")
        record = await run_probe(tmp_path, PROBE % (SELECT, "o-1"), settings)

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
        assert stranger.visitors == 0


@pytest.mark.parametrize(
    ("statement", "names", "asked"),
    [
        ('select * from "t" where a = :a', ("a",), 'select * from "t" where a = ?'),
        (
            'SELECT * FROM "t" WHERE a IN [:a, :b] AND c = :a;',
            ("a", "b"),
            'SELECT * FROM "t" WHERE a IN [?, ?] AND c = ?',
        ),
        ("select ':no', \":no\", `:no` from t where a = :a -- :no", ("a",), None),
        ("  -- why\nselect 'it''s; ?' from t", (), None),
    ],
)
def test_a_name_is_bound_where_it_means_a_value(statement: str, names: tuple[str, ...], asked: str | None) -> None:
    made, values = bound(statement, dict.fromkeys(names, 1))

    assert names_of(statement) == names
    assert asked is None or made == asked
    assert len(values) == made.replace("; ?", "").count("?")


def test_values_go_and_come_as_json_has_them() -> None:
    value = {"text": "x", "n": 7, "yes": True, "none": None, "list": [1, {"a": "b"}]}

    assert json_of(attribute_of(value)) == value
    assert attribute_of(0.1) == {"N": "0.1"}
    assert attribute_of(1e22) == {"N": "10000000000000000000000"}
    assert [json_of({"N": text}) for text in ("12.50", "1E+2", "-3", "12345678901234567890")] == [
        "12.50",
        100,
        -3,
        "12345678901234567890",
    ]
    assert json_of({"SS": ["b", "a"]}) == ["a", "b"]
    assert json_of({"NS": ["10", "9"]}) == [9, 10]
    assert json_of({"B": b"\xde\xad"}) == "3q0="
    with pytest.raises(ValueError, match="no number"):
        attribute_of(float("nan"))


@pytest.mark.parametrize(
    ("settings", "step", "code"),
    [
        ('dynamodb: "https://dynamodb.eu-west-1.amazonaws.com"', "query: t, sql: select 1", "missing-key"),
        (f'dynamodb: "https://localhost", {KEYS.split(",", 1)[1]}', "query: t, sql: select 1", "bad-connection"),
        (f'dynamodb: "https://h", {KEYS}', "query: t, sql: 'select * from t where a = ?'", "query-text"),
        (f'dynamodb: "https://h", {KEYS}', "query: t, sql: 'select * from t where a = :a'", "query-params"),
        (f'dynamodb: "https://h", {KEYS}, writes: true', "send: t, topic: a, leaves: nothing", "cannot-do"),
        (f'dynamodb: "https://h", {KEYS}', "receive: t, topic: a", "cannot-do"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, step: str, code: str) -> None:
    probe = f"journey: a\nevery: 1m\nsteps:\n  - {{id: ask, {step}}}\n"
    found = faults(tmp_path, probe, f"connections:\n  t: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

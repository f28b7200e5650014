"""What every kind of step is told can be wrong: a probe that looks turns red, one that does not is told what to add."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import nats as client
import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection

from synthmon.core.proof.faults import Fault, Finding, writes_from
from synthmon.runtime.browser.chromium import Browsers
from tests.runtime.proved_kinds import Bench, findings, is_mended, the_trial
from tests.servers.nats import nats
from tests.servers.process import program
from tests.servers.stock_grpc import Shop
from tests.servers.stock_grpc import shop as stock_shop
from tests.steps.pages import site
from tests.steps.speaking import Serve, listening, settings
from tests.steps.test_dns import known, names
from tests.steps.test_sse import HEAD
from tests.steps.test_tcp import greeting
from tests.steps.test_websocket import live

# grpc -----------------------------------------------------------------------------------------------------------------

STOCK = """
- id: tea
  grpc: shop.Stocks/{method}
  json: {{sku: tea, amount: 3}}
  {more}
  timeout: 20s
  expect:
    - {check}
"""


@pytest_asyncio.fixture
async def stock() -> AsyncIterator[Shop]:
    async with stock_shop() as server:
        yield server


def asking(folder: Path, server: Shop, check: str, more: str = "reads: true", method: str = "Get") -> Bench:
    steps = STOCK.format(check=check, more=more, method=method)
    return Bench(folder, steps, settings(f"http://localhost:{server.port}", "writes: true"))


async def test_a_grpc_call_that_is_looked_at_closely_catches_every_fault(stock: Shop, tmp_path: Path) -> None:
    close = """'status == "OK" && body == {"sku": "tea", "inStock": 3}'"""

    proof = await asking(tmp_path, stock, close).proved()

    ends = findings(proof, "tea")
    assert ends.pop("stale: the answer of another run") == "equivalent"
    assert set(ends.values()) == {"caught"}, ends
    assert {"body: body.sku changed", "body: body.sku missing", "body: body.inStock of another type"} <= ends.keys()


@pytest.mark.parametrize("part", ["sku", "inStock"])
async def test_a_grpc_call_of_which_the_status_alone_is_looked_at_is_told_what_to_add(
    part: str, stock: Shop, tmp_path: Path
) -> None:
    said = await is_mended(asking(tmp_path, stock, 'status == "OK"'), "tea", Fault.BODY, f"body.{part} changed")

    assert f"- body.{part} == " in said


async def test_a_grpc_call_whose_status_nobody_looks_at_is_told_what_to_add(stock: Shop, tmp_path: Path) -> None:
    said = await is_mended(asking(tmp_path, stock, "count >= 0"), "tea", Fault.ERROR)

    assert '`- status == "OK"`' in said


async def test_messages_of_a_grpc_stream_may_be_none_or_twice(stock: Shop, tmp_path: Path) -> None:
    proof = await asking(
        tmp_path, stock, "count == 2", "{reads: true, first: 2}"[1:-1].replace(", ", "\n  "), "Watch"
    ).proved(Fault.BODY)

    ends = findings(proof, "tea")
    assert ends["body: messages empty"] == ends["body: messages with its last entry twice"] == "caught"
    assert the_trial(proof, "tea", Fault.BODY, "messages[].sku").remedy.startswith(
        'add `- messages.all(e, e.sku == "tea")` to '
    )


async def test_a_grpc_call_that_writes_does_not_leave_when_it_is_dropped(stock: Shop, tmp_path: Path) -> None:
    proof = await asking(tmp_path, stock, 'status == "OK" && body.sku == "tea"', "leaves: nothing").proved(Fault.DROP)

    assert the_trial(proof, "tea", Fault.DROP).finding is Finding.MISSED  # it was answered as ever
    assert "read back what tea made" in the_trial(proof, "tea", Fault.DROP).remedy
    assert len(stock.asked) == 2  # by the good runs


async def test_nothing_that_was_told_wrongly_leaves_in_a_call_that_writes(stock: Shop, tmp_path: Path) -> None:
    then = """
- id: more
  grpc: shop.Stocks/Get
  json: {sku: "${tea.sku}", amount: "${tea.left}"}
  leaves: nothing
  timeout: 20s
  expect:
    - status == "OK"
"""
    first = STOCK.format(check='status == "OK"', more="reads: true", method="Get")
    steps = first + "  save: {sku: body.sku, left: body.inStock}\n" + then
    bench = Bench(tmp_path, steps, settings(f"http://localhost:{stock.port}", "writes: true"))

    proof = await bench.proved(Fault.BODY)

    assert {one.finding for one in proof.trials if one.run_id} == {Finding.MISSED}
    assert len(stock.asked) > 4  # more than the good runs
    assert {(asked.sku, asked.amount) for asked in stock.asked} == {("tea", 3)}


# dns and tcp ----------------------------------------------------------------------------------------------------------

ASKED = """
- id: mail
  dns: shop.example.com
  type: MX
  server: "localhost:{port}"
  timeout: 20s
  expect:
    - {check}
"""
GREETED = """
- id: relay
  tcp: ":{port}"
  until: "\\r\\n"
  timeout: 20s
  expect:
    - {check}
"""


async def test_records_of_a_name_that_are_looked_at_catch_every_fault(tmp_path: Path) -> None:
    close = """'status == "NOERROR" && answers == ["10 mail.example.com."]'"""
    async with names(known) as server:
        proof = await Bench(
            tmp_path, ASKED.format(port=server.port, check=close), settings("http://localhost")
        ).proved()

    ends = findings(proof, "mail")
    assert ends.pop("stale: the answer of another run") == "equivalent"
    assert set(ends.values()) == {"caught"}, ends
    assert "body: answers empty" in ends


@pytest.mark.parametrize(
    ("fault", "text", "line"),
    [
        (Fault.BODY, "answers[] changed", '`- answers.all(e, e == "10 mail.example.com.")`'),
        (Fault.BODY, "answers empty", "`- size(answers) == 1`"),
        (Fault.BODY, "twice", "`- size(answers) == 1`"),
        (Fault.ERROR, "", '`- status == "NOERROR"`'),
    ],
)
async def test_records_of_a_name_that_nobody_looks_at_are_told_what_to_add(
    fault: Fault, text: str, line: str, tmp_path: Path
) -> None:
    async with names(known) as server:
        steps = ASKED.format(port=server.port, check='elapsed > duration("0s")')
        said = await is_mended(Bench(tmp_path, steps, settings("http://localhost")), "mail", fault, text)

    assert line in said


async def test_what_a_port_says_is_looked_at_or_is_told_what_to_add(tmp_path: Path) -> None:
    async with listening(greeting(b"220 ready\r\n")) as server:
        steps = GREETED.format(port=server.port, check="size(bytes) > 0")
        bench = Bench(tmp_path, steps, settings("http://localhost"))

        said = await is_mended(bench, "relay", Fault.BODY, "text changed")
        refused = the_trial(await bench.proved(Fault.ERROR), "relay", Fault.ERROR)

    assert '`- text == "220 ready\\r\\n"`' in said
    assert refused.finding is Finding.CAUGHT


# websocket and sse ----------------------------------------------------------------------------------------------------

LIVE = """
- id: feed
  websocket: /live
  open:
    - say: {{type: subscribe, reference: "${{run.namespace}}"}}
      until: message.json.type == "subscribed"
  within: 2s
  settle: 500ms
  timeout: 20s
  expect:
    - {check}
"""
EVENTS = """
- id: placed
  sse: /events?run=${{run.namespace}}
  within: 2s
  settle: 500ms
  timeout: 20s
  expect:
    - {check}
"""


async def answering(connection: ServerConnection) -> None:
    """`ordering`, and what else the order says."""
    subscribed = json.loads(await connection.recv())
    await connection.send('{"type": "subscribed"}')
    await connection.send(json.dumps({"reference": subscribed["reference"], "state": "placed"}))
    await connection.wait_closed()


async def test_a_feed_that_is_looked_at_catches_every_fault(tmp_path: Path) -> None:
    close = '\'count == 1 && message.json == {"reference": run.namespace, "state": "placed"}\''
    async with live(answering) as server:
        base = settings(f"http://localhost:{server.port}", "writes: true")
        proof = await Bench(tmp_path, LIVE.format(check=close), base).proved()

    ends = findings(proof, "feed")
    assert set(ends.values()) == {"caught"}, ends
    assert {f"{fault}" for fault in (name.partition(":")[0] for name in ends)} == {
        "drop", "delay", "duplicate", "stale", "error", "body",
    }  # fmt: skip


async def test_a_feed_whose_message_nobody_looks_at_is_told_what_to_add(tmp_path: Path) -> None:
    async with live(answering) as server:
        base = settings(f"http://localhost:{server.port}", "writes: true")
        said = await is_mended(
            Bench(tmp_path, LIVE.format(check="count >= 1"), base), "feed", Fault.BODY, "state changed"
        )

    assert '`- message.json.state == "placed"`' in said


def test_what_was_said_to_be_heard_did_leave_and_what_is_made_of_it_does_not(tmp_path: Path) -> None:
    then = """
- id: after
  http: POST /orders
  json: {reference: "${feed.reference}"}
  leaves: nothing
  expect:
    - status == 201
"""
    steps = LIVE.format(check="count == 1") + "  save: {reference: message.json.reference}\n" + then

    (journey,) = Bench(tmp_path, steps, settings("http://localhost", "writes: true")).loaded().journeys

    assert writes_from(journey, "feed") == {"after"}


def placing() -> Serve:
    """A stream with one event of whoever asks."""

    async def serve(reader, writer) -> None:  # type: ignore[no-untyped-def]
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        run = asked.split("run=")[1].split()[0]
        writer.write(HEAD + f'id: 7\nevent: placed\ndata: {{"reference": "{run}", "amount": 12}}\n\n'.encode())
        await writer.drain()
        await reader.read()

    return serve


async def test_an_event_of_a_stream_that_is_looked_at_catches_every_fault(tmp_path: Path) -> None:
    close = '\'count == 1 && message.json == {"reference": run.namespace, "amount": 12}\''
    async with listening(placing()) as server:
        base = settings(f"http://localhost:{server.port}")
        proof = await Bench(tmp_path, EVENTS.format(check=close), base).proved()

    ends = findings(proof, "placed")
    assert set(ends.values()) == {"caught"}, ends
    assert {"drop", "delay", "duplicate", "stale", "error", "body"} == {name.partition(":")[0] for name in ends}


@pytest.mark.parametrize(
    ("fault", "text", "line"),
    [(Fault.BODY, "amount changed", "`- message.json.amount == 12`"), (Fault.DUPLICATE, "", "`- count == 1`")],
)
async def test_an_event_of_a_stream_that_nobody_looks_at_is_told_what_to_add(
    fault: Fault, text: str, line: str, tmp_path: Path
) -> None:
    async with listening(placing()) as server:
        base = settings(f"http://localhost:{server.port}")
        said = await is_mended(Bench(tmp_path, EVENTS.format(check="count >= 1"), base), "placed", fault, text)

    assert line in said


# browser --------------------------------------------------------------------------------------------------------------

RECEIPT = "<!doctype html><title>Receipt</title><p class=total>12.50 EUR</p><ul><li>Tea</li><li>Milk</li></ul>"
PAGE = """
- id: receipt
  browser: /receipt
  read: {{total: .total}}
  count: {{items: li}}
  timeout: 20s
  expect:
    - {check}
"""


@pytest_asyncio.fixture
async def browsers() -> AsyncIterator[Browsers]:
    try:
        program("chromium")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    made = Browsers()
    yield made
    await made.aclose()


async def test_a_page_that_is_looked_at_catches_every_fault_and_another_is_told_what_to_add(
    browsers: Browsers, tmp_path: Path
) -> None:
    async with site(receipt=RECEIPT) as shop:
        bench = Bench(tmp_path, PAGE.format(check="status < 600"), settings(shop.base))

        said = await is_mended(bench, "receipt", Fault.BODY, "read.total changed", browsers)
        bench.heed(the_trial(await bench.proved(Fault.BODY, browsers=browsers), "receipt", Fault.BODY, "items"))
        proof = await bench.proved(browsers=browsers)

    ends = findings(proof, "receipt")
    assert '`- read.total == "12.50 EUR"`' in said
    assert ends.pop("stale: the answer of another run") == "equivalent"
    assert set(ends.values()) == {"caught"}, ends
    assert {"body: read.total missing", "error: it is refused, or ends in an error"} <= ends.keys()


# counts ---------------------------------------------------------------------------------------------------------------

KEPT = """
- id: shop
  tcp: ":{port}"
  expect:
    - elapsed > duration("0s")
"""


@pytest.mark.parametrize(("exclusive", "end"), [("true", Finding.CAUGHT), ("false", Finding.BLIND)])
async def test_one_more_that_waits_is_red_where_nobody_else_s_do_and_no_count_is_blind(
    exclusive: str, end: Finding, tmp_path: Path
) -> None:
    async with nats(tmp_path) as server, listening(greeting(b"")) as port:
        async with await client.connect(server.url) as speaker:
            await speaker.jetstream().add_stream(name="DEAD", subjects=["dead.>"])
        base = settings(
            "http://localhost",
            "",
            f"connections: {{bus: {{nats: '{server.url}'}}}}\n"
            f"evidence: {{dlq: {{nats: bus, stream: DEAD, lag: 100ms, exclusive: {exclusive}}}}}\n",
        )
        bench = Bench(tmp_path, KEPT.format(port=port.port), base)
        bench.promise("verify: {within: 500ms, expect: [{empty: dlq}]}")
        proof = await bench.proved(Fault.BODY, Fault.ERROR)

    grown = the_trial(proof, "dlq/(count)", Fault.BODY, "one more waits there")
    untold = the_trial(proof, "dlq/(count)", Fault.ERROR, "it cannot be counted")
    assert grown.finding is end
    assert "grew from 0 to 1" in grown.said
    assert ("exclusive: true" in grown.said) is (end is Finding.BLIND)
    assert untold.finding is Finding.BLIND

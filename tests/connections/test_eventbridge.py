"""`eventbridge` against moto's server."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synthmon.connections.aws import own
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.aws import KEYS, KEYWORDS, REGION, Account, Heard, message_of, set_keys
from tests.connections.opened import opened
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, echo
from tests.servers.front import Streams, front
from tests.servers.moto import ACCOUNT

RUN = "e5" * 16
MARKS = (
    ("traceparent", f"00-{RUN}-{'f6' * 8}-01"),
    ("x-correlation-id", RUN),
    ("idempotency-key", f"{RUN}-ask"),
    ("Content-Type", "application/json"),
)
PLACED = {"bus": "shop", "source": "shop.orders", "type": "OrderPlaced"}


def furnish(account: Account) -> None:
    """The system has a rule of its own for `OrderPlaced`."""
    events = account.client("events")
    events.create_event_bus(Name="shop")
    account.client("sqs").create_queue(QueueName="service")
    pattern = {"source": ["shop.orders"], "detail-type": ["OrderPlaced"]}
    events.put_rule(Name="service", EventBusName="shop", EventPattern=json.dumps(pattern))
    target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:service"}
    events.put_targets(Rule="service", EventBusName="shop", Targets=[target])


def say(account: Account, headers: Headers, body: bytes) -> None:
    detail = {**json.loads(body), **({"synthmon": dict(headers)} if headers else {})}
    entry = {"EventBusName": "shop", "Source": "shop.orders", "DetailType": "OrderAccepted"}
    account.client("events").put_events(Entries=[{**entry, "Detail": json.dumps(detail)}])


def bench_of(account: Account) -> Bench:
    async def said(headers: Headers, body: bytes) -> None:
        await asyncio.to_thread(say, account, headers, body)

    def serve(service: Service) -> AbstractAsyncContextManager[None]:
        def read(message: Any) -> tuple[Headers, bytes]:
            detail = json.loads(message["Body"])["detail"]
            return detail.pop("synthmon", {}), json.dumps(detail).encode()

        return account.serve(service, "service", read, partial(say, account))

    return Bench(
        connection=f'eventbridge: "{account.url}", {KEYS}, wait: 0',
        asked="bus: shop\nsource: shop.orders\ntype: OrderPlaced",
        answered="bus: shop\nsource: shop.orders\ntype: OrderAccepted",
        serve=serve,
        say=said,
        kill=account.kill,
        start=account.start,
    )


def rules(account: Account) -> list[str]:
    return [rule["Name"] for rule in account.client("events").list_rules(EventBusName="shop")["Rules"]]


class TestEventBridge(Scenarios):
    @pytest.fixture
    def bench(self, account: Account) -> Bench:
        return bench_of(account)

    async def test_nothing_is_left_after_the_run(self, bench: Bench, account: Account, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, echo)

        assert record.outcome is Outcome.PASSED, record.message
        assert (account.queues(), rules(account)) == (["service"], ["service"])


def link_of(account: Account, **more: Any) -> AbstractAsyncContextManager[Any]:
    return opened("eventbridge", **{"eventbridge": account.url, **KEYWORDS, "wait": 0, **more})


async def test_a_message_is_the_detail_and_what_is_around_it_are_headers(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    async with link_of(account) as link:
        ear = await link.listen({"bus": "shop", "source": "shop.orders"}, heard.put_nowait)
        await link.publish(Publication(PLACED, MARKS, b'{"order": 12345678901234567890, "name": "Zo\xc3\xab"}'))
        message = await message_of(heard)
        await ear.aclose()

    marks = {name: value for name, value in MARKS if name != "Content-Type"}
    headers = dict(message.headers)
    assert json.loads(message.content) == {"order": 12345678901234567890, "name": "Zoë", "synthmon": marks}
    assert message.subject == headers["detail-type"] == "OrderPlaced"
    assert (headers["source"], headers["region"], headers["id"]) == ("shop.orders", REGION, message.id)
    assert {name: headers[name] for name in marks} == marks


async def test_only_what_was_asked_for_is_heard(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    async with link_of(account) as link:
        ear = await link.listen(PLACED, heard.put_nowait)
        for to in ({**PLACED, "type": "OrderLost"}, {**PLACED, "source": "shop.stock"}, PLACED):
            await link.publish(Publication(to, (), json.dumps(to).encode()))
        message = await message_of(heard)
        await ear.aclose()

    assert json.loads(message.content) == PLACED
    assert heard.empty()


async def test_for_a_stranger_nothing_is_added_but_what_the_step_says(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    alone = (("user-agent", "synthmon/0"), ("idempotency-key", "0f" * 16))
    async with link_of(account) as link:
        ear = await link.listen(PLACED, heard.put_nowait)
        await link.publish(Publication(PLACED, alone, b'{"n": 1}'))
        await link.publish(Publication(PLACED, (*alone, ("tenant", "test")), b'{"n": 2}'))
        details = [json.loads((await message_of(heard)).content) for _ in range(2)]
        await ear.aclose()

    assert details == [{"n": 1}, {"n": 2, "synthmon": {"tenant": "test"}}]


async def test_a_lost_connection_costs_no_message(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    async with link_of(account) as broken, link_of(account) as anew:
        ear = await broken.listen(PLACED, heard.put_nowait)
        await broken.aclose()
        await anew.publish(Publication(PLACED, (), b'{"n": 1}'))
        resumed = await anew.resume(PLACED, heard.put_nowait, ear)
        message = await message_of(heard)
        await resumed.aclose()

    assert json.loads(message.content) == {"n": 1}
    assert (account.queues(), rules(account)) == (["service"], ["service"])


@pytest.mark.parametrize(("age_s", "stays"), [(9000, False), (3000, True)])
async def test_what_a_killed_process_left_is_swept_after_an_hour_with_its_rule(
    account: Account, age_s: float, stays: bool
) -> None:
    at_s = int(time.time() - age_s)
    name = f"{own.PREFIX}{at_s:x}-{'ab' * 12}"
    tags = {own.KIND: "eventbridge", own.OF: "shop", own.SEEN: str(at_s)}
    account.client("sqs").create_queue(QueueName=name, tags=tags)
    events = account.client("events")
    events.put_rule(Name=name, EventBusName="shop", EventPattern='{"source": ["shop.orders"]}')
    target = {"Id": "synthmon", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
    events.put_targets(Rule=name, EventBusName="shop", Targets=[target])

    async with link_of(account) as link:
        ear = await link.listen(PLACED, lambda heard: None)
        await link.swept()
        await ear.aclose()

    kept = sorted(["service", *([name] if stays else [])])
    assert (account.queues(), sorted(rules(account))) == (kept, kept)


async def test_a_bus_that_is_not_there_leaves_no_queue(account: Account) -> None:
    async with link_of(account) as link:
        with pytest.raises(ConnectionTrouble, match="no rule could be made on the bus none"):
            await link.listen({**PLACED, "bus": "none"}, lambda heard: None)

    assert account.queues() == ["service"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "without content"),
        (b"plain", "takes a JSON object"),
        (b"[1]", "takes a JSON object"),
        (b'{"synthmon": 1}', "has a member `synthmon` already"),
    ],
)
async def test_what_eventbridge_does_not_take_is_told_in_words(account: Account, content: bytes, said: str) -> None:
    async with link_of(account) as link:
        with pytest.raises(ConnectionTrouble) as told:
            await link.publish(Publication(PLACED, MARKS, content))

    assert told.value.reason is Reason.EXPRESSION
    assert said in told.value.detail


OVER = '{"__type":"ValidationException","message":"Total size of the entries in the request is over the limit."}'


async def test_an_event_over_the_limit_is_told_with_its_size(account: Account) -> None:
    """As AWS refuses one; moto takes any."""

    async def refuse(asking: Streams, behind: Streams) -> bool:
        head = await asking[0].readuntil(b"\r\n\r\n")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await asking[0].readexactly(int(length.split(b":")[1]))
        said = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(OVER)}\r\nConnection: close\r\n\r\n"
        asking[1].write((said + OVER).encode())
        await asking[1].drain()
        return False

    assert account.server is not None
    large = Publication(PLACED, MARKS, b'{"x": "' + b"x" * 256 * 1024 + b'"}')
    port = account.server.port
    async with (
        front(0, port, greet=refuse) as door,
        link_of(account, eventbridge=f"http://127.0.0.1:{door.port}") as link,
    ):
        with pytest.raises(ConnectionTrouble) as told:
            await link.publish(large)

    assert told.value.reason is Reason.EXPRESSION
    assert "did not take the event (262" in told.value.detail
    assert "over the limit" in told.value.detail


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch)
    probe = SEND % "source: shop.orders, type: OrderPlaced"
    async with front(0) as stranger:
        at = f"http://127.0.0.1:{stranger.port}"
        settings = f'connections:\n  bus: {{eventbridge: "{at}", {KEYS}, writes: true, allow: [events.example.com]}}\n'
        record = await run_probe(tmp_path, probe, settings)

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
        assert stranger.visitors == 0


SEND = "journey: a\nevery: 1m\nsteps:\n  - {id: ask, send: bus, %s, json: {n: 1}, leaves: nothing}\n"
GOOD = 'eventbridge: "https://events.eu-west-1.amazonaws.com", access_key: "env:A", secret_key: "env:B", writes: true'


@pytest.mark.parametrize(
    ("settings", "place", "code"),
    [
        (GOOD.replace(", writes: true", ""), "source: a, type: B", "write-not-allowed"),
        (GOOD, "source: a", "message-place"),
        (GOOD, "source: aws.ec2, type: B", "message-place"),
        (GOOD, "source: a, type: B, topic: c", "message-place"),
        (GOOD.replace("events.eu", "x.events.eu"), "source: a, type: B", "bad-connection"),
        (GOOD.replace("env:B", "secret"), "source: a, type: B", "bad-secret"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, place: str, code: str) -> None:
    found = faults(tmp_path, SEND % place, f"connections:\n  bus: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

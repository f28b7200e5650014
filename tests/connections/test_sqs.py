"""`sqs` against moto's server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synthmon.connections.aws.attributes import trace_header
from synthmon.connections.aws.endpoints import endpoint_of, queues_of
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Gap, Message, Publication
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.aws import KEY, KEYS, KEYWORDS, REGION, Account, attributes, lead_astray, sent_headers, set_keys
from tests.connections.brokers import SEND, assert_let_in_by_name, certified
from tests.connections.opened import opened
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service
from tests.servers.front import Streams, front
from tests.servers.process import until

RUN = "a1" * 16
MARKS = (
    ("traceparent", f"00-{RUN}-{'b2' * 8}-01"),
    ("tracestate", f"synthmon={RUN}"),
    ("baggage", "synthetic_request=true"),
    ("x-correlation-id", RUN),
    ("idempotency-key", f"{RUN}-ask"),
    ("user-agent", "synthmon/0 (synthetic; a)"),
)


def furnish(account: Account) -> None:
    """The system reads `orders-placed`; `orders-accepted` is synthmon's own."""
    sqs = account.client("sqs")
    for name in ("orders-placed", "orders-accepted", "orders-placed.fifo", "orders-accepted.fifo"):
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        tags = {"synthmon": "own"} if "accepted" in name else {}
        sqs.create_queue(QueueName=name, Attributes=fifo, tags=tags)


def say(account: Account, suffix: str, headers: Headers, body: bytes) -> None:
    url = account.queue(f"orders-accepted{suffix}")
    more = {"MessageGroupId": "answers", "MessageDeduplicationId": str(id(body) + hash(body))} if suffix else {}
    account.client("sqs").send_message(
        QueueUrl=url, MessageBody=body.decode(), MessageAttributes=attributes(headers), **more
    )


def bench_of(account: Account) -> Bench:
    async def said(headers: Headers, body: bytes) -> None:
        await asyncio.to_thread(say, account, "", headers, body)

    def serve(service: Service) -> AbstractAsyncContextManager[None]:
        def read(message: Any) -> tuple[Headers, bytes]:
            return sent_headers(message), message["Body"].encode()

        return account.serve(service, "orders-placed", read, partial(say, account, ""))

    return Bench(
        connection=f'sqs: "{account.url}", {KEYS}',
        asked="queue: orders-placed",
        answered="queue: orders-accepted",
        serve=serve,
        say=said,
        kill=account.kill,
        start=account.start,
    )


class TestSqs(Scenarios):
    @pytest.fixture
    def bench(self, account: Account) -> Bench:
        return bench_of(account)


def link_of(account: Account, **more: Any) -> AbstractAsyncContextManager[Any]:
    return opened("sqs", sqs=account.url, **KEYWORDS, **more)


def taken(account: Account, queue: str) -> dict[str, Any]:
    """What is in a queue, with its system attributes."""
    (message,) = account._take(queue)
    return dict(message)


async def test_the_trace_goes_along_as_aws_writes_it(account: Account) -> None:
    async with link_of(account) as link:
        await link.publish(Publication({"queue": "orders-placed"}, MARKS, b'{"n": 1}'))
    message = await asyncio.to_thread(taken, account, "orders-placed")

    trace = message["Attributes"]["AWSTraceHeader"]
    assert trace == f"Root=1-{RUN[:8]}-{RUN[8:]};Parent={'b2' * 8};Sampled=1"
    assert sent_headers(message) == dict(MARKS)


async def test_a_message_that_bears_nothing_but_the_trace_is_found_by_it(account: Account) -> None:
    heard: asyncio.Queue[Message | Gap] = asyncio.Queue()
    system = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace_header(dict(MARKS)["traceparent"])}}
    async with link_of(account) as link:
        ear = await link.listen({"queue": "orders-accepted"}, heard.put_nowait)
        url = account.queue("orders-accepted")
        account.client("sqs").send_message(QueueUrl=url, MessageBody="plain", MessageSystemAttributes=system)
        message = await asyncio.wait_for(heard.get(), 30)
        await ear.aclose()

    assert isinstance(message, Message)
    assert ("trace-id", RUN) in message.headers


async def test_a_queue_that_is_not_synthmons_own_is_never_read(account: Account, tmp_path: Path) -> None:
    sqs = account.client("sqs")
    sqs.send_message(QueueUrl=account.queue("orders-placed"), MessageBody="of the system")
    settings = f'connections:\n  bus: {{sqs: "{account.url}", {KEYS}}}\n'
    probe = "journey: a\nevery: 1m\nsteps:\n  - {id: heard, receive: bus, queue: orders-placed, expect: [count == 1]}\n"

    record = await run_probe(tmp_path, probe, settings)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert "synthmon=own" in record.message
    message = await asyncio.to_thread(taken, account, "orders-placed")
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"  # this one: nobody had it before


async def test_two_who_listen_to_one_queue_both_hear_it(account: Account) -> None:
    first: asyncio.Queue[Message | Gap] = asyncio.Queue()
    second: asyncio.Queue[Message | Gap] = asyncio.Queue()
    to = {"queue": "orders-accepted"}
    async with link_of(account) as link:
        ears = [await link.listen(to, first.put_nowait), await link.listen(to, second.put_nowait)]
        await asyncio.to_thread(say, account, "", {}, b"both")
        both = await asyncio.wait_for(asyncio.gather(first.get(), second.get()), 30)
        await ears[0].aclose()
        await asyncio.to_thread(say, account, "", {}, b"one")
        one = await asyncio.wait_for(second.get(), 30)
        await ears[1].aclose()

    assert [message.content for message in (*both, one) if isinstance(message, Message)] == [b"both", b"both", b"one"]
    assert first.empty()


async def empty(link: Any, at: dict[str, str]) -> bool | None:
    return True if await link.count(at) == 0 else None


async def test_what_was_heard_is_gone_from_the_queue_and_what_came_meanwhile_is_not(account: Account) -> None:
    heard: asyncio.Queue[Message | Gap] = asyncio.Queue()
    to = {"queue": "orders-accepted"}
    async with link_of(account) as link:
        ear = await link.listen(to, heard.put_nowait)
        await asyncio.to_thread(say, account, "", {}, b"1")
        await asyncio.wait_for(heard.get(), 30)
        await until(partial(empty, link, to), "an empty queue")  # it is deleted right after it was told
        await ear.aclose()
        await asyncio.to_thread(say, account, "", {}, b"2")
        left = await link.count(to)

    assert left == 1


async def test_in_a_fifo_a_repeated_attempt_is_the_same_message_and_each_run_a_group(account: Account) -> None:
    to = {"queue": "orders-placed.fifo"}
    async with link_of(account) as link:
        for marks in (MARKS, MARKS, (*MARKS[:-2], ("idempotency-key", f"{RUN}-other"))):
            await link.publish(Publication(to, marks, b"{}"))
        await link.publish(Publication({**to, "key": "customer-7"}, (), b"{}"))
    messages = await asyncio.to_thread(account._take, "orders-placed.fifo")

    told = [(one["Attributes"]["MessageGroupId"], one["Attributes"]["MessageDeduplicationId"]) for one in messages]
    assert told[:2] == [(RUN, f"{RUN}-ask"), (RUN, f"{RUN}-other")]
    assert told[2][0] == "customer-7"
    assert len(told) == 3


async def test_a_fifo_is_heard_in_its_order(account: Account) -> None:
    heard: asyncio.Queue[Message | Gap] = asyncio.Queue()
    async with link_of(account) as link:
        ear = await link.listen({"queue": "orders-accepted.fifo"}, heard.put_nowait)
        for n in range(12):
            await link.publish(Publication({"queue": "orders-accepted.fifo", "key": "g"}, (), str(n).encode()))
        messages = [await asyncio.wait_for(heard.get(), 30) for _ in range(12)]
        await ear.aclose()

    assert [one.content for one in messages if isinstance(one, Message)] == [str(n).encode() for n in range(12)]


async def refused(link: Any, publication: Publication) -> ConnectionTrouble:
    with pytest.raises(ConnectionTrouble) as told:
        await link.publish(publication)
    return told.value


async def test_what_sqs_does_not_take_is_told_in_words(account: Account) -> None:
    to = {"queue": "orders-placed"}
    many = tuple((f"header-{n}", "x") for n in range(7))
    async with link_of(account) as link:
        nothing = await refused(link, Publication(to, MARKS, b""))
        binary = await refused(link, Publication(to, MARKS, b"\xff"))
        crowded = await refused(link, Publication(to, (*MARKS, *many), b"x"))
        strange = await refused(link, Publication(to, (("aws.header", "x"),), b"x"))
        absent = await refused(link, Publication({"queue": "none"}, (), b"x"))
        large = await refused(link, Publication(to, MARKS, b"x" * (1024 * 1024 + 1)))
        await link.publish(Publication(to, (*MARKS, *many[:6]), b"x"))
    message = await asyncio.to_thread(taken, account, "orders-placed")

    assert "without content" in nothing.detail
    assert "takes text" in binary.detail
    assert "takes 10 attributes and this one has 11" in crowded.detail
    assert "cannot be an attribute" in strange.detail
    assert (absent.reason, "none was not found" in absent.detail) == (Reason.CONNECTION, True)
    assert (large.reason, "did not take the message (1048" in large.detail) == (Reason.EXPRESSION, True), large.detail
    assert all(not one.sent for one in (nothing, binary, crowded, strange))
    assert sent_headers(message).keys() == {*dict(MARKS)} - {"user-agent", "tracestate"} | {*dict(many[:6])}


SAY = "journey: said\nevery: 1m\nsteps:\n  - {id: ask, send: bus, queue: orders-placed, body: x, leaves: nothing}\n"
SAY += "  - {id: heard, receive: bus, queue: orders-accepted, within: 1s, timeout: 30s, expect: [count == 0]}\n"


def settings_of(url: str, more: str = "") -> str:
    return f'connections:\n  bus: {{sqs: "{url}", {KEYS}, writes: true{more}}}\n'


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch)
    async with front(0) as stranger:
        settings = settings_of(f"http://127.0.0.1:{stranger.port}", ', allow: ["sqs.example.com"]')

        record = await run_probe(tmp_path, SAY, settings)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert stranger.visitors == 0


@pytest.mark.parametrize("target", ["/again", "http://127.0.0.1:{port}/", "http://localhost:{port}/"])
async def test_a_redirect_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    set_keys(monkeypatch)
    async with front(0) as stranger:

        async def leads_astray(asking: Streams, behind: Streams) -> bool:
            reader, writer = asking
            await reader.readuntil(b"\r\n\r\n")
            where = target.format(port=stranger.port)
            writer.write(
                f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await writer.drain()
            return False

        async with front(0, stranger.port, greet=leads_astray) as door:
            record = await run_probe(tmp_path, SAY, settings_of(f"http://127.0.0.1:{door.port}"))

        assert record.outcome is Outcome.UNKNOWN, record.message
        assert (door.visitors, stranger.visitors) == (1, 1)  # the second is the front's own way to what is behind it


async def test_only_addresses_that_the_guard_answered_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere from one connection to the next is looked at each time."""
    from synthmon.connections.aws.client import connected, prepared

    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[tuple[str, int]] = []

    class Outlet:
        async def pinned(self, host: str, port: int) -> Sequence[str]:
            asked.append((host, port))
            return answers[min(len(asked), len(answers)) - 1]

        def secret(self, name: str) -> str:
            return "x" * 20

        def tls(self) -> None:
            return None

    async with front(0, host="127.0.0.1") as first, front(first.port, host="127.0.0.2") as second:
        endpoint = endpoint_of(f"http://sqs.example.com:{first.port}", REGION)
        service = await connected(await asyncio.to_thread(prepared, "sqs"), "sqs", endpoint, Outlet())
        for _ in range(2):
            with pytest.raises(Exception, match="disconnected"):  # whoever comes is sent away
                await service.ask("list_queues")
        await service.aclose()

    assert asked == [("sqs.example.com", first.port)] * 2
    assert (first.visitors, second.visitors) == (1, 1)


@pytest.mark.parametrize(("name", "passes"), [("localhost", True), ("elsewhere.example.com", False)])
async def test_tls_is_with_the_host_of_the_address(account: Account, tmp_path: Path, name: str, passes: bool) -> None:
    assert account.server is not None
    async with front(0, account.server.port, tls=certified(tmp_path, name)) as door:
        tls = f", tls: {{ca: {tmp_path / 'ca.pem'}}}, networks: [127.0.0.0/8]"
        record = await run_probe(tmp_path, SAY, settings_of(f"https://localhost:{door.port}", tls))

    assert_let_in_by_name(record, passes)


async def test_keys_come_from_references_and_nowhere_else_and_are_never_shown(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    seen: list[bytes] = []
    assert account.server is not None

    async def noted(asking: Streams, behind: Streams) -> bool:
        head = await asking[0].readuntil(b"\r\n\r\n")
        seen.append(head)
        behind[1].write(head)
        return True

    monkeypatch.setenv("PROBE_TOKEN", "a-session-token-of-nobody")
    lead_astray(monkeypatch)
    async with front(0, account.server.port, greet=noted) as door:
        settings = settings_of(f"http://127.0.0.1:{door.port}", ', session_token: "env:PROBE_TOKEN"')
        record = await run_probe(tmp_path, SAY, settings)

    assert record.outcome is Outcome.PASSED, record.message
    assert b"Credential=AKIAPROBEPROBEPROBE0/" in seen[0]
    assert b"a-session-token-of-nobody" in seen[0]
    assert b"/eu-west-1/sqs/aws4_request" in seen[0]
    assert b"synthmon/" in seen[0]
    assert b"of-somebody-else" not in seen[0]
    assert not any(secret in repr(record) + caplog.text for secret in (KEY, "a-session-token-of-nobody"))


REFUSAL = '{"__type":"com.amazonaws.sqs#InvalidSignatureException","message":"Canonical: token-of-nobody"}'


async def test_what_aws_repeats_of_a_request_that_it_refuses_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch)

    async def refuse(asking: Streams, behind: Streams) -> bool:
        await asking[0].readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 403 Forbidden\r\nContent-Length: {len(REFUSAL)}\r\nConnection: close\r\n\r\n"
        asking[1].write((head + REFUSAL).encode())
        await asking[1].drain()
        return False

    async with front(0) as behind, front(0, behind.port, greet=refuse) as door:
        record = await run_probe(tmp_path, SAY, settings_of(f"http://127.0.0.1:{door.port}"))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "does not accept the keys (InvalidSignatureException)" in record.message
    assert "token-of-nobody" not in repr(record)


HEAR = "journey: a\nevery: 1m\nsteps:\n  - {id: ask, receive: bus, %s, expect: [count == 1]}\n"
GOOD = 'sqs: "https://sqs.eu-west-1.amazonaws.com", access_key: "env:A", secret_key: "env:B"'


@pytest.mark.parametrize(
    ("settings", "probe", "code"),
    [
        (GOOD, SEND % "queue: a", "write-not-allowed"),
        (f"{GOOD}, writes: true", SEND % "topic: a", "message-place"),
        (f"{GOOD}, writes: true", SEND % 'queue: "https://sqs.eu-west-1.amazonaws.com/1/a"', "message-place"),
        (GOOD, HEAR % "queue: a b", "message-place"),
        (GOOD, HEAR % "queue: a, key: g", "message-place"),
        ('sqs: "https://sqs.eu-west-1.amazonaws.com"', HEAR % "queue: a", "missing-key"),
        (GOOD.replace("env:B", "in-plain-text"), HEAR % "queue: a", "bad-secret"),
        (GOOD.replace("sqs.eu-west-1.amazonaws.com", "localstack"), HEAR % "queue: a", "bad-connection"),
        (GOOD.replace("https:", "ftp:"), HEAR % "queue: a", "bad-connection"),
        (GOOD.replace("//sqs", "//user@sqs"), HEAR % "queue: a", "bad-connection"),
        (GOOD.replace(".com", ".com/123456789012/a"), HEAR % "queue: a", "bad-connection"),
        (f"{GOOD}, profile: probe", HEAR % "queue: a", "unknown-key"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, probe: str, code: str) -> None:
    found = faults(tmp_path, probe, f"connections:\n  bus: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found


@pytest.mark.parametrize(
    "place", ["queue: orders.fifo, key: customer-7", 'queue: "arn:aws:sqs:eu-west-1:123456789012:a"']
)
def test_what_can_work_loads(tmp_path: Path, place: str) -> None:
    assert faults(tmp_path, SEND % place, f"connections:\n  bus: {{{GOOD}, writes: true}}\n") == []


@pytest.mark.parametrize(
    ("address", "queues"),
    [
        ("https://sns.eu-west-1.amazonaws.com", "https://sqs.eu-west-1.amazonaws.com"),
        ("https://sns.cn-north-1.amazonaws.com.cn", "https://sqs.cn-north-1.amazonaws.com.cn"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
    ],
)
def test_queues_are_beside_the_service(address: str, queues: str) -> None:
    assert queues_of(endpoint_of(address, "eu-west-1"), "sns", "").url == queues


def test_behind_an_endpoint_of_a_private_network_queues_must_be_named() -> None:
    private = endpoint_of("https://vpce-0a1b.sns.eu-west-1.vpce.amazonaws.com", "")

    assert private.region == "eu-west-1"
    with pytest.raises(ValueError, match="queues"):
        queues_of(private, "sns", "")


@pytest.mark.parametrize("parent", ["", "00-xyz-1-01", f"00-{RUN}-{'b2' * 8}"])
def test_no_trace_is_made_of_what_is_none(parent: str) -> None:
    assert trace_header(parent) == ""

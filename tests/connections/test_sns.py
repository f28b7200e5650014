"""`sns` against moto's server."""

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
from tests.connections.aws import KEYS, KEYWORDS, REGION, Account, Heard, attributes, message_of, sent_headers, set_keys
from tests.connections.brokers import SEND
from tests.connections.opened import opened
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, echo
from tests.servers.front import Streams, front
from tests.servers.moto import ACCOUNT
from tests.servers.process import until

RUN = "c3" * 16
MARKS = (("traceparent", f"00-{RUN}-{'d4' * 8}-01"), ("x-correlation-id", RUN), ("idempotency-key", f"{RUN}-ask"))
ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:"


def furnish(account: Account) -> None:
    """The system has a queue of its own on `orders-placed`."""
    sns, sqs = account.client("sns"), account.client("sqs")
    for name in ("orders-placed", "orders-accepted"):
        sns.create_topic(Name=name)
        sns.create_topic(Name=f"{name}.fifo", Attributes={"FifoTopic": "true"})
    sqs.create_queue(QueueName="service")
    subscribe(account, "orders-placed", "service")


def subscribe(account: Account, topic: str, queue: str) -> None:
    account.client("sns").subscribe(
        TopicArn=f"{ARN}{topic}",
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
        Attributes={"RawMessageDelivery": "true"},
    )


def say(account: Account, headers: Headers, body: bytes) -> None:
    account.client("sns").publish(
        TopicArn=f"{ARN}orders-accepted", Message=body.decode(), MessageAttributes=attributes(headers)
    )


def bench_of(account: Account) -> Bench:
    async def said(headers: Headers, body: bytes) -> None:
        await asyncio.to_thread(say, account, headers, body)

    def serve(service: Service) -> AbstractAsyncContextManager[None]:
        def read(message: Any) -> tuple[Headers, bytes]:
            return sent_headers(message), message["Body"].encode()

        return account.serve(service, "service", read, partial(say, account))

    return Bench(
        connection=f'sns: "{account.url}", {KEYS}, account: "{ACCOUNT}", wait: 0',
        asked=f"topic: {ARN}orders-placed",
        answered="topic: orders-accepted",
        serve=serve,
        say=said,
        kill=account.kill,
        start=account.start,
    )


class TestSns(Scenarios):
    @pytest.fixture
    def bench(self, account: Account) -> Bench:
        return bench_of(account)

    async def test_nothing_is_left_after_the_run_and_nobody_missed_anything(
        self, bench: Bench, account: Account, tmp_path: Path
    ) -> None:
        account.client("sqs").create_queue(QueueName="billing")
        subscribe(account, "orders-accepted", "billing")

        record = await self.run(bench, tmp_path, echo)

        assert record.outcome is Outcome.PASSED, record.message
        assert account.queues() == ["billing", "service"]
        assert len(account.client("sns").list_subscriptions()["Subscriptions"]) == 2
        (copy,) = await asyncio.to_thread(account._take, "billing")
        assert sent_headers(copy)["x-correlation-id"] == record.run_id


def link_of(account: Account, **more: Any) -> AbstractAsyncContextManager[Any]:
    return opened("sns", **{"sns": account.url, **KEYWORDS, "wait": 0, **more})


async def test_a_message_with_more_attributes_than_a_queue_takes_is_heard(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    many = {f"header-{n}": str(n) for n in range(14)}
    async with link_of(account) as link:
        ear = await link.listen({"topic": f"{ARN}orders-accepted"}, heard.put_nowait)
        await asyncio.to_thread(say, account, many, b'{"n": 1}')
        message = await message_of(heard)
        await ear.aclose()

    assert dict(message.headers) == many
    assert (message.subject, message.content) == ("orders-accepted", b'{"n": 1}')


async def test_one_publication_has_one_id_however_often_it_is_delivered(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    async with link_of(account) as link:
        ear = await link.listen({"topic": f"{ARN}orders-accepted"}, heard.put_nowait)
        (queue,) = (name for name in account.queues() if name.startswith(own.PREFIX))
        said = account.client("sns").publish(TopicArn=f"{ARN}orders-accepted", Message="once")
        first = await message_of(heard)
        envelope = {"Type": "Notification", "MessageId": said["MessageId"], "Message": "once"}
        account.client("sqs").send_message(QueueUrl=account.queue(queue), MessageBody=json.dumps(envelope))
        again = await message_of(heard)
        await ear.aclose()

    assert first.id == again.id == said["MessageId"]


async def test_the_trace_goes_along_as_aws_writes_it(account: Account) -> None:
    assert account.server is not None
    heads: list[bytes] = []

    async def noted(asking: Streams, behind: Streams) -> bool:
        heads.append(await asking[0].readuntil(b"\r\n\r\n"))
        behind[1].write(heads[-1])
        return True

    port = account.server.port
    async with front(0, port, greet=noted) as door, link_of(account, sns=f"http://127.0.0.1:{door.port}") as link:
        await link.publish(Publication({"topic": f"{ARN}orders-placed"}, MARKS, b"{}"))

    trace = f"X-Amzn-Trace-Id: Root=1-{RUN[:8]}-{RUN[8:]};Parent={'d4' * 8};Sampled=1".encode()
    assert trace.lower() in heads[0].lower()


async def test_a_fifo_is_heard_and_each_run_is_a_group_of_its_own(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    to = {"topic": f"{ARN}orders-placed.fifo"}
    account.client("sqs").create_queue(QueueName="service.fifo", Attributes={"FifoQueue": "true"})
    subscribe(account, "orders-placed.fifo", "service.fifo")
    async with link_of(account) as link:
        ear = await link.listen(to, heard.put_nowait)
        await link.publish(Publication(to, MARKS, b"1"))
        await link.publish(Publication({**to, "key": "customer-7"}, MARKS[:-1], b"2"))
        messages = [await message_of(heard), await message_of(heard)]
        await ear.aclose()
    copies = [one["Attributes"] for one in await asyncio.to_thread(account._take, "service.fifo")]

    assert [message.content for message in messages] == [b"1", b"2"]
    assert [one["MessageGroupId"] for one in copies] == [RUN, "customer-7"]
    assert copies[0]["MessageDeduplicationId"] == f"{RUN}-ask"
    assert account.queues() == ["service", "service.fifo"]


async def test_a_lost_connection_costs_no_message(account: Account) -> None:
    heard: Heard = asyncio.Queue()
    to = {"topic": f"{ARN}orders-accepted"}
    async with link_of(account) as broken, link_of(account) as anew:
        ear = await broken.listen(to, heard.put_nowait)
        await broken.aclose()
        await asyncio.to_thread(say, account, {}, b"meanwhile")
        resumed = await anew.resume(to, heard.put_nowait, ear)
        message = await message_of(heard)
        await resumed.aclose()

    assert message.content == b"meanwhile"
    assert account.queues() == ["service"]


def left_behind(account: Account, made_s: float, seen_s: float, tag: str = "sns") -> str:
    """A queue and its subscription, as a killed process leaves them."""
    name = f"{own.PREFIX}{int(made_s):x}-{'ab' * 12}"
    tags = {own.KIND: tag, own.OF: f"{ARN}orders-accepted", own.SEEN: str(int(seen_s))}
    account.client("sqs").create_queue(QueueName=name, tags=tags)
    subscribe(account, "orders-accepted", name)
    return name


async def swept(account: Account) -> None:
    """As any process that begins to listen does."""
    async with link_of(account) as link:
        ear = await link.listen({"topic": f"{ARN}orders-placed"}, lambda heard: None)
        await link.swept()
        await ear.aclose()


async def test_what_a_killed_process_left_is_swept_after_an_hour_with_its_subscription(account: Account) -> None:
    left_behind(account, time.time() - 4000, time.time() - 3700)

    await swept(account)

    assert account.queues() == ["service"]
    assert len(account.client("sns").list_subscriptions()["Subscriptions"]) == 1


@pytest.mark.parametrize(
    ("made_s", "seen_s", "tag"),
    [(3000, 3000, "sns"), (9000, 3000, "sns"), (9000, 9000, "eventbridge"), (9000, 9000, "")],
)
async def test_what_is_young_or_still_read_or_not_ours_is_not_swept(
    account: Account, made_s: float, seen_s: float, tag: str
) -> None:
    kept = left_behind(account, time.time() - made_s, time.time() - seen_s, tag=tag)

    await swept(account)

    assert account.queues() == sorted(["service", kept])


async def test_the_queue_of_a_topic_that_is_gone_is_swept_as_well(account: Account) -> None:
    left_behind(account, time.time() - 9000, time.time() - 9000)
    account.client("sns").delete_topic(TopicArn=f"{ARN}orders-accepted")

    await swept(account)

    assert account.queues() == ["service"]


async def test_a_queue_that_is_read_for_long_says_so(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "SIGN_S", 0.0)
    sqs = account.client("sqs")
    async with link_of(account) as link:
        ear = await link.listen({"topic": f"{ARN}orders-placed"}, lambda heard: None)
        (queue,) = (name for name in account.queues() if name.startswith(own.PREFIX))
        sqs.tag_queue(QueueUrl=account.queue(queue), Tags={own.SEEN: "1"})
        account.client("sns").publish(TopicArn=f"{ARN}orders-placed", Message="it asks anew after this")

        async def signed() -> bool | None:
            tags = await asyncio.to_thread(sqs.list_queue_tags, QueueUrl=account.queue(queue))
            return True if int(tags["Tags"][own.SEEN]) > 1 else None

        await until(signed, "a sign of life")
        await ear.aclose()


async def test_a_topic_that_cannot_be_subscribed_to_leaves_no_queue(account: Account) -> None:
    async with link_of(account) as link:
        with pytest.raises(ConnectionTrouble, match="none could not be subscribed to"):
            await link.listen({"topic": f"{ARN}none"}, lambda heard: None)

    assert account.queues() == ["service"]


async def test_what_sns_does_not_take_is_told_in_words(account: Account) -> None:
    to = {"topic": f"{ARN}orders-placed"}
    async with link_of(account) as link:
        with pytest.raises(ConnectionTrouble) as large:
            await link.publish(Publication(to, MARKS, b"x" * (256 * 1024 + 1)))
        with pytest.raises(ConnectionTrouble) as nameless:
            await link.publish(Publication({"topic": "orders-placed"}, MARKS, b"x"))
        await link.publish(Publication(to, MARKS, b"x" * (200 * 1024)))

    assert (large.value.reason, "(262145 bytes and its attributes)" in large.value.detail) == (Reason.EXPRESSION, True)
    assert "add `account:`" in nameless.value.detail or "no `account:`" in nameless.value.detail


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_keys(monkeypatch)
    probe = f"journey: a\nevery: 1m\nsteps:\n  - {{id: h, receive: bus, topic: {ARN}t, expect: [count == 1]}}\n"
    async with front(0) as stranger, front(0) as queues:
        at, beside = f"http://127.0.0.1:{stranger.port}", f"http://localhost:{queues.port}"
        settings = f'connections:\n  bus: {{sns: "{at}", queues: "{beside}", {KEYS}, allow: ["127.0.0.1"]}}\n'
        record = await run_probe(tmp_path, probe, settings)

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
        assert stranger.visitors == queues.visitors == 0


GOOD = 'sns: "https://sns.eu-west-1.amazonaws.com", access_key: "env:A", secret_key: "env:B", writes: true'


@pytest.mark.parametrize(
    ("settings", "place", "code"),
    [
        (GOOD.replace(", writes: true", ""), "topic: a", "write-not-allowed"),
        (GOOD, "queue: a", "message-place"),
        (GOOD, 'topic: "arn:aws:sqs:eu-west-1:123456789012:a"', "message-place"),
        (f"{GOOD}, account: 12345", "topic: a", "wrong-type"),
        (f'{GOOD}, account: "12345"', "topic: a", "bad-connection"),
        (f"{GOOD}, wait: 90", "topic: a", "out-of-range"),
        (GOOD.replace("sns.eu", "vpce-1.sns.eu").replace("amazonaws", "vpce.amazonaws"), "topic: a", "bad-connection"),
        (GOOD.replace("env:A", "AKIAPROBEPROBEPROBE0"), "topic: a", "bad-secret"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, place: str, code: str) -> None:
    found = faults(tmp_path, SEND % place, f"connections:\n  bus: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

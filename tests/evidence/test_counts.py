"""Counts of waiting messages, over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import boto3
import nats as client
import pytest
from botocore.config import Config
from nats.js.api import AckPolicy, ConsumerConfig

from synthmon.connections.nats import CONNECTION, NatsKeys, NatsLink
from synthmon.connections.sqs import CONNECTION as queue_service
from synthmon.connections.sqs import SqsKeys
from synthmon.evidence import amqp, kafka, nats, redis, sqs
from synthmon.evidence.counting import CountSource
from tests.evidence.lending import Lent, a_source, wanted, watching
from tests.servers.moto import moto_server
from tests.servers.nats import nats as server


class Outlet:
    """`core.connections.Outlet` that lets everything through."""

    async def pinned(self, host: str, port: int) -> Sequence[str]:
        return [host]

    def secret(self, name: str) -> str:
        return ""

    def tls(self) -> None:
        return None


@asynccontextmanager
async def a_stream(folder: Path) -> AsyncIterator[tuple[client.js.JetStreamContext, NatsLink]]:
    async with server(folder) as running, await client.connect(running.url) as speaker:
        streams = speaker.jetstream()
        await streams.add_stream(name="DEAD", subjects=["dead.>"])
        link = await CONNECTION.open(NatsKeys(nats=running.url), Outlet())
        try:
            yield streams, link
        finally:
            await link.aclose()


async def test_a_count_is_told_at_first_and_whenever_it_changed(tmp_path: Path) -> None:
    async with a_stream(tmp_path) as (streams, link):
        await streams.publish("dead.letter", b"{}")
        source = a_source(nats.SOURCE, {"nats": "bus", "stream": "DEAD"})

        async with watching(nats.SOURCE, source, wanted(), Lent(link=link)) as heard:
            await heard.until_told("count")
            await heard.until_sure()  # and looked once more, with nothing new
            await streams.publish("dead.letter", b"{}")
            await heard.until_told("count", "count")

    assert [record.attrs for record in heard.records] == [{"count": "1"}, {"count": "2"}]
    assert heard.where == "DEAD on bus"


async def test_what_a_consumer_has_not_dealt_with_is_counted_without_taking_any(tmp_path: Path) -> None:
    async with a_stream(tmp_path) as (streams, link):
        await streams.add_consumer("DEAD", ConsumerConfig(durable_name="billing", ack_policy=AckPolicy.EXPLICIT))
        for _ in range(3):
            await streams.publish("dead.letter", b"{}")
        pulled = await streams.pull_subscribe_bind("billing", "DEAD")
        done, held = await pulled.fetch(2)
        await done.ack_sync()
        source = a_source(nats.SOURCE, {"nats": "bus", "stream": "DEAD", "consumer": "billing"})

        async with watching(nats.SOURCE, source, wanted(), Lent(link=link)) as heard:
            await heard.until_told("count")
        await held.ack()

    assert heard.records[0].attrs == {"count": "2"}
    assert heard.where == "billing of DEAD on bus"


async def test_while_the_broker_cannot_be_asked_nothing_is_claimed(tmp_path: Path) -> None:
    async with a_stream(tmp_path) as (streams, link):
        source = a_source(nats.SOURCE, {"nats": "bus", "stream": "NONE"})

        async with watching(nats.SOURCE, source, wanted(), Lent(link=link)) as heard:
            await heard.until(lambda: heard.blind != [])
            assert heard.watermark_ns == 0
            assert heard.records == []
            await streams.add_stream(name="NONE", subjects=["none"])
            await heard.until_told("count")


async def test_a_queue_of_sqs_is_counted_without_taking_hiding_or_touching_any(tmp_path: Path) -> None:
    """What a consumer has in hand and what is delayed is in the queue as well."""
    async with moto_server(tmp_path) as cloud:
        keys = {"aws_access_key_id": "probe", "aws_secret_access_key": "probe", "region_name": "eu-west-1"}
        queues = boto3.session.Session(**keys).client("sqs", endpoint_url=cloud.url, config=Config(proxies={}))
        url = queues.create_queue(QueueName="billing-dlq", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
        for delay_s in (0, 0, 900):
            queues.send_message(QueueUrl=url, MessageBody="{}", DelaySeconds=delay_s)
        about = {"QueueUrl": url, "MessageSystemAttributeNames": ["All"]}
        (held,) = queues.receive_message(**about)["Messages"]
        source = a_source(sqs.SOURCE, {"sqs": "bus", "queue": "billing-dlq"})
        settings = SqsKeys(sqs=cloud.url, region="eu-west-1", access_key="env:A", secret_key="env:B")
        link = await queue_service.open(settings, Outlet())
        try:
            async with watching(sqs.SOURCE, source, wanted(), Lent(link=link)) as heard:
                await heard.until_told("count")
                queues.delete_message(QueueUrl=url, ReceiptHandle=held["ReceiptHandle"])
                await heard.until_told("count", "count")
        finally:
            await link.aclose()
        (other,) = queues.receive_message(**about)["Messages"]
        queues.close()

    assert [record.attrs for record in heard.records] == [{"count": "3"}, {"count": "2"}]
    assert heard.where == "billing-dlq on bus"
    assert other["Attributes"]["ApproximateReceiveCount"] == "1"  # that was us, right now: nobody had it before


@pytest.mark.parametrize(
    ("source", "keys", "at"),
    [
        (amqp.SOURCE, {"amqp": "bus", "queue": "billing.dlq"}, {"queue": "billing.dlq"}),
        (sqs.SOURCE, {"sqs": "bus", "queue": "billing-dlq"}, {"queue": "billing-dlq"}),
        (kafka.SOURCE, {"kafka": "bus", "topic": "t", "group": "g"}, {"topic": "t", "group": "g"}),
        (redis.SOURCE, {"redis": "bus", "stream": "s"}, {"stream": "s"}),
        (redis.SOURCE, {"redis": "bus", "stream": "s", "group": "g"}, {"stream": "s", "group": "g"}),
        (nats.SOURCE, {"nats": "bus", "stream": "s", "consumer": "c"}, {"stream": "s", "consumer": "c"}),
    ],
)
async def test_each_broker_is_asked_in_its_own_words(
    source: CountSource, keys: dict[str, str], at: dict[str, str]
) -> None:
    class Link:
        async def count(self, at: dict[str, str]) -> int:
            asked.put_nowait(at)
            return 0

    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async with watching(source, a_source(source, keys), wanted(), Lent(link=Link())) as heard:  # type: ignore[arg-type]
        await heard.until_told("count")

    assert source.connection(source.keys.model_validate(keys)) == "bus"
    assert await asked.get() == at
    assert source.counts

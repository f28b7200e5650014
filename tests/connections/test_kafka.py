"""`kafka` against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiokafka as client
import pytest
from aiokafka.structs import BrokerMetadata

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Message, Publication
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.brokers import (
    SEND,
    Heard,
    assert_a_password_is_ours_alone,
    assert_a_stranger_is_left_alone,
    assert_let_in_by_name,
    certified,
)
from tests.connections.opened import opened
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, bench_of
from tests.servers.front import front
from tests.servers.kafka import Kafka, kafka
from tests.servers.kafka_login import login
from tests.servers.ports import free_port

TOPICS = ("orders.placed", "orders.accepted")


class Bus:
    """The broker, which can be killed and started again on its port; its topics are made anew then."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, AsyncExitStack()
        self.server: Kafka | None = None

    @property
    def address(self) -> str:
        assert self.server is not None
        return self.server.address

    async def start(self) -> None:
        port = self.server.port if self.server else 0
        self.server = await self._stack.enter_async_context(kafka(self._folder, port, TOPICS))

    async def kill(self) -> None:
        await self._stack.aclose()

    async def say(self, headers: Headers, body: bytes) -> None:
        async with client.AIOKafkaProducer(bootstrap_servers=self.address) as speaker:
            await speaker.send_and_wait("orders.accepted", body, headers=_encoded(headers))

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncIterator[None]:
        consumer = client.AIOKafkaConsumer(bootstrap_servers=self.address)
        producer = client.AIOKafkaProducer(bootstrap_servers=self.address)
        replies: set[asyncio.Task[None]] = set()

        async def answer() -> None:
            async for record in consumer:
                asked = {name: value.decode() for name, value in record.headers}
                for delay_s, headers, body in service(asked, record.value):
                    replies.add(asyncio.create_task(later(delay_s, headers, body)))

        async def later(delay_s: float, headers: Headers, body: bytes) -> None:
            await asyncio.sleep(delay_s)
            await producer.send_and_wait("orders.accepted", body, headers=_encoded(headers))

        await consumer.start()
        await producer.start()
        consumer.assign([client.TopicPartition("orders.placed", partition) for partition in range(2)])
        await consumer.seek_to_end()
        answering = asyncio.create_task(answer())
        try:
            yield
        finally:
            for task in (answering, *replies):
                task.cancel()
            await asyncio.gather(answering, *replies, return_exceptions=True)
            # the broker may have been killed, and then the library tells it in many ways
            await asyncio.gather(consumer.stop(), producer.stop(), return_exceptions=True)


def _encoded(headers: Headers) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in headers.items()]


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    made = Bus(tmp_path / "kafka")
    await made.start()
    yield made
    await made.kill()


class TestKafka(Scenarios):
    @pytest.fixture
    def bench(self, bus: Bus) -> Bench:
        return bench_of(bus, f'kafka: "{bus.address}"', "topic: orders.placed\nkey: order-1", "topic: orders.accepted")


SAY = """
journey: said
every: 1m
deadline: 60s
steps:
  - {id: ask, send: bus, topic: orders.placed, key: order-1, body: "${run.id}", leaves: nothing, timeout: 20s}
  - {id: heard, receive: bus, topic: orders.placed, within: 30s, timeout: 20s, expect: [count == 1]}
"""


def settings_of(address: str, more: str = "") -> str:
    return f'connections:\n  bus: {{kafka: "{address}", writes: true{more}}}\n'


async def test_every_record_after_arming_is_heard_while_somebody_writes_all_the_time(bus: Bus) -> None:
    heard, written = Heard(), 0
    async with (
        client.AIOKafkaProducer(bootstrap_servers=bus.address) as speaker,
        opened("kafka", kafka=bus.address) as link,
    ):

        async def write() -> None:
            nonlocal written
            while True:
                written += 1
                await speaker.send_and_wait("orders.placed", str(written).encode())

        writing = asyncio.create_task(write())
        ear = await link.listen({"topic": "orders.placed"}, heard)
        since = written + 1  # the last one may be before or after
        while written < since + 50:  # noqa: ASYNC110 - the writer counts
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await heard.until(*(str(each).encode() for each in range(since, written)))
        await ear.aclose()

    assert len(heard.contents) == len(set(heard.contents))
    assert len({one.id for one in heard.all if isinstance(one, Message)}) == len(heard.all)


async def test_what_was_there_before_is_not_heard(bus: Bus) -> None:
    await bus.say({}, b"before")
    heard = Heard()
    async with opened("kafka", kafka=bus.address) as link:
        await link.listen({"topic": "orders.accepted"}, heard)
        await bus.say({}, b"after")
        await heard.until(b"after")

    assert heard.contents == [b"after"]


async def test_a_listener_of_a_broken_link_is_resumed_with_what_was_written_meanwhile(bus: Bus) -> None:
    heard = Heard()
    async with opened("kafka", kafka=bus.address) as link:
        ear = await link.listen({"topic": "orders.accepted"}, heard)
        await bus.say({}, b"first")
        await heard.until(b"first")
        await link.aclose()
    await bus.say({}, b"meanwhile")
    async with opened("kafka", kafka=bus.address) as link:
        await link.resume({"topic": "orders.accepted"}, heard, ear)
        await heard.until(b"meanwhile")

    assert heard.contents == [b"first", b"meanwhile"]


async def test_partitions_that_are_made_while_it_listens_are_heard_from_their_start(bus: Bus) -> None:
    assert bus.server is not None
    heard = Heard()
    await bus.server.make_topics("orders.wide", partitions=1)
    async with opened("kafka", kafka=bus.address) as link:
        await link.listen({"topic": "orders.wide"}, heard)
        await bus.server.make_anew("orders.wide", partitions=3)  # it cannot add partitions to a topic
        async with client.AIOKafkaProducer(bootstrap_servers=bus.address) as speaker:
            await speaker.send_and_wait("orders.wide", b"in the last one", partition=2)
        await heard.until(b"in the last one")


async def test_a_record_is_told_with_its_key_its_place_and_its_headers(bus: Bus) -> None:
    heard = Heard()
    async with opened("kafka", kafka=bus.address) as link:
        await link.listen({"topic": "orders.placed"}, heard)
        to = {"topic": "orders.placed", "key": "order-ü"}
        await link.publish(Publication(to, (("X-Tenant", "tést"),), b"hello"))
        await heard.until(b"hello")

    (message,) = heard.all
    assert isinstance(message, Message)
    partition, offset = message.facts["partition"], message.facts["offset"]
    assert message.id == f"orders.placed:{partition}:{offset}"
    assert dict(message.headers) == {"x-tenant": "tést", "kafka.key": "order-ü"}


async def test_a_key_chooses_the_partition_that_other_clients_choose(bus: Bus) -> None:
    heard = Heard()
    async with (
        client.AIOKafkaProducer(bootstrap_servers=bus.address) as speaker,
        opened("kafka", kafka=bus.address) as link,
    ):
        await link.listen({"topic": "orders.placed"}, heard)
        theirs = {}
        for key in ("a", "order-1", "x" * 40):
            theirs[key] = (await speaker.send_and_wait("orders.placed", b"", key=key.encode())).partition
            await link.publish(Publication({"topic": "orders.placed", "key": key}, (), key.encode()))
        await heard.until(*(key.encode() for key in theirs))

    ours = {m.content.decode(): m.facts["partition"] for m in heard.all if isinstance(m, Message) and m.content}
    assert ours == theirs


async def test_a_message_of_900_kb_goes_and_comes(bus: Bus) -> None:
    heard, big = Heard(), b"x" * 900_000
    async with opened("kafka", kafka=bus.address) as link:
        await link.listen({"topic": "orders.placed"}, heard)
        await link.publish(Publication({"topic": "orders.placed"}, (), big))
        await heard.until(big)


async def test_how_far_a_group_is_behind_is_told_without_joining_it(bus: Bus) -> None:
    group: dict[str, Any] = {"group_id": "billing", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    async with client.AIOKafkaProducer(bootstrap_servers=bus.address) as speaker:
        for number in range(7):
            await speaker.send_and_wait("orders.placed", str(number).encode(), partition=number % 2)
    async with client.AIOKafkaConsumer("orders.placed", bootstrap_servers=bus.address, **group) as consumer:
        await consumer.commit({client.TopicPartition("orders.placed", 0): 3})

        async with opened("kafka", kafka=bus.address) as link:
            count = await link.count({"topic": "orders.placed", "group": "billing"})
            with pytest.raises(ConnectionTrouble, match="has committed no offset"):
                await link.count({"topic": "orders.accepted", "group": "billing"})

    assert count == 1 + 3  # of the 4 in the first partition 3 are done; of the other none


async def test_listening_leaves_nothing_and_makes_no_topic(bus: Bus, tmp_path: Path) -> None:
    assert bus.server is not None
    record = await run_probe(
        tmp_path, SAY.replace("topic: orders.placed, w", "topic: orders.typo, w"), settings_of(bus.address)
    )

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "no topic orders.typo" in record.message
    assert sorted(await bus.server.topics()) == sorted(TOPICS)
    assert await bus.server.groups() == []


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(tmp_path: Path) -> None:
    await assert_a_stranger_is_left_alone(tmp_path, settings_of, "127.0.0.1:%s", SAY)


async def test_a_stranger_that_a_cluster_calls_its_broker_is_not_connected_to(tmp_path: Path) -> None:
    async with (
        front(0, host="127.0.0.2") as stranger,
        kafka(tmp_path / "kafka", advertised=f"127.0.0.2:{stranger.port}") as server,
    ):
        record = await run_probe(tmp_path, SAY, settings_of(server.address))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EGRESS_BLOCKED), record.message
    assert f"is 127.0.0.2:{stranger.port}; 127.0.0.2 is not in `allow`" in record.message
    assert stranger.visitors == 0


async def test_a_stranger_that_comes_into_the_cluster_later_is_not_connected_to(bus: Bus) -> None:
    async with front(0, host="127.0.0.2") as stranger, opened("kafka", kafka=bus.address) as link:
        cluster = link._client.cluster
        cluster._brokers[7] = BrokerMetadata(7, "127.0.0.2", stranger.port, None)

        ready = await link._client.ready(7)

        assert not ready
        assert "127.0.0.2 is not in `allow`" in await asyncio.wait_for(link.until_broken(), 30)
        assert stranger.visitors == 0


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_comes_from_a_reference_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mechanism: str
) -> None:
    caplog.set_level("INFO")
    inner = free_port()
    async with (
        front(0, inner, greet=login(mechanism, "probe", "open-sesame-please")) as door,
        kafka(tmp_path / "kafka", inner, TOPICS, advertised=f"127.0.0.1:{door.port}"),
    ):
        settings = settings_of(
            f"127.0.0.1:{door.port}", f', user: probe, password: "env:BUS_PASSWORD", mechanism: {mechanism}'
        )
        monkeypatch.setenv("BUS_PASSWORD", "open-sesame-please")
        record = await run_probe(tmp_path, SAY, settings)
        monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
        denied = await run_probe(tmp_path / "denied", SAY, settings)

    assert_a_password_is_ours_alone(record, denied, caplog.text)


async def test_a_login_that_a_broker_refuses_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
    login_as = ', user: probe, password: "env:BUS_PASSWORD", mechanism: SCRAM-SHA-512'
    async with kafka(tmp_path / "kafka", options=("--authentication",)) as server:
        record = await run_probe(tmp_path, SAY, settings_of(server.address, login_as))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "refused the login" in record.message


@pytest.mark.parametrize(("name", "passes"), [("localhost", True), ("kafka.example.com", False)])
async def test_tls_is_with_the_name_of_the_broker(tmp_path: Path, name: str, passes: bool) -> None:
    inner = free_port()
    async with (
        front(0, inner, tls=certified(tmp_path, name)) as door,
        kafka(tmp_path / "kafka", inner, TOPICS, advertised=f"localhost:{door.port}"),
    ):
        tls = f", tls: {{ca: {tmp_path / 'ca.pem'}}}"
        record = await run_probe(tmp_path, SAY, settings_of(f"tls://localhost:{door.port}", tls))

    assert_let_in_by_name(record, passes)


@pytest.mark.parametrize(
    ("settings", "place", "code"),
    [
        ('kafka: "h:9092"', "topic: a", "write-not-allowed"),
        ('kafka: "h:9092", writes: true', "subject: a", "message-place"),
        ('kafka: "h:9092", writes: true', "key: a", "message-place"),
        ('kafka: "https://h:9092", writes: true', "topic: a", "bad-connection"),
        ('kafka: "h:9092/topic", writes: true', "topic: a", "bad-connection"),
        ('kafka: "kafka://u:p@h:9092", writes: true', "topic: a", "bad-connection"),
        ("kafka: [], writes: true", "topic: a", "bad-connection"),
        ('kafka: ["h:9092", "tls://i:9093"], writes: true', "topic: a", "bad-connection"),
        ('kafka: "h:9092", user: probe, writes: true', "topic: a", "bad-connection"),
        ('kafka: "h:9092", user: probe, password: sesame, writes: true', "topic: a", "bad-secret"),
        ('kafka: "h:9092", mechanism: GSSAPI, writes: true', "topic: a", "unknown-word"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, place: str, code: str) -> None:
    found = faults(tmp_path, SEND % place, f"connections:\n  bus: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

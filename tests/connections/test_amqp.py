"""`amqp` against a real RabbitMQ: one for all of the file, and only what kills it starts it again."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aio_pika as client
import pytest
import trustme
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue

from synthmon.connections.amqp import CONNECTION, AmqpKeys, AmqpLink
from synthmon.core.connections import ConnectionTrouble, Counts, Hears, Publishes
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.brokers import assert_a_stranger_is_left_alone, assert_let_in_by_name
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, bench_of, echo, silent
from tests.servers.rabbitmq import RabbitMQ, rabbitmq


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    folder = tmp_path_factory.mktemp("rabbitmq-tls")
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(str(folder / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with rabbitmq(
        {"cacertfile": folder / "ca.pem", "certfile": folder / "cert.pem", "keyfile": folder / "key.pem"}
    ) as broker:
        yield broker


class Bus:
    """The server and an exchange of one test."""

    def __init__(self, server: RabbitMQ, kind: str = "topic") -> None:
        self.server, self.kind = server, kind
        self.exchange = f"orders-{uuid4().hex[:8]}"

    @property
    def connection(self) -> str:
        return f'amqp: "{self.server.address}", user: probe, password: "env:BUS_PASSWORD"'

    def at(self, key: str) -> str:
        return f"exchange: {self.exchange}\nkey: {key}"

    @asynccontextmanager
    async def speaking(self) -> AsyncIterator[tuple[AbstractChannel, AbstractExchange]]:
        """A client that is not ours."""
        async with await client.connect(self.server.url()) as connection:
            channel = await connection.channel()
            yield channel, await channel.declare_exchange(self.exchange, self.kind, durable=True)

    @asynccontextmanager
    async def owning(self, name: str, key: str) -> AsyncIterator[AbstractQueue]:
        """A durable queue of the service under test, which nobody reads for now."""
        async with self.speaking() as (channel, exchange):
            queue = await channel.declare_queue(f"{self.exchange}-{name}", durable=True)
            await queue.bind(exchange, key)
            yield queue
            await queue.delete(if_unused=False, if_empty=False)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def kill(self) -> None:
        await asyncio.to_thread(self.server.kill)

    async def say(self, headers: Headers, body: bytes) -> None:
        async with self.speaking() as (_, exchange):
            await exchange.publish(client.Message(body, headers=dict(headers)), "orders.accepted")

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncIterator[None]:
        replies: set[asyncio.Task[None]] = set()
        connection = await client.connect(self.server.url())
        channel = await connection.channel()
        exchange = await channel.declare_exchange(self.exchange, self.kind, durable=True)

        async def answer(message: AbstractIncomingMessage) -> None:
            headers = {name: str(value) for name, value in message.headers.items()}
            for delay_s, told, body in service(headers, message.body):
                replies.add(asyncio.create_task(later(delay_s, told, body)))

        async def later(delay_s: float, headers: Headers, body: bytes) -> None:
            await asyncio.sleep(delay_s)
            await exchange.publish(client.Message(body, headers=dict(headers)), "orders.accepted")

        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, "orders.placed")
        await queue.consume(answer, no_ack=True)
        try:
            yield
        finally:
            for reply in replies:
                reply.cancel()
            with suppress(Exception):  # it may have been killed
                await connection.close()


@pytest.fixture
def bus(server: RabbitMQ, monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setenv("BUS_PASSWORD", "open-sesame-please")
    server.start()  # a test before this one may have killed it
    return Bus(server)


class TestAmqp(Scenarios):
    @pytest.fixture
    def bench(self, bus: Bus) -> Bench:
        return bench_of(bus, bus.connection, bus.at("orders.placed"), bus.at("orders.accepted"))

    @pytest.mark.parametrize(("options", "outcome"), [("", Outcome.UNKNOWN), (", watches: true", Outcome.FAILED)])
    async def test_a_server_that_is_down_is_ours_unless_it_is_itself_watched(
        self, bench: Bench, tmp_path: Path, options: str, outcome: Outcome
    ) -> None:
        async def nothing() -> None:
            """It is down already: one that had to be started again would cost everybody a quarter of a minute."""

        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # held, and not listening
            down = replace(bench, connection=f'amqp: "amqp://127.0.0.1:{nobody.getsockname()[1]}"', kill=nothing)
            await super().test_a_server_that_is_down_is_ours_unless_it_is_itself_watched(
                down, tmp_path, options, outcome
            )

    async def test_the_owner_of_a_queue_misses_nothing(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        async with bus.owning("billing", "orders.accepted") as billing:
            record = await self.run(bench, tmp_path, echo)

            message = await billing.get(timeout=30)
            assert message is not None
            assert not message.redelivered
            assert await billing.get(fail=False) is None  # it got the one answer, and nothing from us
            await message.ack()
        assert record.outcome is Outcome.PASSED, record.message

    async def test_nothing_is_left_after_a_run(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        async with bus.owning("billing", "orders.accepted") as billing:
            record = await self.run(bench, tmp_path, echo)

            assert record.outcome is Outcome.PASSED, record.message
            assert await asyncio.to_thread(bus.server.control, "list_queues", "name") == ["name", billing.name]
            bindings = await asyncio.to_thread(bus.server.control, "list_bindings", "source_name", "destination_name")
            assert [line.split("\t")[-1] for line in bindings if bus.exchange in line.split("\t")[:1]] == [billing.name]

    async def test_a_message_that_no_queue_takes_is_an_error(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        record = await self.run(
            replace(bench, asked=bus.at("orders.misspelt")), tmp_path, echo, options=", watches: true"
        )

        assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.REFUSED, "ask"), record.message
        assert "no queue is bound there that takes it" in record.message

    async def test_an_exchange_that_is_not_there_cannot_be_listened_to(
        self, bench: Bench, bus: Bus, tmp_path: Path
    ) -> None:
        record = await self.run(replace(bench, answered="exchange: ordrs\nkey: a"), tmp_path, echo)

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
        assert "no exchange 'ordrs'" in record.message

    async def test_what_leaves_is_persistent_and_bears_the_marks_as_properties_too(
        self, bench: Bench, bus: Bus, tmp_path: Path
    ) -> None:
        async with bus.owning("store", "orders.placed") as store:
            record = await self.run(bench, tmp_path, echo)

            message = await store.get(timeout=30, no_ack=True)
        assert record.outcome is Outcome.PASSED, record.message
        assert message is not None
        assert message.delivery_mode is client.DeliveryMode.PERSISTENT
        assert message.correlation_id == record.run_id == message.headers["x-correlation-id"]
        assert message.message_id == message.headers["idempotency-key"]
        assert message.content_type == "application/json"
        assert "Content-Type" not in message.headers

    async def test_all_keys_that_a_pattern_means_are_heard(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        settings = f"connections:\n  bus: {{{bench.connection}, writes: true}}\n"
        ear = "  - {id: %s, receive: bus, exchange: %s, %swithin: 5s after second, expect: [count == %d]}\n"
        probe = "journey: keys\nevery: 1m\nsteps:\n"
        for id, key in (("first", "orders.eu.paid"), ("second", "orders.paid")):
            probe += f"  - {{id: {id}, send: bus, exchange: {bus.exchange}, key: {key}, body: '${{run.id}}', "
            probe += "leaves: nothing}\n"
        for id, key, count in (("star", "orders.*", 1), ("hash", "orders.#", 2), ("exact", "orders.lost", 0)):
            probe += ear % (id, bus.exchange, f"key: '{key}', ", count)
        probe += ear % ("every", bus.exchange, "", 2)

        async with bus.serve(silent):
            record = await run_probe(tmp_path, probe, settings)

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_big_message_comes_whole(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        """It takes many frames: one holds 128 KiB."""
        settings = f"connections:\n  bus: {{{bench.connection}, writes: true}}\n"
        probe = f"""
journey: big
every: 1m
steps:
  - id: ask
    send: bus
    queue: {bus.exchange}-placed
    body: "${{run.id}} {"x" * 500_000}"
    leaves: nothing
  - id: answer
    receive: bus
    exchange: {bus.exchange}
    key: orders.accepted
    within: 30s after ask
    expect:
      - size(message.text) == {32 + 1 + 500_000}
"""
        async with bus.owning("placed", "none") as placed, bus.speaking() as (_, exchange):

            async def answer(message: AbstractIncomingMessage) -> None:
                await exchange.publish(client.Message(message.body), "orders.accepted")

            await placed.consume(answer, no_ack=True)
            record = await run_probe(tmp_path, probe, settings)

        assert record.outcome is Outcome.PASSED, record.message


class Open:
    """`core.connections.Outlet` that lets everything through."""

    async def pinned(self, host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    def secret(self, name: str) -> str:
        return "open-sesame-please"

    def tls(self) -> Any:
        return ssl.create_default_context()


@pytest.fixture
async def link(bus: Bus) -> AsyncIterator[AmqpLink]:
    opened = await CONNECTION.open(AmqpKeys(amqp=bus.server.address, user="probe", password="env:BUS_PASSWORD"), Open())
    yield opened
    await opened.aclose()


async def test_messages_in_a_queue_are_counted_and_not_touched(link: AmqpLink, bus: Bus) -> None:
    assert isinstance(link, Publishes)
    assert isinstance(link, Hears)
    assert isinstance(link, Counts)
    async with bus.owning("billing", "orders.placed") as billing:
        for n in range(3):
            await link.publish(Publication({"exchange": bus.exchange, "key": "orders.placed"}, (), b"%d" % n))
        await link.publish(Publication({"queue": billing.name}, (), b"3"))

        counts = [await link.count({"queue": billing.name}) for _ in range(3)]

        assert counts == [4, 4, 4]
        message = await billing.get(timeout=30)
        assert message is not None
        assert (message.body, message.redelivered) == (b"0", False)
        assert await link.count({"queue": billing.name}) == 3  # one is under way
        await message.ack()


async def test_a_queue_that_is_not_there_cannot_be_counted_and_harms_no_other_use(link: AmqpLink, bus: Bus) -> None:
    with pytest.raises(ConnectionTrouble, match=r"no queue 'billing\.dlq'"):
        await link.count({"queue": "billing.dlq"})

    async with bus.owning("billing", "orders.placed") as billing:
        assert await link.count({"queue": billing.name}) == 0


async def test_one_publication_that_fails_takes_no_other_with_it(link: AmqpLink, bus: Bus) -> None:
    async with bus.owning("billing", "orders.placed") as billing:
        good = Publication({"exchange": bus.exchange, "key": "orders.placed"}, (), b"good")
        bad = Publication({"exchange": "ordrs", "key": "orders.placed"}, (), b"bad")

        done = await asyncio.gather(*(link.publish(one) for one in [good, bad] * 20), return_exceptions=True)

        assert [type(one) for one in done] == [type(None), ConnectionTrouble] * 20
        assert await link.count({"queue": billing.name}) == 20
        assert not link.broken


async def test_the_number_of_a_channel_is_not_given_again_at_once(link: AmqpLink) -> None:
    """The broker may not have heard yet that we know that it closed it."""
    numbers = []
    for _ in range(5):
        with pytest.raises(ConnectionTrouble):
            await link.publish(Publication({"exchange": "ordrs", "key": "orders.placed"}, (), b"bad"))
        channel = await link._new_channel(confirms=True)
        numbers.append(channel.number)
        await channel.close()

    assert len(set(numbers)) == 5
    assert not link.broken


async def test_all_numbers_of_channels_come_round_again(link: AmqpLink) -> None:
    opened = await link._new_channel(confirms=False)
    assert link._connection is not None
    link._number = link._connection.connection_tune.channel_max

    after = await link._new_channel(confirms=False)

    assert (opened.number, after.number) == (1, 2)


async def test_a_publication_that_was_given_up_harms_no_other(link: AmqpLink, bus: Bus) -> None:
    async with bus.owning("billing", "orders.placed") as billing:
        publication = Publication({"queue": billing.name}, (), b"x")
        for _ in range(20):
            given_up = asyncio.create_task(link.publish(publication))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)

        await asyncio.wait_for(link.publish(publication), 30)

        assert not link.broken


async def test_a_full_queue_that_refuses_a_message_is_an_error(link: AmqpLink, bus: Bus) -> None:
    async with bus.speaking() as (channel, _):
        limits: dict[str, Any] = {"x-max-length": 1, "x-overflow": "reject-publish"}
        full = await channel.declare_queue(f"{bus.exchange}-full", exclusive=True, arguments=limits)
        publication = Publication({"queue": full.name}, (), b"x")

        async def fill() -> None:
            for _ in range(5):  # it may take one more than it says
                await link.publish(publication)

        with pytest.raises(ConnectionTrouble, match="nack"):
            await fill()


async def test_headers_of_every_type_are_texts_and_properties_are_headers(link: AmqpLink, bus: Bus) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with bus.speaking() as (_, exchange):
        ear = await link.listen({"exchange": bus.exchange, "key": "#"}, heard.put_nowait)
        headers: dict[str, Any] = {
            "Text": "a",
            "n": 1,
            "yes": True,
            "list": [1, "b"],
            "in": {"k": bytearray(b"v")},
            "none": None,
        }
        message = client.Message(
            b"{}", headers=headers, correlation_id="c1", message_id="m1", content_type="text/plain"
        )
        await exchange.publish(message, "orders.a")
        came = await asyncio.wait_for(heard.get(), 30)
        await ear.aclose()

    assert came.subject == "orders.a"
    assert dict(came.headers) == {
        "text": "a",
        "n": "1",
        "yes": "true",
        "list": '[1,"b"]',
        "in": '{"k":"v"}',
        "none": "null",
        "correlation-id": "c1",
        "content-type": "text/plain",
        "message-id": "m1",
    }


async def test_a_listener_whose_queue_is_deleted_breaks_the_link(link: AmqpLink, bus: Bus) -> None:
    async with bus.speaking():
        await link.listen({"exchange": bus.exchange, "key": "#"}, lambda message: None)
        (queue,) = [
            line
            for line in await asyncio.to_thread(bus.server.control, "list_queues", "name")
            if line.startswith("amq.gen-")
        ]
        await asyncio.to_thread(bus.server.control, "delete_queue", queue)

        assert "deleted" in await asyncio.wait_for(link.until_broken(), 30)


async def test_a_broker_that_stands_still_is_lost_after_a_few_heartbeats(bus: Bus) -> None:
    link = await CONNECTION.open(
        AmqpKeys(amqp=bus.server.address, user="probe", password="env:BUS_PASSWORD", heartbeat=1), Open()
    )
    async with bus.speaking():
        ear = await link.listen({"exchange": bus.exchange, "key": "#"}, lambda message: None)
        with bus.server.standing_still():
            await asyncio.wait_for(link.until_broken(), 60)
            await asyncio.wait_for(ear.aclose(), 30)
            await asyncio.wait_for(link.aclose(), 30)


async def test_fifty_listeners_at_once_leave_nothing_behind(link: AmqpLink, bus: Bus) -> None:
    heard: list[int] = []

    async def one(n: int) -> None:
        ear = await link.listen({"exchange": bus.exchange, "key": "#"}, lambda message: heard.append(n))
        await everybody.wait()
        await link.publish(Publication({"exchange": bus.exchange, "key": str(n)}, (), b""))
        await link.publish(Publication({"exchange": bus.exchange, "key": str(n)}, (), b""))
        await ear.aclose()

    everybody = asyncio.Barrier(50)
    async with bus.speaking() as (_, exchange):
        await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(50))), 60)

        assert set(heard) == set(range(50))
        await exchange.delete(if_unused=True)  # refused while anything is bound to it


PROBE = """
journey: said
every: 1m
steps:
  - id: ask
    send: bus
    exchange: amq.topic
    key: orders.placed
    body: "${run.id}"
    headers: {Authorization: "Bearer ${secret.api_token}"}
    leaves: nothing
  - {id: heard, receive: bus, exchange: amq.topic, key: orders.placed, within: 30s, expect: [count == 2]}
"""


async def test_neither_a_password_nor_a_secret_header_is_ever_shown(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "a-token-of-silver-77")
    probe = PROBE.replace("within: 30s", "within: 1s")
    settings = f"secrets: {{api_token: env:API_TOKEN}}\nconnections:\n  bus: {{{bus.connection}, writes: true}}\n"

    record = await run_probe(tmp_path, probe, settings)
    monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
    denied = await run_probe(tmp_path / "denied", probe, settings)

    assert (record.outcome, record.step) == (Outcome.FAILED, "heard"), record.message
    assert "a-token-of-silver-77" not in repr(record)
    assert (denied.outcome, denied.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), denied.message
    assert "did not let `probe` in" in denied.message
    assert "not-the-right-one" not in repr(denied)


async def test_an_account_without_the_right_is_our_own_fault_even_where_the_broker_is_watched(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUS_PASSWORD", "nobody-knows-me")
    connection = bus.connection.replace("probe", "stranger")
    settings = f"connections:\n  bus: {{{connection}, writes: true, watches: true}}\n"

    record = await run_probe(tmp_path, PROBE.replace("    headers: {Auth", "    #"), settings)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "stranger" in record.message


SEND = "journey: a\nevery: 1m\nsteps:\n  - {id: ask, send: bus, %s, body: '${run.id}', leaves: nothing}\n"
HEAR = (
    "journey: a\nevery: 1m\nsteps:\n  - {id: ask, send: bus, queue: q, body: '${run.id}', leaves: nothing}\n"
    "  - {id: heard, receive: bus, %s, within: 1s, expect: [count == 0]}\n"
)


@pytest.mark.parametrize(("path", "outcome"), [("shop%2Feu", Outcome.PASSED), ("shop", Outcome.UNKNOWN)])
async def test_the_path_of_the_address_is_the_virtual_host(
    bus: Bus, tmp_path: Path, path: str, outcome: Outcome
) -> None:
    connection = bus.connection.replace(bus.server.address, f"{bus.server.address}/{path}")
    settings = f"connections:\n  bus: {{{connection}, writes: true}}\n"
    probe = PROBE.replace("    headers: {Auth", "    #").replace("count == 2", "count == 1")

    record = await run_probe(tmp_path, probe, settings)

    assert record.outcome is outcome, record.message
    assert outcome is Outcome.PASSED or "refused the virtual host" in record.message


async def test_over_tls_the_certificate_must_be_that_of_the_name(
    bus: Bus, authority: trustme.CA, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    probe = PROBE.replace("    headers: {Auth", "    #").replace("count == 2", "count == 1")

    async def over(host: str, more: str = f", tls: {{ca: {ca}}}") -> Any:
        connection = bus.connection.replace(bus.server.address, f"amqps://{host}:{bus.server.tls_port}")
        settings = f'connections:\n  bus: {{{connection}, writes: true, networks: ["127.0.0.0/8", "::1/128"]{more}}}\n'
        return await run_probe(tmp_path / host, probe, settings)

    named, numbered, unknown = await over("localhost"), await over("127.0.0.1"), await over("localhost", "")

    for record, passes in ((named, True), (numbered, False), (unknown, False)):
        assert_let_in_by_name(record, passes)


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(tmp_path: Path) -> None:
    def settings_of(address: str, more: str) -> str:
        return f'connections:\n  bus: {{amqp: "{address}", writes: true{more}}}\n'

    await assert_a_stranger_is_left_alone(tmp_path, settings_of, "amqp://127.0.0.1:%s", SEND % "queue: a")


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def test_something_else_that_listens_there_is_told_so(tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def at(answer: Answer) -> Any:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
            port = other.sockets[0].getsockname()[1]
            settings = f'connections:\n  bus: {{amqp: "amqp://127.0.0.1:{port}", writes: true, watches: true}}\n'
            probe = SEND % "queue: a, timeout: 2s"
            return await asyncio.wait_for(run_probe(tmp_path / str(port), probe, settings), 60)

    spoken, silent = await at(web), await at(silence)

    assert spoken.outcome is Outcome.FAILED, spoken.message
    assert (silent.outcome, silent.reason) == (Outcome.FAILED, Reason.TIMEOUT), silent.message


@pytest.mark.parametrize(
    ("settings", "probe", "said"),
    [
        ('bus: {amqp: "amqp://h"}', SEND % "queue: a", "write-not-allowed:"),
        ('bus: {amqp: "amqp://h", writes: true}', SEND % "topic: a", "message-place: `topic` says nothing to amqp"),
        ('bus: {amqp: "amqp://h", writes: true}', SEND % "timeout: 1s", "message-place: Nothing says where"),
        ('bus: {amqp: "amqp://h", writes: true}', SEND % "key: a", "message-place: A routing key alone"),
        ('bus: {amqp: "amqp://h", writes: true}', SEND % "queue: a, exchange: b", "message-place: A message goes"),
        ('bus: {amqp: "amqp://h", writes: true}', HEAR % "queue: a", "message-place: Reading from a queue takes"),
        ('bus: {amqp: "amqp://h", writes: true}', HEAR % "exchange: '', key: a", "message-place: The default exchange"),
        ('bus: {amqp: "amqp://h", writes: true}', HEAR % "key: a", "message-place: `exchange` is missing"),
        ('bus: {amqp: "nats://h", writes: true}', SEND % "queue: a", "bad-connection:"),
        ('bus: {amqp: "amqp://u:p@h", writes: true}', SEND % "queue: a", "bad-connection: the address holds a user"),
        ('bus: {amqp: "amqp://h/a/b", writes: true}', SEND % "queue: a", "bad-connection: after the host"),
        ('bus: {amqp: "amqp://h/a?b=c", writes: true}', SEND % "queue: a", "bad-connection: after the host"),
        ('bus: {amqp: "amqp://h", password: sesame, writes: true}', SEND % "queue: a", "bad-secret:"),
        ('bus: {amqp: "amqp://h", heartbeat: 0, writes: true}', SEND % "queue: a", "out-of-range:"),
        ('bus: {amqp: "amqp://h", writes: true, usr: a}', SEND % "queue: a", "unknown-key:"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, probe: str, said: str) -> None:
    found = faults(tmp_path, probe, f"connections:\n  {settings}\n")

    assert any(one.startswith(said) for one in found), found

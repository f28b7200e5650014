"""`mqtt` against a real Mosquitto, and against brokers that behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import trustme
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from synthmon.connections.mqtt import CONNECTION, MqttKeys, MqttLink
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Message, Publication
from synthmon.core.outcomes import Outcome, Reason
from tests.connections.brokers import assert_a_stranger_is_left_alone, assert_let_in_by_name
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, bench_of, echo
from tests.servers.mosquitto import Mosquitto, mosquitto
from tests.servers.process import until


def client(port: int, **more: Any) -> aiomqtt.Client:
    """One that is not ours."""
    return aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, timeout=30, **more)


def marked(headers: Headers) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if headers:
        properties.UserProperty = list(headers.items())
    return properties


class Bus:
    """The server, which can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, AsyncExitStack()
        self.server: Mosquitto | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    @property
    def said(self) -> str:
        """Its log."""
        return (self._folder / "mosquitto.log").read_text()

    async def start(self) -> None:
        port = self.server.port if self.server else 0
        self.server = await self._stack.enter_async_context(mosquitto(self._folder, port))

    async def kill(self) -> None:
        await self._stack.aclose()

    async def say(self, headers: Headers, body: bytes) -> None:
        async with client(self.port) as speaker:
            await speaker.publish("orders/accepted", body, qos=1, properties=marked(headers))

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncIterator[None]:
        replies: set[asyncio.Task[None]] = set()

        async def later(server: aiomqtt.Client, delay_s: float, headers: Headers, body: bytes) -> None:
            await asyncio.sleep(delay_s)
            await server.publish("orders/accepted", body, qos=1, properties=marked(headers))

        async def answer(ready: asyncio.Event) -> None:
            with suppress(aiomqtt.MqttError):  # it may be killed
                async with client(self.port) as server:
                    await server.subscribe("orders/placed", qos=1)
                    ready.set()
                    async for message in server.messages:
                        headers = dict(getattr(message.properties, "UserProperty", ()))
                        for delay_s, told, body in service(headers, bytes(message.payload)):
                            replies.add(asyncio.create_task(later(server, delay_s, told, body)))

        ready = asyncio.Event()
        answering = asyncio.create_task(answer(ready))
        await asyncio.wait_for(ready.wait(), 30)
        try:
            yield
        finally:
            for task in (answering, *replies):
                task.cancel()
            await asyncio.gather(answering, *replies, return_exceptions=True)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    made = Bus(tmp_path / "mosquitto")
    await made.start()
    yield made
    await made.kill()


class TestMqtt(Scenarios):
    @pytest.fixture
    def bench(self, bus: Bus) -> Bench:
        return bench_of(
            bus,
            f'mqtt: "mqtt://127.0.0.1:{bus.port}", client: shop-probe',
            "topic: orders/placed",
            "topic: orders/accepted",
        )

    async def test_what_leaves_bears_the_marks_as_properties_and_is_not_retained(
        self, bench: Bench, bus: Bus, tmp_path: Path
    ) -> None:
        async with client(bus.port) as other:
            await other.subscribe("orders/placed", qos=1)
            record = await self.run(bench, tmp_path, echo)
            message = await asyncio.wait_for(anext(aiter(other.messages)), 30)
        async with client(bus.port) as later:
            await later.subscribe("orders/#", qos=1)
            await later.publish("orders/done", b"", qos=1)
            first = await asyncio.wait_for(anext(aiter(later.messages)), 30)

        assert record.outcome is Outcome.PASSED, record.message
        assert message.qos == 1
        properties: Any = message.properties
        assert properties.ContentType == "application/json"
        assert properties.CorrelationData == record.run_id.encode()
        assert dict(properties.UserProperty)["x-correlation-id"] == record.run_id
        assert "content-type" not in {name.lower() for name, _ in properties.UserProperty}
        assert first.topic.value == "orders/done"  # nothing was retained

    async def test_it_comes_with_an_id_and_a_session_of_its_own_and_takes_leave(
        self, bench: Bench, bus: Bus, tmp_path: Path
    ) -> None:
        record = await self.run(bench, tmp_path, echo)

        assert record.outcome is Outcome.PASSED, record.message
        connected = [line for line in bus.said.splitlines() if " as shop-probe-" in line]
        assert len(connected) == len(set(connected)) == 2
        assert all("(p5, c1, k20)" in line for line in connected)  # MQTT 5, clean start, keepalive

        async def both_left() -> bool | None:
            left = [line for line in bus.said.splitlines() if "Client shop-probe-" in line and "disconnected." in line]
            return len(left) == 2 or None

        await until(both_left, "the leave of both sessions")  # and not "closed its connection"

    async def test_a_retained_message_is_not_one_of_now(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        async with client(bus.port) as other:
            await other.publish("orders/accepted", b'{"amount": 12}', qos=1, retain=True)
        record = await self.run(bench, tmp_path, echo, more="where: message.json.amount == 12\nsettle: 1s")

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_message_that_is_retained_while_the_run_listens_is_heard(
        self, bench: Bench, bus: Bus, link: MqttLink
    ) -> None:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        ear = await link.listen({"topic": "orders/#"}, heard.put_nowait)
        async with client(bus.port) as other:
            await other.publish("orders/accepted", b"now", qos=1, retain=True)

        came = await asyncio.wait_for(heard.get(), 30)
        await ear.aclose()

        assert came.content == b"now"

    async def test_all_topics_that_a_filter_means_are_heard_once(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        probe = "journey: filters\nevery: 1m\nsteps:\n"
        for id, topic in (("first", "orders/eu/paid"), ("second", "orders/paid")):
            probe += f"  - {{id: {id}, send: bus, topic: {topic}, body: '${{run.id}}', leaves: nothing}}\n"
        for id, topic, count in (("plus", "orders/+/paid", 1), ("hash", "orders/#", 2), ("exact", "orders/paid", 1)):
            probe += f"  - {{id: {id}, receive: bus, topic: '{topic}', within: 30s, settle: 1s, "
            probe += f"expect: [count == {count}]}}\n"

        record = await run_probe(tmp_path, probe, f"connections:\n  bus: {{{bench.connection}, writes: true}}\n")

        assert record.outcome is Outcome.PASSED, record.message

    async def test_a_big_message_comes_whole(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        probe = f"""
journey: big
every: 1m
steps:
  - {{id: ask, send: bus, topic: orders/placed, body: "${{run.id}} {"x" * 500_000}", leaves: nothing}}
  - id: answer
    receive: bus
    topic: orders/placed
    within: 30s after ask
    expect: [size(message.text) == {32 + 1 + 500_000}]
"""
        record = await run_probe(tmp_path, probe, f"connections:\n  bus: {{{bench.connection}, writes: true}}\n")

        assert record.outcome is Outcome.PASSED, record.message


class Open:
    """`core.connections.Outlet` that lets everything through."""

    async def pinned(self, host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    def secret(self, name: str) -> str:
        return ""

    def tls(self) -> Any:
        raise AssertionError("nobody asked for TLS")


@pytest.fixture
async def link(bus: Bus) -> AsyncIterator[MqttLink]:
    opened = await CONNECTION.open(MqttKeys(mqtt=f"mqtt://127.0.0.1:{bus.port}"), Open())
    yield opened
    await opened.aclose()


async def test_properties_of_mqtt_are_headers(link: MqttLink, bus: Bus) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    ear = await link.listen({"topic": "orders/+"}, heard.put_nowait)
    properties = marked({"X-Tenant": "eu"})
    properties.ContentType, properties.CorrelationData, properties.ResponseTopic = "text/plain", b"c1", "back"
    async with client(bus.port) as other:
        await other.publish("orders/a", b"{}", qos=0, properties=properties)

    came = await asyncio.wait_for(heard.get(), 30)
    await ear.aclose()

    assert came.subject == "orders/a"
    assert dict(came.headers) == {
        "x-tenant": "eu",
        "content-type": "text/plain",
        "correlation-data": "c1",
        "response-topic": "back",
    }


async def test_many_publications_and_listeners_at_once_are_all_served(link: MqttLink) -> None:
    heard: list[Message] = []
    all_of_them = asyncio.Event()

    def hear(message: Any) -> None:
        heard.append(message)
        if len(heard) == 20 * 50:
            all_of_them.set()

    ears = await asyncio.gather(*(link.listen({"topic": "orders/#"}, hear) for _ in range(20)))

    await asyncio.gather(*(link.publish(Publication({"topic": f"orders/{n}"}, (), b"x")) for n in range(50)))
    await asyncio.wait_for(all_of_them.wait(), 30)
    for ear in ears:
        await ear.aclose()

    assert len(heard) == 20 * 50  # and none twice
    assert not link.broken


async def test_a_listener_that_is_thrown_out_breaks_the_link(bus: Bus) -> None:
    """Another client with its id takes its place, as the protocol wants."""
    link = await CONNECTION.open(MqttKeys(mqtt=f"mqtt://127.0.0.1:{bus.port}", client="probe"), Open())
    await link.listen({"topic": "orders/#"}, _into([]))
    ids = [line.partition(" as ")[2].partition(" ")[0] for line in bus.said.splitlines() if " as probe-" in line]
    async with client(bus.port, identifier=ids[-1]):
        why = await asyncio.wait_for(link.until_broken(), 30)
    await link.aclose()

    assert "broke off" in why or "taken over" in why


@pytest.mark.parametrize("topic", ["orders/+", "orders/#", "", "$share/a/orders"])
async def test_a_place_that_only_the_run_could_tell_is_refused_by_then(link: MqttLink, topic: str) -> None:
    if topic.startswith("$share"):
        with pytest.raises(ConnectionTrouble, match="shared subscription"):
            await link.listen({"topic": topic}, _into([]))
    else:
        with pytest.raises(ConnectionTrouble, match="topic"):
            await link.publish(Publication({"topic": topic}, (), b"x"))
    await asyncio.wait_for(link.publish(Publication({"topic": "orders/a"}, (), b"x")), 30)


PROBE = """
journey: said
every: 1m
steps:
  - id: ask
    send: bus
    topic: orders/placed
    body: "${run.id}"
    headers: {Authorization: "Bearer ${secret.api_token}"}
    leaves: nothing
  - {id: heard, receive: bus, topic: orders/placed, within: 30s, expect: [count == 1]}
"""
PLAIN = PROBE.replace("    headers: {Auth", "    #")


async def test_neither_a_password_nor_a_secret_header_is_ever_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "a-token-of-silver-77")
    monkeypatch.setenv("BUS_PASSWORD", "open-sesame-please")
    async with _with_password(tmp_path, "probe", "open-sesame-please") as server:
        settings = (
            "secrets: {api_token: env:API_TOKEN}\nconnections:\n"
            f'  bus: {{mqtt: "{server.url}", user: probe, password: "env:BUS_PASSWORD", writes: true, watches: true}}\n'
        )
        passed = await run_probe(tmp_path, PROBE, settings)
        failed = await run_probe(tmp_path, PROBE.replace("30s", "1s").replace("count == 1", "count == 2"), settings)
        monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
        denied = await run_probe(tmp_path / "denied", PROBE, settings)

    assert passed.outcome is Outcome.PASSED, passed.message
    assert failed.outcome is Outcome.FAILED
    assert "a-token-of-silver-77" not in repr((passed, failed))
    assert (denied.outcome, denied.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), denied.message
    assert "did not let `probe` in: Not authorized" in denied.message
    assert "not-the-right-one" not in repr(denied)


async def test_what_the_account_may_not_publish_is_told(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read orders/#\n")
    async with mosquitto(tmp_path / "m", options=("allow_anonymous true", f"acl_file {rules}")) as server:
        settings = f'connections:\n  bus: {{mqtt: "{server.url}", writes: true, watches: true}}\n'

        record = await run_probe(tmp_path, PLAIN, settings)

    assert (record.outcome, record.reason, record.step) == (Outcome.UNKNOWN, Reason.CONNECTION, "ask"), record.message
    assert "nothing was published at orders/placed: Not authorized" in record.message


async def test_over_tls_the_certificate_must_be_that_of_the_name(tmp_path: Path) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    files = (f"certfile {tmp_path / 'cert.pem'}", f"keyfile {tmp_path / 'key.pem'}")
    big = PLAIN.replace("${run.id}", "${run.id}" + "x" * 100_000)  # more than one record of TLS

    async with _over_tls(tmp_path / "m", files) as port:

        async def over(host: str, more: str = f", tls: {{ca: {tmp_path / 'ca.pem'}}}") -> Any:
            networks = 'networks: ["127.0.0.0/8", "::1/128"]'
            settings = f'connections:\n  bus: {{mqtt: "mqtts://{host}:{port}", writes: true, {networks}{more}}}\n'
            return await run_probe(tmp_path / host, big, settings)

        named, numbered, unknown = await over("localhost"), await over("127.0.0.1"), await over("localhost", "")

    for record, passes in ((named, True), (numbered, False), (unknown, False)):
        assert_let_in_by_name(record, passes)


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(tmp_path: Path) -> None:
    def settings_of(address: str, more: str) -> str:
        return f'connections:\n  bus: {{mqtt: "{address}", writes: true{more}}}\n'

    await assert_a_stranger_is_left_alone(tmp_path, settings_of, "mqtt://127.0.0.1:%s", PLAIN)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(*parts: bytes) -> AsyncIterator[int]:
    """A server that reads once before each part of its answer, and then is silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            if not await reader.read(65536):
                break
            writer.write(part)
            await writer.drain()
        while await reader.read(65536):
            pass
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


ACCEPTED = b"\x20\x03\x00\x00\x00"  # CONNACK, MQTT 5, success, no properties


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((b"\x20\x02\x00\x01",), "nsupported protocol version"),  # a broker of MQTT 3.1.1
        ((b"\x20\x03\x00\x9d\x00",), "Server moved"),  # it refers to another one, which is not dialled
        ((b"\x20\x03\x00\x88\x00",), "Server unavailable"),
        ((ACCEPTED, b"\x90\x04\x00\x01\x00\x87"), "Not authorized"),  # SUBACK
        ((ACCEPTED, b"\x90\xff\xff\xff\xff\xff"), "the connection to the broker ended"),  # no length at all
        ((ACCEPTED, b"\xe0\x01\x8b"), "Server shutting down"),  # DISCONNECT
    ],
)
async def test_what_a_broker_says_instead_is_told(parts: Sequence[bytes], said: str) -> None:
    async with answering(*parts) as port:
        with pytest.raises(ConnectionTrouble, match=said):
            await asyncio.wait_for(_listening_at(port), 30)


async def test_a_broker_that_says_nothing_is_given_up_after_the_limit(tmp_path: Path) -> None:
    async with answering() as port:
        settings = f'connections:\n  bus: {{mqtt: "mqtt://127.0.0.1:{port}", writes: true, watches: true}}\n'
        probe = "journey: a\nevery: 1m\nsteps:\n  - {id: ask, send: bus, topic: a, body: x, timeout: 1s, leaves: no}\n"

        record = await asyncio.wait_for(run_probe(tmp_path, probe, settings), 60)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.TIMEOUT), record.message


@pytest.mark.parametrize(
    ("settings", "step", "said"),
    [
        ('bus: {mqtt: "mqtt://h"}', "send: bus, topic: a", "write-not-allowed:"),
        ('bus: {mqtt: "mqtt://h", writes: true}', "send: bus, subject: a", "message-place: `subject` says nothing"),
        ('bus: {mqtt: "mqtt://h", writes: true}', "send: bus", "message-place: `topic` is missing"),
        ('bus: {mqtt: "mqtt://h", writes: true}', "send: bus, topic: 'a/+'", "message-place: A message goes to one"),
        ('bus: {mqtt: "mqtt://h", writes: true}', "receive: bus, topic: '$share/g/a'", "message-place: A shared"),
        ('bus: {mqtt: "tcp://h", writes: true}', "send: bus, topic: a", "bad-connection:"),
        ('bus: {mqtt: "mqtt://u:p@h", writes: true}', "send: bus, topic: a", "bad-connection: the address holds a"),
        ('bus: {mqtt: "mqtt://h/topic", writes: true}', "send: bus, topic: a", "bad-connection: an address ends"),
        ('bus: {mqtt: "mqtt://h", password: sesame, writes: true}', "send: bus, topic: a", "bad-secret:"),
        ('bus: {mqtt: "mqtt://h", writes: true, usr: a}', "send: bus, topic: a", "unknown-key:"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, step: str, said: str) -> None:
    rest = "body: x, leaves: nothing" if step.startswith("send") else "within: 1s, expect: [count == 1]"
    probe = f"journey: a\nevery: 1m\nsteps:\n  - {{id: one, {step}, {rest}}}\n"

    found = faults(tmp_path, probe, f"connections:\n  {settings}\n")

    assert any(one.startswith(said) for one in found), found


def test_a_sum_in_an_expression_is_no_wildcard(tmp_path: Path) -> None:
    probe = (
        "journey: a\nevery: 1m\nsteps:\n  - {id: one, send: bus, topic: 'a/${run.id + \"b\"}', body: x, leaves: no}\n"
    )

    assert faults(tmp_path, probe, 'connections:\n  bus: {mqtt: "mqtt://h", writes: true}\n') == []


def _into(heard: list[Message]) -> Callable[[Any], None]:
    return heard.append


async def _listening_at(port: int) -> None:
    link = await CONNECTION.open(MqttKeys(mqtt=f"mqtt://127.0.0.1:{port}"), Open())
    try:
        await link._speaks.subscribe("a")  # type: ignore[union-attr]  # the second session of a link is like the first
    finally:
        await link.aclose()


@asynccontextmanager
async def _with_password(folder: Path, user: str, password: str) -> AsyncIterator[Mosquitto]:
    users = folder / "users"
    made = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(users), user, password)
    assert await made.wait() == 0
    async with mosquitto(folder / "m", options=("allow_anonymous false", f"password_file {users}")) as server:
        yield server


@asynccontextmanager
async def _over_tls(folder: Path, files: Sequence[str]) -> AsyncIterator[int]:
    """Its port; a certificate alone makes the listener speak TLS."""
    async with mosquitto(folder, options=("allow_anonymous true", *files)) as server:
        yield server.port

"""`redis` against a real server: streams and channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import asyncio as client

from synthmon.core.messages import Publication
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
from tests.connections.scenarios import Bench, Headers, Scenarios, Service
from tests.servers.front import Streams, front
from tests.servers.valkey import Valkey, valkey

Answer = Callable[[Headers, bytes], None]


class Bus:
    """The server, which can be killed and started again on its port and its store."""

    def __init__(self, folder: Path, word: str) -> None:
        self._folder, self._word, self._stack = folder, word, AsyncExitStack()
        self.server: Valkey | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    async def start(self) -> None:
        port = self.server.port if self.server else 0
        self.server = await self._stack.enter_async_context(valkey(self._folder, port))

    async def kill(self) -> None:
        if self.server:
            self.server.kill()
        await self._stack.aclose()

    async def say(self, headers: Headers, body: bytes) -> None:
        async with client.Redis.from_url(self.url) as speaker:
            await self._said(speaker, headers, body)

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncIterator[None]:
        replies: set[asyncio.Task[None]] = set()
        listening = asyncio.Event()
        async with client.Redis.from_url(self.url) as server:

            def answer(asked: Headers, body: bytes) -> None:
                for delay_s, headers, content in service(asked, body):
                    replies.add(asyncio.create_task(later(delay_s, headers, content)))

            async def later(delay_s: float, headers: Headers, body: bytes) -> None:
                await asyncio.sleep(delay_s)
                await self._said(server, headers, body)

            served = self._stream if self._word == "stream" else self._channel
            serving = asyncio.create_task(served(server, answer, listening))
            await listening.wait()
            try:
                yield
            finally:
                for task in (serving, *replies):
                    task.cancel()
                await asyncio.gather(serving, *replies, return_exceptions=True)

    async def _said(self, speaker: Any, headers: Headers, body: bytes) -> None:
        if self._word == "stream":
            await speaker.xadd("orders.accepted", {**headers, "body": body})
        else:
            await speaker.publish("orders.accepted", body)

    @staticmethod
    async def _stream(server: Any, answer: Answer, listening: asyncio.Event) -> None:
        last = "0-0"
        listening.set()  # it reads from the first entry on
        while True:
            for _, entries in await server.xread({"orders.placed": last}, block=1000) or ():
                for id, fields in entries:
                    last = id
                    named = {name.decode(): value for name, value in fields.items()}
                    body = named.pop("body")
                    answer({name: value.decode() for name, value in named.items()}, body)

    @staticmethod
    async def _channel(server: Any, answer: Answer, listening: asyncio.Event) -> None:
        async with server.pubsub() as pubsub:
            await pubsub.subscribe("orders.placed")
            async for told in pubsub.listen():
                listening.set()
                if told["type"] == "message":
                    answer({}, told["data"])


def bench_of(bus: Bus, word: str) -> Bench:
    return Bench(
        connection=f'redis: "{bus.url}"',
        asked=f"{word}: orders.placed",
        answered=f"{word}: orders.accepted",
        serve=bus.serve,
        say=bus.say,
        kill=bus.kill,
        start=bus.start,
        carries_headers=word == "stream",
    )


class TestStream(Scenarios):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        bus = Bus(tmp_path / "valkey", "stream")
        await bus.start()
        yield bench_of(bus, "stream")
        await bus.kill()


class TestChannel(Scenarios):
    @pytest.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[Bench]:
        bus = Bus(tmp_path / "valkey", "channel")
        await bus.start()
        yield bench_of(bus, "channel")
        await bus.kill()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    made = Bus(tmp_path / "valkey", "stream")
    await made.start()
    yield made
    await made.kill()


async def test_what_was_written_to_a_stream_while_we_were_away_is_heard(bus: Bus) -> None:
    heard = Heard()
    async with opened("redis", redis=bus.url) as link:
        ear = await link.listen({"stream": "orders.accepted"}, heard)
        await bus.say({}, b"[1]")
        await heard.messages(1)
        await bus.kill()
        await asyncio.wait_for(link.until_broken(), 30)
    await bus.start()
    await bus.say({}, b"[2]")
    async with opened("redis", redis=bus.url) as link:
        await link.resume({"stream": "orders.accepted"}, heard, ear)
        found = await heard.messages(2)

    assert [message.content for message in found] == [b"[1]", b"[2]"]


async def test_every_entry_after_arming_is_heard_while_somebody_writes_all_the_time(bus: Bus) -> None:
    heard, written, enough = Heard(), 0, asyncio.Event()
    async with client.Redis.from_url(bus.url) as speaker, opened("redis", redis=bus.url) as link:

        async def write() -> None:
            nonlocal written
            while not enough.is_set():
                written += 1
                await speaker.xadd("orders", {"body": f"[{written}]"})

        writing = asyncio.create_task(write())
        await link.listen({"stream": "orders"}, heard)
        since = written + 1  # the last one may be before or after
        while written < since + 50:  # noqa: ASYNC110 - the writer counts
            await asyncio.sleep(0)
        enough.set()
        await writing
        found = await heard.messages(written - since + 1)

    contents = [message.content for message in found]
    assert {f"[{each}]".encode() for each in range(since, written + 1)} <= set(contents)
    assert len(contents) == len(set(contents))


@pytest.mark.parametrize(
    ("fields", "content", "headers"),
    [
        ({"body": '{"a": 1}', "X-Tenant": "t"}, b'{"a": 1}', {"x-tenant": "t"}),
        ({"payload": "[1]"}, b"[1]", {}),
        ({"data": "42", "sensor": "é"}, '{"data": "42", "sensor": "é"}'.encode(), {"data": "42", "sensor": "é"}),
        ({"order": "7", "amount": "12"}, b'{"order": "7", "amount": "12"}', {"order": "7", "amount": "12"}),
        ({"body": "{}", "data": "{}"}, b'{"body": "{}", "data": "{}"}', {"body": "{}", "data": "{}"}),
    ],
)
async def test_an_entry_is_its_json_field_or_the_map_of_all(
    bus: Bus, fields: dict[str, str], content: bytes, headers: dict[str, str]
) -> None:
    heard = Heard()
    async with client.Redis.from_url(bus.url) as speaker, opened("redis", redis=bus.url) as link:
        await speaker.xadd("orders", {"body": "before"})
        await link.listen({"stream": "orders"}, heard)
        id: Any = await speaker.xadd("orders", fields)  # type: ignore[arg-type]
        (message,) = await heard.messages(1)

    assert (message.content, dict(message.headers), message.id) == (content, headers, f"orders:{id.decode()}")


async def test_a_pattern_hears_all_channels_that_it_fits(bus: Bus) -> None:
    heard = Heard()
    async with client.Redis.from_url(bus.url) as speaker, opened("redis", redis=bus.url) as link:
        ear = await link.listen({"channel": "orders.*"}, heard)
        for channel in ("bills.made", "orders.placed", "orders.accepted"):
            await speaker.publish(channel, channel)
        found = await heard.messages(2)
        await ear.aclose()
        left = await speaker.pubsub_numpat()

    assert [message.subject for message in found] == ["orders.placed", "orders.accepted"]
    assert left == 0


async def test_listening_leaves_nothing_behind(bus: Bus) -> None:
    async with client.Redis.from_url(bus.url) as speaker:
        async with opened("redis", redis=bus.url) as link:
            await link.listen({"stream": "orders"}, Heard())
            await link.listen({"channel": "orders"}, Heard())
        async with asyncio.timeout(30):
            while [  # noqa: ASYNC110 - it happens in another process
                one for one in await speaker.client_list() if one["name"] == "synthmon"
            ]:
                await asyncio.sleep(0.05)

        assert await speaker.keys() == []


async def test_a_message_of_4_mb_goes_and_comes(bus: Bus) -> None:
    heard, big = Heard(), b'["' + b"x" * 4_000_000 + b'"]'
    async with opened("redis", redis=bus.url) as link:
        await link.listen({"stream": "orders"}, heard)
        await link.publish(Publication({"stream": "orders"}, (), big))
        (message,) = await heard.messages(1)

    assert message.content == big


async def test_a_stream_is_counted_and_so_is_what_a_group_has_not_acknowledged(bus: Bus) -> None:
    async with client.Redis.from_url(bus.url) as speaker, opened("redis", redis=bus.url) as link:
        for number in range(5):
            await speaker.xadd("orders", {"body": number})
        await speaker.xgroup_create("orders", "billing", "0")
        given: Any = await speaker.xreadgroup("billing", "one", {"orders": ">"}, count=3)
        await speaker.xack("orders", "billing", given[0][1][0][0])

        assert await link.count({"stream": "orders"}) == 5
        assert await link.count({"stream": "orders", "group": "billing"}) == 2
        assert await link.count({"stream": "nothing"}) == 0


SAY = """
journey: said
every: 1m
steps:
  - {id: ask, send: bus, stream: orders, body: "${run.id}", leaves: nothing}
  - {id: heard, receive: bus, stream: orders, within: 30s, expect: [count == 1]}
"""


def settings_of(address: str, more: str = "") -> str:
    return f'connections:\n  bus: {{redis: "{address}", writes: true{more}}}\n'


async def test_a_key_of_another_type_is_told_in_words(bus: Bus, tmp_path: Path) -> None:
    async with client.Redis.from_url(bus.url) as speaker:
        await speaker.set("orders", "a text")

    record = await run_probe(tmp_path, SAY, settings_of(bus.url))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert "orders is no stream: the server keeps a value of another type under this name" in record.message


async def test_a_stream_and_a_channel_at_once_are_refused(bus: Bus, tmp_path: Path) -> None:
    record = await run_probe(tmp_path, SAY.replace("stream: orders", "stream: a, channel: b"), settings_of(bus.url))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION), record.message


async def test_another_node_of_a_cluster_is_named_and_not_followed(bus: Bus, tmp_path: Path) -> None:
    assert bus.server is not None
    async with front(0, host="127.0.0.2") as stranger:

        async def node(asking: Streams, behind: Streams) -> bool:
            """It answers as a node that does not serve the slot of the stream."""
            reader, writer = asking
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                moved = words[0].startswith(b"X")
                writer.write(f"-MOVED 866 127.0.0.2:{stranger.port}\r\n".encode() if moved else b"+OK\r\n")
            return False

        async with front(0, bus.server.port, greet=node) as member:
            record = await run_probe(tmp_path, SAY, settings_of(f"redis://127.0.0.1:{member.port}"))

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION), record.message
    assert f"127.0.0.2:{stranger.port}" in record.message
    assert "not followed" in record.message
    assert stranger.visitors == 0


async def test_an_address_outside_of_the_allow_list_is_never_connected_to(tmp_path: Path) -> None:
    await assert_a_stranger_is_left_alone(tmp_path, settings_of, "redis://127.0.0.1:%s", SAY)


async def test_a_password_comes_from_a_reference_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    options = ("--user", "probe", "on", ">open-sesame-please", "~*", "&*", "+@all", "--user", "default", "off")
    async with valkey(tmp_path / "valkey", options=options) as server:
        settings = settings_of(server.url, ', user: probe, password: "env:BUS_PASSWORD"')
        monkeypatch.setenv("BUS_PASSWORD", "open-sesame-please")
        record = await run_probe(tmp_path, SAY, settings)
        monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
        denied = await run_probe(tmp_path / "denied", SAY, settings)

    assert_a_password_is_ours_alone(record, denied, caplog.text)


@pytest.mark.parametrize(("name", "passes"), [("localhost", True), ("redis.example.com", False)])
async def test_tls_is_with_the_name_of_the_server(bus: Bus, tmp_path: Path, name: str, passes: bool) -> None:
    assert bus.server is not None
    async with front(0, bus.server.port, tls=certified(tmp_path, name)) as door:
        tls = f", tls: {{ca: {tmp_path / 'ca.pem'}}}"
        record = await run_probe(tmp_path, SAY, settings_of(f"rediss://localhost:{door.port}/0", tls))

    assert_let_in_by_name(record, passes)


@pytest.mark.parametrize(
    ("settings", "place", "code"),
    [
        ('redis: "redis://h"', "stream: a", "write-not-allowed"),
        ('redis: "redis://h", writes: true', "topic: a", "message-place"),
        ('redis: "http://h", writes: true', "stream: a", "bad-connection"),
        ('redis: "redis://h/first", writes: true', "stream: a", "bad-connection"),
        ('redis: "rediss://h?ssl_cert_reqs=none", writes: true', "stream: a", "bad-connection"),
        ('redis: "redis://:p@h", writes: true', "stream: a", "bad-connection"),
        ('redis: "redis://h", user: probe, writes: true', "stream: a", "bad-connection"),
        ('redis: "redis://h", password: sesame, writes: true', "stream: a", "bad-secret"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, place: str, code: str) -> None:
    found = faults(tmp_path, SEND % place, f"connections:\n  bus: {{{settings}}}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

"""`nats` against a real server, with and without JetStream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import nats as client
import pytest
from nats.aio.msg import Msg

from synthmon.core.outcomes import Outcome
from tests.connections.brokers import SEND
from tests.connections.running import faults, run_probe
from tests.connections.scenarios import Bench, Headers, Scenarios, Service, bench_of, echo
from tests.servers.nats import Nats, nats


class Bus:
    """The server, which can be killed and started again on its port and its store."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack = folder, AsyncExitStack()
        self.server: Nats | None = None

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    async def start(self) -> None:
        port = self.server.port if self.server else -1
        self.server = await self._stack.enter_async_context(nats(self._folder, port))

    async def kill(self) -> None:
        await self._stack.aclose()

    async def say(self, headers: Headers, body: bytes) -> None:
        async with await client.connect(self.url) as speaker:
            await speaker.publish("orders.accepted", body, headers=dict(headers))
            await speaker.flush()

    @asynccontextmanager
    async def serve(self, service: Service) -> AsyncIterator[None]:
        replies: set[asyncio.Task[None]] = set()

        async def quietly(error: Exception) -> None:
            """The server is killed on purpose."""

        server = await client.connect(self.url, error_cb=quietly, allow_reconnect=False)

        async def answer(message: Msg) -> None:
            for delay_s, headers, body in service(message.headers or {}, message.data):
                replies.add(asyncio.create_task(later(delay_s, headers, body)))

        async def later(delay_s: float, headers: Headers, body: bytes) -> None:
            await asyncio.sleep(delay_s)
            await server.publish("orders.accepted", body, headers=dict(headers))
            await server.flush()

        await server.subscribe("orders.placed", cb=answer)
        await server.flush()
        try:
            yield
        finally:
            for reply in replies:
                reply.cancel()
            with suppress(Exception):  # it may have been killed
                await server.close()


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[Bus]:
    made = Bus(tmp_path / "nats")
    await made.start()
    yield made
    await made.kill()


class TestNats(Scenarios):
    @pytest.fixture
    def bench(self, bus: Bus) -> Bench:
        return bench_of(bus, f'nats: "{bus.url}"', "subject: orders.placed", "subject: orders.accepted")


class TestJetStream(Scenarios):
    @pytest.fixture
    async def bench(self, bus: Bus) -> Bench:
        async with await client.connect(bus.url) as speaker:
            await speaker.jetstream().add_stream(name="ORDERS", subjects=["orders.>"])
        return bench_of(
            bus,
            f'nats: "{bus.url}"',
            "subject: orders.placed\nstream: ORDERS",
            "subject: orders.accepted\nstream: ORDERS",
        )

    async def test_the_consumer_is_gone_after_the_run(self, bench: Bench, bus: Bus, tmp_path: Path) -> None:
        record = await self.run(bench, tmp_path, echo)

        assert record.outcome is Outcome.PASSED, record.message
        async with await client.connect(bus.url) as speaker:
            assert await speaker.jetstream().consumers_info("ORDERS") == []


async def test_a_password_comes_from_a_reference_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUS_PASSWORD", "open-sesame-please")
    async with nats(tmp_path / "nats", options=("--user", "probe", "--pass", "open-sesame-please")) as server:
        address = server.url.replace("probe:open-sesame-please@", "")
        settings = (
            f'connections:\n  bus: {{nats: "{address}", user: probe, password: "env:BUS_PASSWORD", writes: true}}\n'
        )
        probe = """
journey: said
every: 1m
steps:
  - {id: ask, send: bus, subject: orders.placed, body: "${run.id}", leaves: nothing}
  - {id: heard, receive: bus, subject: orders.nothing, within: 1s, expect: [count == 0]}
"""
        record = await run_probe(tmp_path, probe, settings)
        monkeypatch.setenv("BUS_PASSWORD", "not-the-right-one")
        denied = await run_probe(tmp_path / "denied", probe, settings)

    assert record.outcome is Outcome.PASSED, record.message
    assert denied.outcome is Outcome.UNKNOWN, denied.message
    assert "not-the-right-one" not in repr(denied)


@pytest.mark.parametrize(
    ("settings", "place", "code"),
    [
        ('bus: {nats: "nats://127.0.0.1:4222"}', "subject: a", "write-not-allowed"),
        ('bus: {nats: "nats://127.0.0.1:4222", writes: true}', "topic: a", "message-place"),
        ('bis: {nats: "nats://127.0.0.1:4222", writes: true}', "subject: a", "unknown-connection"),
        ('bus: {nats: "http://127.0.0.1:4222", writes: true}', "subject: a", "bad-connection"),
        ('bus: {nats: "nats://u:p@127.0.0.1:4222", writes: true}', "subject: a", "bad-connection"),
        ('bus: {nats: "nats://h:4222", password: sesame, writes: true}', "subject: a", "bad-secret"),
        ('bus: {nets: "nats://127.0.0.1:4222", writes: true}', "subject: a", "no-connection-kind"),
        ('bus: {nats: "nats://127.0.0.1:4222", writes: true, usr: a}', "subject: a", "unknown-key"),
    ],
)
def test_what_cannot_work_is_told_at_load(tmp_path: Path, settings: str, place: str, code: str) -> None:
    found = faults(tmp_path, SEND % place, f"connections:\n  {settings}\n")

    assert any(one.startswith(f"{code}:") for one in found), found

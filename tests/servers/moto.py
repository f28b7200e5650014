"""A stand-in of Amazon Web Services (moto's own server) on a free loopback port, as a process of its own.

It holds everything in memory: one that is started again knows nothing of what was made in it before.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "123456789012"
"""The account in which everything is, unless the access key says otherwise."""

LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Moto:
    """One that listens: its base URL, which is that of every service, and its process."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """For a second start on the same address."""
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def reset(self) -> None:
        """Forget everything, as after a start."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever a test says of proxies
        with direct.open(f"{self.url}/moto-api/reset", data=b"", timeout=LIMIT_S) as answer:
            answer.read()

    def kill(self) -> None:
        """At once; nothing happens to one that has ended."""
        self.process.kill()
        self.process.wait(LIMIT_S)


@asynccontextmanager
async def moto_server(folder: Path, port: int = 0, options: Sequence[str] = ()) -> AsyncIterator[Moto]:
    """Start with its log in `folder`; port 0 takes a free one. Any access key and secret will do."""
    made = await asyncio.to_thread(started, folder, port, options)
    try:
        yield made
    finally:
        await asyncio.to_thread(made.kill)


def started(folder: Path, port: int = 0, options: Sequence[str] = ()) -> Moto:
    """The same for whoever ends it himself, by `kill`: one for many tests, each with a loop of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "moto.log"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port), *options]
    with log.open("wb") as words:
        process = subprocess.Popen(command, stdout=words, stderr=words)
    until_s = time.monotonic() + LIMIT_S
    while not (found := re.search(r"Running on (https?://127\.0\.0\.1:[1-9]\d*)", log.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > until_s:
            process.kill()
            process.wait()
            raise RuntimeError(f"moto did not begin to listen: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    return Moto(found[1], process)  # it listens when it says so

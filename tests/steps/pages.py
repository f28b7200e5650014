"""A small site for a browser: pages by path, what was asked of it, and runs of probes in a browser that tests share."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from synthmon.core.run import Record
from synthmon.language.load import load
from synthmon.runtime.browser.chromium import Browsers
from synthmon.runtime.house import open_house
from synthmon.runtime.runner import Runner
from tests.steps.speaking import Port, listening, probe, settings


@dataclass(frozen=True)
class Asked:
    """One request as the site saw it; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@dataclass
class Site:
    """Path → what is answered: HTML, or a whole answer if it begins with `HTTP/`. An unknown path is a 404."""

    pages: dict[str, str]
    asked: list[Asked] = field(default_factory=list)
    server: Port | None = None

    @property
    def base(self) -> str:
        assert self.server is not None
        return f"http://localhost:{self.server.port}"

    @property
    def stranger(self) -> str:
        """The same place by a name that is not in `allow`."""
        assert self.server is not None
        return f"127.0.0.1:{self.server.port}"

    @property
    def connections(self) -> int:
        assert self.server is not None
        return self.server.connections

    def of(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode("latin-1").strip().split("\r\n")
            method, path, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(method, path, headers, body.decode()))
            page = self.pages.get(path.partition("?")[0])
            if page is None:
                page = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            if page == "never":
                await reader.read()
            if not page.startswith("HTTP/"):
                page = (
                    f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page.encode())}\r\n\r\n{page}"
                )
            writer.write(page.encode())
            await writer.drain()


@asynccontextmanager
async def site(tls: ssl.SSLContext | None = None, **pages: str) -> AsyncIterator[Site]:
    """A site of these pages: `shop="<h1>…"` is at `/shop`."""
    made = Site({f"/{name}": page for name, page in pages.items()})
    async with listening(made.serve, tls) as made.server:
        yield made


async def browse(
    browsers: Browsers,
    folder: Path,
    steps: str,
    base: str,
    options: str = "",
    secrets: str = "",
    store: str = "memory:",
) -> Record:
    """The record of one run of these steps, its pages opened in a browser that stays."""
    (folder / "probe.yaml").write_text(probe(steps))
    (folder / "synthmon.yaml").write_text(settings(base, options, secrets))
    loaded = load([str(folder / "probe.yaml")], [str(folder / "synthmon.yaml")])
    assert not loaded.errors, loaded.errors
    async with open_house(store) as house:
        own, house.doors.browsers = house.doors.browsers, browsers
        told: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        lent, _ = house.lend(loaded.settings)
        await house.keyring.fetch()
        runner = Runner(lent, house.journal, house.history, house.clock, lambda record, _: told.set_result(record))
        try:
            runner.run_now(loaded.journeys[0])
            return await told
        finally:
            await runner.stop(5)
            house.doors.browsers = own


def redirect(to: str) -> str:
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"


async def processes_of(folder_of_browser: str) -> list[int]:
    """The ids of the processes on whose command line a word stands."""
    found = []
    for entry in await asyncio.to_thread(lambda: list(Path("/proc").iterdir())):
        if entry.name.isdecimal():
            with suppress(OSError):
                if folder_of_browser.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found

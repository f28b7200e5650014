"""Serves the gateway on a loopback port, and leaves signals to whoever opened the shop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

_HOST = "127.0.0.1"
_GRACE_S = 2
_KEEP_ALIVE_S = 75  # longer than the pause between two runs: a connection closed as it is used again looks like a fault
_START_LIMIT_S = 20.0


class PortTaken(OSError):
    """Somebody else listens there; the message says what to do."""


@asynccontextmanager
async def served(app: Starlette, port: int) -> AsyncIterator[str]:
    """Yields the base URL; port 0 takes a free one. At the end open requests have two seconds."""
    listening = listen(port)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.wait_for(server.opened.wait(), _START_LIMIT_S)
        yield f"http://{_HOST}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await asyncio.wait({serving})
        listening.close()
    serving.result()


def listen(port: int, option: str = "--port") -> socket.socket:
    """A loopback port of ours, 0 for a free one. Raises `PortTaken`; `option` is how another one is chosen."""
    # with the protocol named: asyncio sets TCP_NODELAY only then, and without it every answer waits 40 ms
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_HOST, port))
        listening.listen(512)
    except OSError as exc:
        listening.close()
        raise PortTaken(f"port {port} on {_HOST} is not free ({exc.strerror}). Choose another with {option}.") from exc
    return listening


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # the stock method raises SIGTERM again after stopping, which kills us before the rest is closed
        yield

"""Serving the web inside the daemon's own event loop: sockets first, no signals taken, an end that comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from synthmon.web.patience import Patience, make_room, protocol
from synthmon.web.porch import Porch, fair_share

_BACKLOG = 1024  # who waits here costs no file; with a short one a scrape in a crowd would wait for its next SYN
_TLS_HANDSHAKE_S = 6.0


def bind(listen: str) -> socket.socket:
    """A listening socket for `host:port` or `[v6]:port`; port 0 takes a free one.

    Raises `OSError` when the address is taken or not ours, `ValueError` when it is no address.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{listen!r} is no address to listen on: write host:port, for instance 127.0.0.1:9880.")
    host = host.strip("[]")
    found = socket.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, number, _, address = found[0]
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> str:
    """`host:port` as it really is."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    sock: socket.socket,
    tls: ssl.SSLContext | None = None,
    grace_s: float = 5.0,
    patience: Patience | None = None,
) -> AsyncIterator[str]:
    """Serve as long as the block lasts; gives the base URL. On the way out, requests get `grace_s` to end."""
    patience = patience or Patience(connections=fair_share())
    base = f"{'https' if tls else 'http'}://{address_of(sock)}"
    config = uvicorn.Config(
        app,
        http=protocol(patience),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        timeout_keep_alive=20,  # longer than most scrape intervals
        timeout_graceful_shutdown=None,
        backlog=_BACKLOG,
    )
    config.load()
    server = _Server(config, tls, patience)
    task = asyncio.create_task(server.serve([sock]), name="web")
    try:
        await server.ready(task)
        yield base
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=grace_s)
        if not task.done():
            server.drop()
            await asyncio.wait({task}, timeout=1.0)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        if task.done() and not task.cancelled():
            task.result()


class _Server(uvicorn.Server):
    """uvicorn takes SIGTERM and raises it again when it has stopped, which would end the daemon before it drained."""

    def __init__(self, config: uvicorn.Config, tls: ssl.SSLContext | None, patience: Patience) -> None:
        super().__init__(config)
        self._tls, self._patience = tls, patience

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with doors of our own (see `web.porch`)."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def greet() -> asyncio.Protocol:
            return self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )

        def make_one_go() -> None:
            make_room(self.server_state.connections)

        self.servers = []
        for sock in sockets or ():
            porch = Porch(
                sock, greet, make_one_go, max(8, self._patience.connections // 2), self._tls, _TLS_HANDSHAKE_S
            )
            porch.open()
            self.servers.append(porch)  # type: ignore[arg-type]
        self.started = True

    async def ready(self, task: asyncio.Task[None]) -> None:
        """Wait until it listens, or raise what kept it from that."""
        while not self.started:
            if task.done():
                task.result()
                raise RuntimeError("the web server ended before it listened")
            await asyncio.sleep(0)

    def drop(self) -> None:
        """Close what is still open: the grace is over."""
        self.force_exit = True
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for running in list(self.server_state.tasks):
            running.cancel()

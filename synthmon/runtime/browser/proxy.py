"""The browser's only way out: a proxy on loopback that lets in who has a token, and out only what a passage allows.

Whatever the browser is asked for passes here in the clear, also what is HTTPS: host, method and marks are the same for
a page as for every other request, and certificates of the systems are verified here, by the settings of the system.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket
import ssl
from contextlib import suppress

import h11
import httpx

from synthmon.runtime.browser.authority import Authority
from synthmon.runtime.browser.passage import Passage
from synthmon.runtime.browser.relay import CHUNK_BYTES, HEAD_BYTES, Relay, Side

USER = "synthmon"
HEAD_S = 10.0  # for the head of a request, until somebody is known to have a token
HANDSHAKE_S = 10.0
MOST_CONNECTIONS = 256
_TLS_RECORD = b"\x16"  # RFC 8446 5.1: what a ClientHello begins with


class Proxy:
    """Entered on the loop that uses it. `port` is on 127.0.0.1."""

    def __init__(self, authority: Authority) -> None:
        self._passages: dict[str, Passage] = {}
        self._open: dict[asyncio.Task[None], Passage | None] = {}
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self.authority = authority
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises `OSError`."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        listener.setblocking(False)
        self._listener, self.port = listener, listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(listener))

    async def aclose(self) -> None:
        """Hang up everywhere."""
        tasks = [task for task in (self._accepting, *self._open) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    def admit(self, passage: Passage) -> None:
        """Let its token in."""
        self._passages[passage.token] = passage

    async def revoke(self, passage: Passage) -> None:
        """Forget its token, and hang up where it was used."""
        self._passages.pop(passage.token, None)
        tasks = [task for task, owner in self._open.items() if owner is passage]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(0.1)  # out of descriptors: somebody else's trouble, told where it hurts
                continue
            if len(self._open) >= MOST_CONNECTIONS:
                sock.close()
                continue
            task = asyncio.create_task(self._serve(sock))
            self._open[task] = None
            task.add_done_callback(lambda done: self._open.pop(done, None))

    async def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # whatever is spoken here that is not HTTP is spoken to nobody
            with suppress(OSError, TimeoutError, h11.ProtocolError, httpx.InvalidURL, UnicodeDecodeError, ssl.SSLError):
                await self._meet(sock)
        finally:
            sock.close()

    async def _meet(self, sock: socket.socket) -> None:
        http = h11.Connection(h11.SERVER, HEAD_BYTES)
        async with asyncio.timeout(HEAD_S):
            request = await _head(sock, http)
        passage = self._passages.get(_token(request))
        if passage is None:
            await _refuse(sock)
            return
        task = asyncio.current_task()
        assert task is not None  # made in `_accept`
        self._open[task] = passage
        if request.method != b"CONNECT":
            if not request.target.startswith(b"http://"):
                return
            side = Side(await _streams(sock), http)
            await Relay(side, passage).run("", request)
            return
        host, port = _authority(request)
        await asyncio.get_running_loop().sock_sendall(sock, b"HTTP/1.1 200 OK\r\n\r\n")
        first = await _peek(sock)
        if not first:
            return
        tls = self.authority.context_of(host.strip("[]")) if first == _TLS_RECORD else None
        side = Side(await _streams(sock, tls), h11.Connection(h11.SERVER, HEAD_BYTES))
        await Relay(side, passage).run(f"{'https' if tls else 'http'}://{host}:{port}")


async def _head(sock: socket.socket, http: h11.Connection) -> h11.Request:
    loop = asyncio.get_running_loop()
    while not isinstance(event := http.next_event(), h11.Request):
        if event is not h11.NEED_DATA:
            raise h11.RemoteProtocolError("no request")
        http.receive_data(await loop.sock_recv(sock, CHUNK_BYTES))
    return event


def _token(request: h11.Request) -> str:
    for name, value in request.headers:
        if name == b"proxy-authorization" and value[:6].lower() == b"basic ":
            with suppress(binascii.Error, ValueError):
                user, _, token = base64.b64decode(value[6:]).decode("ascii").partition(":")
                return token if user == USER else ""
    return ""


async def _refuse(sock: socket.socket) -> None:
    head = 'HTTP/1.1 407 Who are you?\r\nProxy-Authenticate: Basic realm="synthmon"\r\n'
    await asyncio.get_running_loop().sock_sendall(
        sock, f"{head}Connection: close\r\nContent-Length: 0\r\n\r\n".encode()
    )


def _authority(request: h11.Request) -> tuple[str, int]:
    """The host, in brackets if it is IPv6, and the port of a CONNECT (RFC 9110 9.3.6)."""
    host, _, port = request.target.decode("ascii").rpartition(":")
    return httpx.URL(f"https://{host}").netloc.decode("ascii"), int(port)


async def _peek(sock: socket.socket) -> bytes:
    """The first byte, which stays where it is; nothing at the end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock.fileno())
    return sock.recv(1, socket.MSG_PEEK)


async def _streams(
    sock: socket.socket, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The connection as streams, as whoever was called; the socket itself is let go of."""
    loop = asyncio.get_running_loop()
    own = sock.dup()
    sock.close()
    reader = asyncio.StreamReader(limit=HEAD_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    limit_s = HANDSHAKE_S if tls else None
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, own, ssl=tls, ssl_handshake_timeout=limit_s)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

"""Lets connections in, a few at a time, and never runs out of files because of those who only stand at the door.

asyncio's own server takes as many at once as its backlog, before the first of them can be counted, and does not count
those that are still in their TLS handshake; out of file descriptors it stops listening for a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import ssl
from collections.abc import Callable

_AT_ONCE = 16
_REST_S = 0.05
_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_MOST = 200


def fair_share() -> int:
    """How many connections one listener may hold: two of them, with some arriving, leave half of the files for others.

    Read from the soft limit of open files (`ulimit -n`).
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(16, min(_MOST, soft // 6))


class Porch:
    """One listening socket. To uvicorn it is what `asyncio.Server` is: it can be closed and waited for.

    `greet` makes the protocol of a connection, `make_room` closes one that can be spared; at most `most` are arriving
    (in their TLS handshake) at a time, then the oldest of them goes.
    """

    def __init__(
        self,
        sock: socket.socket,
        greet: Callable[[], asyncio.Protocol],
        make_room: Callable[[], None],
        most: int,
        tls: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        self._sock, self._greet, self._make_room, self._most = sock, greet, make_room, most
        self._tls, self._handshake_s = tls, handshake_s
        self._loop = asyncio.get_running_loop()
        self._arriving: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._leaving: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._open = True

    def open(self) -> None:
        """Let them in from now on."""
        self._resting = None
        if self._open:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Let nobody in any more."""
        if not self._open:
            return
        self._open = False
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for arriving in self._arriving:
            arriving.cancel()

    async def wait_closed(self) -> None:
        """Until those who were arriving are gone."""
        if left := {*self._arriving, *self._leaving}:
            await asyncio.wait(left)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, _address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # gone again before we came to it
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                self._rest()
                return
            connection.setblocking(False)
            arriving = self._loop.create_task(self._let_in(connection))
            self._arriving[arriving] = None
            arriving.add_done_callback(self._done)
            if len(self._arriving) > self._most:
                oldest = next(iter(self._arriving))
                oldest.cancel()
                self._leaving.add(oldest)
                del self._arriving[oldest]

    def _done(self, arrived: asyncio.Task[None]) -> None:
        self._arriving.pop(arrived, None)
        self._leaving.discard(arrived)

    def _rest(self) -> None:
        """No file is free: send somebody away, and look again when that is done."""
        self._make_room()
        self._loop.remove_reader(self._sock.fileno())
        self._resting = self._loop.call_later(_REST_S, self.open)

    async def _let_in(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._greet,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_s if self._tls else None,
            )
        except OSError:  # no TLS, or none in time (SSLError, ConnectionAbortedError): theirs, and nobody to tell
            with contextlib.suppress(OSError):
                connection.close()

"""One connection: sends a request, gives what comes back to its answer, and stamps when."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from time import monotonic_ns

import httpx

from synthmon.runtime.outbound.stamps import Stamps
from synthmon.runtime.wire.parse import Answer
from synthmon.runtime.wire.stamping import (
    ANCILLARY_BYTES,
    Ancillary,
    ask_for_stamps,
    read_stamp,
    stepped,
    wall_minus_monotonic_ns,
)
from synthmon.runtime.wire.tls import RECORD_BYTES, Tls, expires_in_s

RECEIVE_BYTES = 65_536


class Connection:
    """A connected socket, watched from its first to its last moment, so an idle one that ends is known at once.

    It carries one exchange at a time. After `exchange` raised, was cancelled or timed out it must be closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, address: str) -> None:
        self.address = address
        self.closed = False
        self.exchanges = 0
        self.sending = False
        self._loop, self._sock, self._fd = loop, sock, sock.fileno()
        self._tls: Tls | None = None
        self._expires_at_s: float | None = None
        self._answer: Answer | None = None
        self._stamps = Stamps()
        self._over: asyncio.Future[Exception | None] | None = None
        self._sendable: asyncio.Future[None] | None = None
        self._write_error: OSError | None = None
        self._ahead_ns = 0
        ask_for_stamps(sock)
        loop.add_reader(self._fd, self._read)

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Shake hands; raises OSError (which `ssl.SSLError` is) when the other side is not who it should be."""
        tls = self._tls = Tls(context, host)
        while True:
            self._over = self._loop.create_future()
            try:
                done = tls.handshake()
            except ssl.SSLError:
                self._say(tls.pending())
                raise
            await self._push(tls.pending())
            if done:
                break
            if (error := await self._over) is not None:
                raise error
        self._over = None
        if (other := tls.refused_protocol()) is not None:
            raise ssl.SSLError(f"the server chose {other} instead of HTTP/1.1")
        self._expires_at_s = tls.expires_at_s()

    async def exchange(self, request: bytes, answer: Answer, stamps: Stamps) -> None:
        """Send the request and read until the answer is complete. Raises `httpx.WriteError`, `ReadError`,
        `RemoteProtocolError` or `TooLarge`. An answer that comes before all was sent ends the sending."""
        over = self._over = self._loop.create_future()
        self._answer, self._stamps = answer, stamps
        self.exchanges += 1
        stamps.address, stamps.tls_expires_in_s = self.address, expires_in_s(self._expires_at_s)
        self._ahead_ns = wall_minus_monotonic_ns()
        stamps.sent_ns = monotonic_ns()
        self.sending = True
        whole = await self._send(request)
        self.sending = False
        error = await over
        self._answer = self._over = None
        if error is not None:
            raise error
        if not whole:
            answer.reusable = False

    def still_idle(self) -> bool:
        """Whether the connection can carry another request: open, and nothing came that nobody asked for."""
        if not self.closed:
            self._read()
        return not self.closed

    def close(self) -> None:
        """Close now. Whoever waits for the connection is told."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if self._tls is not None and self._tls.secured:
            self._say(self._tls.farewell())
        self._sock.close()
        if self._over is not None and not self._over.done():
            self._finish(httpx.ReadError("The connection was closed from our side before the answer was complete."))

    async def _send(self, request: bytes) -> bool:
        """True when all of it was handed to the kernel."""
        try:
            if self._tls is None:
                return await self._push(request)
            view = memoryview(request)
            for start in range(0, len(view), RECORD_BYTES):
                self._tls.encrypt(view[start : start + RECORD_BYTES])
                if not await self._push(self._tls.pending()):
                    return False
        except OSError as error:
            # A server that refuses a body answers and closes (RFC 9112 §9.5): its answer may be here already, and
            # the end of the stream is sure to come. Only when no answer stands before it does this error count.
            self._write_error = error
            return False
        return True

    async def _push(self, data: bytes) -> bool:
        sent = self._send_some(data) if data else 0
        if sent == len(data):
            return True
        view, over = memoryview(data), self._over
        while sent < len(data):
            await self._until_sendable()
            if self._answer is not None and over is not None and over.done():
                return False
            sent += self._send_some(view[sent:])
        return True

    def _send_some(self, data: bytes | memoryview) -> int:
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        if sent and self._answer is not None:
            self._stamps.written = True
        return sent

    async def _until_sendable(self) -> None:
        sendable = self._sendable = self._loop.create_future()
        self._loop.add_writer(self._fd, self._wake_sender)
        try:
            await sendable
        finally:
            self._sendable = None
            if not self.closed:  # its number may belong to another socket by now
                self._loop.remove_writer(self._fd)

    def _wake_sender(self) -> None:
        if self._sendable is not None and not self._sendable.done():
            self._sendable.set_result(None)

    def _say(self, data: bytes) -> None:
        """Send without waiting and without caring: alerts on the way out."""
        with suppress(OSError):  # then the other side sees the end of the stream instead
            self._sock.send(data)

    def _read(self) -> None:
        if self.closed:
            return
        try:
            data, ancillary, _, _ = self._sock.recvmsg(RECEIVE_BYTES, ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        read_at_ns = monotonic_ns()
        try:
            self._take(data, ancillary, read_at_ns)
        except httpx.HTTPError as error:
            self._finish(error)

    def _take(self, data: bytes, ancillary: Ancillary, read_at_ns: int) -> None:
        tls, answer = self._tls, self._answer
        ended, error = not data, None
        if tls is not None:
            tls.receive(data)
            if not tls.secured:
                self._finish(None)  # `secure` goes on
                return
            data = tls.decrypt()
            error = tls.error
            ended = tls.ended or error is not None
        if answer is None or answer.complete:
            if data or ended:
                self._drop(answer)
            return
        if data:
            stamps, arrived_ns = self._stamps, 0
            if not stamps.first_byte_ns:
                arrived_ns, stamps.kernel = self._arrival(ancillary, read_at_ns)
                stamps.first_byte_ns = arrived_ns
            if answer.feed(data):
                stamps.done_ns = arrived_ns or self._arrival(ancillary, read_at_ns)[0]
                self._finish(None)
                return
        if ended:
            self._end(error)

    def _drop(self, answer: Answer | None) -> None:
        """Something came while nothing was asked: the next answer could not be told from it."""
        if answer is not None:
            answer.reusable = False
        self.close()

    def _end(self, error: OSError | None) -> None:
        """Nothing more will come; `error` is None for an orderly end."""
        answer = self._answer
        if answer is None:
            self._finish(error)
            self.close()
            return
        self._loop.remove_reader(self._fd)
        answer.reusable = False
        try:
            _end_answer(answer, error)
        except httpx.HTTPError as incomplete:
            incomplete.__cause__ = error
            self._finish(self._as_write_error() or incomplete)
        else:
            self._stamps.done_ns = monotonic_ns()
            self._finish(None)

    def _as_write_error(self) -> httpx.WriteError | None:
        if self._write_error is None:
            return None
        failed = httpx.WriteError(f"The request could not be sent: {self._write_error}.")
        failed.__cause__ = self._write_error
        return failed

    def _finish(self, error: Exception | None) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(error)
        self._wake_sender()

    def _arrival(self, ancillary: Ancillary, read_at_ns: int) -> tuple[int, bool]:
        """When what was read arrived, and whether the kernel says so: not when it gave no stamp, nor when the wall
        clock on which it stamps was set in between."""
        stamps = self._stamps
        earliest_ns = stamps.first_byte_ns or stamps.sent_ns
        if not ancillary:
            return max(read_at_ns, earliest_ns), False
        ahead_ns = wall_minus_monotonic_ns()
        if stepped(self._ahead_ns, ahead_ns):
            stamps.clock_stepped = True
            return max(read_at_ns, earliest_ns), False
        stamp_ns = read_stamp(ancillary, ahead_ns)
        if stamp_ns is None:
            return max(read_at_ns, earliest_ns), False
        return min(max(stamp_ns, earliest_ns), read_at_ns), True


def _end_answer(answer: Answer, error: OSError | None) -> None:
    """An orderly end may be the end of the answer; any other breaks it."""
    if error is None:
        answer.feed_eof()
    elif isinstance(error, ssl.SSLEOFError):
        # RFC 9112 §9.8: without a closure alert somebody else may have cut the stream
        raise httpx.RemoteProtocolError("The connection was closed without a TLS closure alert: the answer may be cut.")
    else:
        raise httpx.ReadError(f"The connection broke while the answer was read: {error}.")

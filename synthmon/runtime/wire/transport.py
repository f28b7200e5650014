"""HTTP/1.1 as a prober needs it: resolve, connect, TLS, wait and read happen one after the other and are each stamped.

An `httpx` transport of our own on a raw socket and httptools. It sends what httpx gives it and returns the whole answer
as it travelled (nobody has decompressed it); redirects, cookies and retries in the sense of a journey are not its
matter. HTTP/2 and proxies go through httpx's stock transport.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from time import monotonic_ns

import httpx

from synthmon.runtime.outbound.stamps import Address, Resolve, Stamps
from synthmon.runtime.wire.connect import NoneConnected, connect
from synthmon.runtime.wire.connection import Connection
from synthmon.runtime.wire.parse import Answer
from synthmon.runtime.wire.request import Outgoing, write_request

HEAD_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 10 * 1024 * 1024
LIMIT_S = 60.0  # for a request that brings no deadline of its own
PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class WireTransport(httpx.AsyncBaseTransport):
    """The connections of one run: one a (scheme, host, port), kept and reused while it is idle and clean.

    `request.extensions` may hold `stamps` (a `Stamps` to fill), `deadline_ns` (monotonic, for everything together),
    `head_limit` and `body_limit` in bytes. Raises httpx's errors with the `OSError` as their cause:
    `ConnectTimeout`, `WriteTimeout` or `ReadTimeout` at the deadline, `ConnectError`, `WriteError`, `ReadError`,
    `TooLarge`, `RemoteProtocolError`, `LocalProtocolError`, `UnsupportedProtocol`.

    A kept connection that turns out closed before any byte of an answer is replaced once, if no byte of the request
    was handed to the kernel or its method is idempotent (RFC 9110 §9.2.2, RFC 9112 §9.3.1). The stamps are then those
    of the second attempt; `written` stays true.
    """

    def __init__(self, resolve: Resolve, tls: ssl.SSLContext) -> None:
        self._resolve, self._tls = resolve, tls
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._ended = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read the whole answer. A cancelled request closes its connection."""
        if self._ended:
            raise RuntimeError("This run has ended and closed its connections; a request came after that.")
        stamps: Stamps = request.extensions.get("stamps") or Stamps()
        stamps.began_ns = monotonic_ns()
        attempt = _Attempt(request, stamps, _origin_of(request))
        deadline_ns: int = request.extensions.get("deadline_ns") or stamps.began_ns + int(LIMIT_S * 1e9)
        left_s = (deadline_ns - stamps.began_ns) / 1e9
        if left_s <= 0:
            raise httpx.ConnectTimeout("The deadline had passed before the request could begin.", request=request)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + left_s):
                return await self._answer(attempt)
        except TimeoutError as error:
            raise attempt.as_timeout(left_s) from error
        except httpx.HTTPError as error:
            error.request = request
            raise
        finally:
            self._put_back(attempt)

    async def aclose(self) -> None:
        """Close every connection of the run; a request that waits on one fails with `httpx.ReadError`."""
        self._ended = True
        self._idle.clear()
        for connection in tuple(self._open):
            connection.close()
        self._open.clear()

    async def _answer(self, attempt: _Attempt) -> httpx.Response:
        outgoing = await write_request(attempt.request)
        if (idle := self._take_idle(attempt.origin)) is not None:
            attempt.connection, attempt.stamps.reused = idle, True
            try:
                return await _exchange(attempt, outgoing)
            except httpx.TransportError as error:
                if self._ended or not _may_repeat(attempt.stamps, outgoing, error):
                    raise
                self._put_back(attempt)
                attempt.start_over()
        await self._connect(attempt)
        return await _exchange(attempt, outgoing)

    async def _connect(self, attempt: _Attempt) -> None:
        scheme, host, port = attempt.origin
        stamps = attempt.stamps
        addresses = await self._find(host, port)
        stamps.resolved_ns = monotonic_ns()
        if addresses:
            stamps.address = addresses[0].host
        try:
            sock, address, stamps.connected_ns = await connect(addresses)
        except NoneConnected as error:
            stamps.address = error.address
            raise httpx.ConnectError(f"No connection to {host}: {error}.") from (error.__cause__ or error)
        stamps.address = address.host
        connection = attempt.connection = Connection(asyncio.get_running_loop(), sock, address.host)
        self._open.add(connection)
        if scheme == "https":
            try:
                await connection.secure(self._tls, host)
            except OSError as error:
                raise httpx.ConnectError(f"No TLS with {host} at {address.host} port {port}: {error}.") from error
            stamps.secured_ns = monotonic_ns()

    async def _find(self, host: str, port: int) -> Sequence[Address]:
        try:
            return await self._resolve(host, port)
        except httpx.HTTPError:
            raise
        except OSError as error:
            raise httpx.ConnectError(f"The name {host} could not be resolved: {error}.") from error

    def _take_idle(self, origin: Origin) -> Connection | None:
        waiting = self._idle.get(origin)
        while waiting:
            connection = waiting.pop()
            if connection.still_idle():
                return connection
            self._open.discard(connection)
        return None

    def _put_back(self, attempt: _Attempt) -> None:
        """Keep the connection if it stands exactly behind a whole answer; close it otherwise."""
        connection, attempt.connection = attempt.connection, None
        if connection is None:
            return
        if attempt.reusable and not connection.closed and not self._ended:
            self._idle.setdefault(attempt.origin, []).append(connection)
        else:
            connection.close()
            self._open.discard(connection)


class _Attempt:
    """A request on its way, and the connection that belongs to it for as long."""

    def __init__(self, request: httpx.Request, stamps: Stamps, origin: Origin) -> None:
        self.request, self.stamps, self.origin = request, stamps, origin
        self.connection: Connection | None = None
        self.reusable = False

    def start_over(self) -> None:
        """The figures of the new attempt count, not those of a connection that was already gone."""
        stamps = self.stamps
        stamps.began_ns, stamps.reused, stamps.sent_ns = monotonic_ns(), False, 0
        stamps.address, stamps.tls_expires_in_s = "", None

    def as_timeout(self, limit_s: float) -> httpx.TimeoutException:
        """What was still going on at the deadline."""
        stamps, host = self.stamps, self.origin[1]
        within = f"within {limit_s:.3g} s"
        if stamps.first_byte_ns:
            return httpx.ReadTimeout(f"The answer of {host} was not complete {within}.", request=self.request)
        if stamps.sent_ns and self.connection is not None:
            if self.connection.sending:
                return httpx.WriteTimeout(f"{host} did not take the whole request {within}.", request=self.request)
            return httpx.ReadTimeout(f"{host} did not answer {within}.", request=self.request)
        if stamps.connected_ns:
            return httpx.ConnectTimeout(f"No TLS with {host} at {stamps.address} {within}.", request=self.request)
        if stamps.resolved_ns:
            return httpx.ConnectTimeout(f"No connection to {host} at {stamps.address} {within}.", request=self.request)
        return httpx.ConnectTimeout(f"The name {host} was not resolved {within}.", request=self.request)


async def _exchange(attempt: _Attempt, outgoing: Outgoing) -> httpx.Response:
    request, connection = attempt.request, attempt.connection
    assert connection is not None
    answer = Answer(
        request.method,
        head_limit=request.extensions.get("head_limit", HEAD_LIMIT_BYTES),
        body_limit=request.extensions.get("body_limit", BODY_LIMIT_BYTES),
    )
    await connection.exchange(outgoing.data, answer, attempt.stamps)
    attempt.reusable = answer.reusable and not outgoing.closes
    return httpx.Response(
        answer.status,
        headers=answer.headers,
        stream=httpx.ByteStream(answer.body),
        request=request,
        extensions={"http_version": answer.version, "reason_phrase": answer.reason},
    )


def _may_repeat(stamps: Stamps, outgoing: Outgoing, error: httpx.TransportError) -> bool:
    if stamps.first_byte_ns or isinstance(error, httpx.TimeoutException):
        return False
    return outgoing.idempotent or not stamps.written


def _origin_of(request: httpx.Request) -> Origin:
    url = request.url
    scheme = url.scheme
    if scheme not in PORTS or request.method == "CONNECT":
        raise httpx.UnsupportedProtocol(f"{request.method} {scheme}: is not HTTP/1.1 without a proxy.", request=request)
    return scheme, url.raw_host.decode("ascii"), url.port or PORTS[scheme]

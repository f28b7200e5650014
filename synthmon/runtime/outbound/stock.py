"""HTTP through httpx's stock pool (httpcore), told whom it may dial and stamped on the way."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from synthmon.runtime.outbound.stamps import Address, Resolve, Stamps, TooLarge
from synthmon.runtime.outbound.trouble import most_telling

KEEP_IDLE_S = 1.0  # servers close idle connections after 2 s or more; one that is closing must not look broken


class Transport(httpx.AsyncBaseTransport):
    """The connections of one run to one system, over httpcore's pool with a network backend of our own.

    A request brings `stamps`, `deadline_ns`, `head_limit` and `body_limit` among its extensions (see `outbound`).
    A read that meets a kept connection just closed by the server is sent once more on a new one (RFC 9110 9.2.2).
    Raises httpx's exceptions with what the operating system said as their cause, and whatever `resolve` raises.
    """

    def __init__(self, resolve: Resolve, tls: ssl.SSLContext) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=None,
            keepalive_expiry=KEEP_IDLE_S,
            network_backend=_Network(resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        stamps: Stamps = request.extensions["stamps"]
        try:
            return await self._once(request, stamps)
        except httpx.TransportError:
            if not (stamps.reused and not stamps.first_byte_ns and request.method in _SAFE):
                raise
        stamps.reused, stamps.sent_ns, stamps.address = False, 0, ""
        return await self._once(request, stamps)

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _once(self, request: httpx.Request, stamps: Stamps) -> httpx.Response:
        exchange = _Exchange(stamps, request.extensions["deadline_ns"], request.extensions["head_limit"])
        stamps.began_ns = time.monotonic_ns()
        url = request.url
        _NOW.set(exchange)
        with _as_httpx():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={"sni_hostname": url.raw_host.decode("ascii").removesuffix(".")},
                )
            )
        exchange.in_head = False
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response.stream, exchange, request.extensions["body_limit"]),
        )


@dataclass(slots=True)
class _Exchange:
    """What the network backend must know of the request that it works for."""

    stamps: Stamps
    deadline_ns: int
    head_limit: int
    in_head: bool = True
    head_bytes: int = 0

    def seconds_left(self) -> float:
        return max(0.001, (self.deadline_ns - time.monotonic_ns()) / 1e9)


_NOW: ContextVar[_Exchange] = ContextVar("exchange")  # the pool tells its backend nothing of the request


class _Body(httpx.AsyncByteStream):
    """The raw body, counted."""

    def __init__(self, inner: Any, exchange: _Exchange, limit_bytes: int) -> None:
        self._inner, self._exchange, self._limit_bytes = inner, exchange, limit_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        arrived = 0
        with _as_httpx():
            async for chunk in self._inner:
                arrived += len(chunk)
                if arrived > self._limit_bytes:
                    raise TooLarge(f"its body is over {self._limit_bytes} bytes")
                yield chunk
        self._exchange.stamps.done_ns = time.monotonic_ns()

    async def aclose(self) -> None:
        with _as_httpx():
            await self._inner.aclose()


class _Network(httpcore.AsyncNetworkBackend):
    """Dials only what `resolve` answers."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve, self._inner = resolve, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        exchange = _NOW.get()
        addresses = await self._resolve(host, port)
        exchange.stamps.resolved_ns = time.monotonic_ns()
        address, stream = await self._first_open(addresses, exchange)
        exchange.stamps.connected_ns = time.monotonic_ns()
        return _Stream(stream, address.host, None)

    async def _first_open(
        self, addresses: Sequence[Address], exchange: _Exchange
    ) -> tuple[Address, httpcore.AsyncNetworkStream]:
        """One after the other, each with its share of the time left."""
        errors: list[Exception] = []
        for n, address in enumerate(addresses):
            exchange.stamps.address = address.host
            share_s = exchange.seconds_left() / (len(addresses) - n)
            try:
                return address, await self._inner.connect_tcp(address.host, address.port, timeout=share_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                errors.append(error)
        raise most_telling(errors)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that stamps what passes; it outlives the exchange that opened it."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, address: str, not_after_s: float | None) -> None:
        self._inner, self._address, self._not_after_s = inner, address, not_after_s

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout=None)
        except BaseException:  # the pool forgets a connection whose handshake is cancelled
            await self._inner.aclose()
            raise
        _NOW.get().stamps.secured_ns = time.monotonic_ns()
        certificate = inner.get_extra_info("ssl_object").getpeercert() or {}
        not_after = certificate.get("notAfter")
        return _Stream(inner, self._address, ssl.cert_time_to_seconds(not_after) if not_after else None)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        stamps = _NOW.get().stamps
        if buffer and not stamps.sent_ns:
            stamps.sent_ns = time.monotonic_ns()
            stamps.written = True
            stamps.reused = not stamps.connected_ns
            stamps.address = self._address
            stamps.tls_expires_in_s = self._not_after_s - time.time() if self._not_after_s is not None else None
        await self._inner.write(buffer, timeout=None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = _NOW.get()
        if exchange.in_head and exchange.head_bytes >= exchange.head_limit:
            raise TooLarge(f"its headers are over {exchange.head_limit} bytes")
        data = await self._inner.read(max_bytes, timeout=None)
        if data and not exchange.stamps.first_byte_ns:
            exchange.stamps.first_byte_ns = time.monotonic_ns()
        exchange.head_bytes += len(data)
        return data

    async def aclose(self) -> None:
        await self._inner.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@contextmanager
def _as_httpx() -> Iterator[None]:
    """httpcore's exceptions by their httpx names, which are the same words."""
    try:
        yield
    except tuple(_NAMES) as error:
        # the pool raises `from None` and so drops the cause; the exception still holds it as its argument
        cause = next((each for each in error.args if isinstance(each, BaseException)), error)
        raise _NAMES[type(error)](str(error)) from cause


_SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_NAMES: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ReadError: httpx.ReadError,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.WriteError: httpx.WriteError,
    httpcore.WriteTimeout: httpx.WriteTimeout,
}

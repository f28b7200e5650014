"""Opens a connection to a host that the guard allows: resolved once, dialled there, TLS as its system says."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

from synthmon.runtime.outbound.stamps import Resolve, Stamps
from synthmon.runtime.wire.connect import NoneConnected, connect

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_streams(
    host: str, port: int, resolve: Resolve, tls: Callable[[], ssl.SSLContext] | None, limit_s: float, stamps: Stamps
) -> Streams:
    """Connect, and shake hands unless `tls` is None; `stamps` tell how far it came. Raises what the network does.

    `limit_s` is of the handshake alone: the caller sets that of the whole.
    """
    stamps.began_ns = time.monotonic_ns()
    addresses = await resolve(host, port)
    stamps.resolved_ns = time.monotonic_ns()
    stamps.address = addresses[0].host
    try:
        sock, address, stamps.connected_ns = await connect(addresses)
    except NoneConnected as error:
        stamps.address = error.address
        raise (error.__cause__ or error) from error
    stamps.address = address.host
    try:
        streams = await asyncio.open_connection(
            sock=sock,
            ssl=tls() if tls else None,
            server_hostname=host.rstrip(".") if tls else None,
            ssl_handshake_timeout=max(0.1, limit_s) if tls else None,
        )
    except BaseException:
        sock.close()
        raise
    stamps.secured_ns = time.monotonic_ns() if tls else 0
    return streams

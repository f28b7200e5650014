"""One open connection for a protocol of its own: bytes in, bytes out, stamped, and told in words when it fails."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from synthmon.core.door import Certificate, Trouble
from synthmon.core.timing import Timing
from synthmon.runtime.outbound.stamps import Stamps

CHUNK_BYTES = 65_536
FAREWELL_S = 0.5  # that the other side has to answer our closure alert


class StreamLine:
    """`core.door.Line` over asyncio's streams. `may_leave` raises when nothing may be sent any more."""

    def __init__(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        stamps: Stamps,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        may_leave: Callable[[], None],
        tell: Callable[[Exception], Trouble],
        time_it: Callable[[], Timing],
    ) -> None:
        self._url, self._headers, self._stamps = url, tuple(headers), stamps
        self._reader, self._writer = streams
        self._may_leave, self._tell, self._time_it = may_leave, tell, time_it
        self._certificate = _certificate(self._writer.get_extra_info("ssl_object"))

    @property
    def url(self) -> str:
        return self._url

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return self._headers

    @property
    def certificate(self) -> Certificate | None:
        return self._certificate

    @property
    def timing(self) -> Timing:
        self._stamps.done_ns = time.monotonic_ns()
        return self._time_it()

    async def read(self) -> bytes:
        data = await self._reader.read(CHUNK_BYTES)
        if data and not self._stamps.first_byte_ns:
            self._stamps.first_byte_ns = time.monotonic_ns()
        return data

    async def write(self, data: bytes) -> None:
        self._may_leave()
        if not self._stamps.written:
            self._stamps.written, self._stamps.sent_ns = True, time.monotonic_ns()
        self._writer.write(data)
        await self._writer.drain()

    def trouble(self, error: Exception) -> Trouble:
        self._stamps.done_ns = time.monotonic_ns()
        return self._tell(error)

    async def aclose(self) -> None:
        with suppress(OSError, TimeoutError):  # it is let go of, whatever the other side does
            self._writer.close()
            async with asyncio.timeout(FAREWELL_S):
                await self._writer.wait_closed()
        self._writer.transport.abort()


def _certificate(tls: ssl.SSLObject | None) -> Certificate | None:
    found: Any = tls.getpeercert() if tls is not None else None
    if tls is None or not found:
        return None
    expires_in_s = ssl.cert_time_to_seconds(found["notAfter"]) - time.time()
    return Certificate(tls.version() or "", _name(found["subject"]), _name(found["issuer"]), expires_in_s)


def _name(parts: Sequence[Sequence[tuple[str, str]]]) -> str:
    """`CN=shop.example.com,O=Shop`: the last part first (RFC 4514 2.1), the usual attributes by their short names."""
    pairs = [(_SHORT.get(name, name), value.replace(",", "\\,")) for part in reversed(parts) for name, value in part]
    return ",".join(f"{name}={value}" for name, value in pairs)


_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}

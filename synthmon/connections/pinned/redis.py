"""A connection to Redis at one of the addresses that were looked at, under the name that they were looked up by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from ssl import SSLContext, SSLError
from typing import Any

from redis.asyncio.connection import AbstractConnection


class PinnedConnection(AbstractConnection):
    """Dials `addresses` and no others; with `tls`, the certificate must be that of `host`."""

    def __init__(self, *, host: str, port: int, addresses: Sequence[str], tls: SSLContext | None, **rest: Any) -> None:
        super().__init__(**rest)
        self.host, self.port, self._addresses, self._tls = host, port, addresses, tls

    def repr_pieces(self) -> Iterable[tuple[str, str | int]]:
        return [("host", self.host), ("port", self.port), ("db", self.db)]

    async def _connect(self) -> None:
        name = self.host if self._tls else None
        failed: OSError | None = None
        async with asyncio.timeout(self.socket_connect_timeout):
            for address in self._addresses:
                try:
                    self._reader, self._writer = await asyncio.open_connection(
                        address, self.port, ssl=self._tls, server_hostname=name
                    )
                    return
                except SSLError:
                    raise
                except OSError as error:
                    failed = error
        raise failed or OSError(f"there is no address to dial for {self.host}")

    def _host_error(self) -> str:
        return f"{self.host}:{self.port}"

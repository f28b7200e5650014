"""The connections of the settings: opened when first needed, shared by all runs, opened anew when they break."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from synthmon.core.connections import Connection, ConnectionKind, ConnectionTrouble, Link
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import SecretError
from synthmon.core.system import System, Tls
from synthmon.runtime.outbound.guard import guard_of
from synthmon.runtime.outbound.names import LookUp, guarded

FIRST_WAIT_S, LAST_WAIT_S = 0.2, 5.0  # between two attempts to open one that cannot be opened
OPEN_S = 10.0

Secret = Callable[[str, str], str]
"""(connection, key: `password`) → its value. Raises `SecretError`."""


@dataclass(slots=True)
class _Held:
    """One connection and how it stands."""

    connection: Connection
    opening: asyncio.Lock
    link: Link | None = None
    failed: Exception | None = None
    failures: int = 0
    again_s: float = 0.0  # not before


class Links:
    """All of them, for as long as the daemon lives."""

    def __init__(self, look_up: LookUp, tls: Callable[[Tls], ssl.SSLContext]) -> None:
        self._look_up, self._tls = look_up, tls
        self._kinds: Mapping[str, ConnectionKind] = {}
        self._secret: Secret = _no_secret
        self._held: dict[str, _Held] = {}
        self._letting_go: set[asyncio.Task[None]] = set()

    def serve(self, connections: Mapping[str, Connection], kinds: Mapping[str, ConnectionKind], secret: Secret) -> None:
        """These from now on. One that changed is let go; runs that hold it see it as broken."""
        self._kinds, self._secret = kinds, secret
        for name, held in list(self._held.items()):
            if connections.get(name) != held.connection:
                del self._held[name]
                self._let_go(held)
        for name, connection in connections.items():
            if name not in self._held:
                self._held[name] = _Held(connection, asyncio.Lock())

    def connection(self, name: str) -> Connection:
        """What the settings say of it. Raises `ConnectionTrouble`."""
        if name not in self._held:
            said = f"there is no connection `{name}`; add it under `connections:` in the settings"
            raise ConnectionTrouble(Reason.EGRESS_BLOCKED, said, sent=False)
        return self._held[name].connection

    async def get(self, name: str) -> Link:
        """The open link; opened now if need be. After a failure it waits before it tries again, and until then answers
        with what was wrong. Raises `ConnectionTrouble`, or what the connection's library raises."""
        self.connection(name)
        held = self._held[name]
        if held.link is not None and not held.link.broken:
            return held.link
        async with held.opening:
            if held.link is not None and not held.link.broken:
                return held.link
            if held.failed is not None and time.monotonic() < held.again_s:
                raise held.failed
            if held.link is not None:
                broken, held.link = held.link, None
                await broken.aclose()
            try:
                async with asyncio.timeout(OPEN_S):
                    held.link = await self._open(held.connection)
            except Exception as error:
                held.failed, held.failures = error, held.failures + 1
                held.again_s = time.monotonic() + min(LAST_WAIT_S, FIRST_WAIT_S * 2 ** (held.failures - 1))
                raise
            held.failed, held.failures = None, 0
            return held.link

    async def aclose(self) -> None:
        """Let go of all."""
        for held in self._held.values():
            self._let_go(held)
        self._held = {}
        await asyncio.gather(*self._letting_go, return_exceptions=True)

    async def _open(self, connection: Connection) -> Link:
        outlet = _Outlet(connection, self._look_up, self._tls, self._secret)
        return await self._kinds[connection.word].open(connection.keys, outlet)

    def _let_go(self, held: _Held) -> None:
        if held.link is not None:
            task = asyncio.ensure_future(held.link.aclose())
            self._letting_go.add(task)
            task.add_done_callback(self._letting_go.discard)


class _Outlet:
    """`core.connections.Outlet` of one connection."""

    def __init__(
        self, connection: Connection, look_up: LookUp, tls: Callable[[Tls], ssl.SSLContext], secret: Secret
    ) -> None:
        self._connection, self._tls, self._secret = connection, tls, secret
        self._guard = guard_of(
            System(connection.name, {}, connection.allow, connection.allow_networks, writes=connection.writes)
        )
        self._addresses = guarded(self._guard, look_up)

    async def pinned(self, host: str, port: int) -> Sequence[str]:
        self._guard.host(host)
        return [address.host for address in await self._addresses(host, port)]

    def secret(self, name: str) -> str:
        return self._secret(self._connection.name, name) if name in self._connection.references else ""

    def tls(self) -> ssl.SSLContext:
        return self._tls(self._connection.tls)


def _no_secret(connection: str, key: str) -> str:
    raise SecretError(f"`{key}` of connection {connection} is not known here")

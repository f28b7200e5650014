"""What leaves through the one door out, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from synthmon.core.browsing import Visit, Visited
from synthmon.core.inbound import Hook
from synthmon.core.messages import Gap, Message, Publication
from synthmon.core.outcomes import Reason
from synthmon.core.timing import Timing


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as a journey means it.

    `url` is absolute, or relative to the base of the system. Values that are secret stand in it, in `headers` and in
    `body` as sealed handles (`core.secrets`); only the door opens them.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """On whose behalf a request leaves: the run, its journey, the system, the idempotency key of a write."""

    run_id: str
    journey: str
    system: str
    location: str = ""
    key: str | None = None
    effect: bool = False
    timeout_s: float = 10.0
    again: bool = False  # the same request failed before and is repeated by `retry`
    clean_up: bool = False  # it takes back what was made: it leaves also when nothing else may
    act: str = ""  # whose it is: the path of an act (`order#1`), empty for what no step asked for


@dataclass(frozen=True, slots=True)
class Dial:
    """A place to speak to by a protocol of its own: `tcp`, `tls`, `ws`, `wss`, `http` or `https` in front of host, port
    and path. What is relative is behind the base of the system, and `tls://:993` at the base's host.

    Sealed handles may stand in `url` and `headers`.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server showed in the TLS handshake, checked already; names as in RFC 4514: `CN=shop.example.com`."""

    version: str  # of TLS: `TLSv1.3`
    subject: str
    issuer: str
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class Authorities:
    """Whom TLS believes at a system, and how we show ourselves there: PEM, for a client with a TLS of its own."""

    roots: bytes
    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """For a client with a socket of its own: the host for TLS and names, and the only addresses that it may dial."""

    host: str
    port: int
    path: str
    addresses: tuple[str, ...]
    authorities: Authorities | None = None  # None: without TLS


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer: header names in lower case, the body after decompression."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    content: bytes = field(repr=False)
    timing: Timing
    url: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An act that brought no answer: why, in words for a person, and whether a byte of it may have left."""

    reason: Reason
    detail: str
    sent: bool = True
    timing: Timing = Timing()
    shot: str = ""  # the name of a picture of it, if there is one


@dataclass(frozen=True, slots=True)
class Published:
    """The broker has it. `timing` counts from handing it over to the acknowledgement."""

    timing: Timing


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query gave, in the database's order: column name → value as JSON has it."""

    rows: tuple[Mapping[str, Any], ...]
    timing: Timing


Hear = Callable[[Message | Gap], None]
"""Told of each arrival, on the loop and at once; `at_s` 0 means now."""


class OpenEar(Protocol):
    """A listener that hears until it is closed. `where` says at what, for a person."""

    @property
    def where(self) -> str: ...

    async def aclose(self) -> None:
        """Take back what was bound for it. Never raises."""
        ...


@runtime_checkable
class Naming(OpenEar, Protocol):
    """A listener by which the run learns values, such as the address that was opened for it."""

    @property
    def names(self) -> Mapping[str, Any]: ...


class Line(Protocol):
    """An open connection to a place of a system, TLS around it where that was asked for.

    `read` and `write` raise `OSError` for what the network and the other side do, and take as long as they are allowed
    to; `trouble` says in words what one of these, or a `TimeoutError` of the caller, means.
    """

    @property
    def url(self) -> str:
        """Where it leads, with secrets opened."""
        ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The writer's with secrets opened, and the run's marks."""
        ...

    @property
    def certificate(self) -> Certificate | None: ...

    @property
    def timing(self) -> Timing:
        """From the beginning until now."""
        ...

    async def read(self) -> bytes:
        """What has come, at least a byte; `b""` at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send it, unless nothing may leave any more."""
        ...

    def trouble(self, error: Exception) -> Trouble: ...

    async def aclose(self) -> None:
        """Hang up. Never raises."""
        ...


class Door(Protocol):
    """The one way out: guards, stamps and times everything that leaves. One door lives as long as one run.

    Nothing here raises for what a network, a target or a broker does; everything ends within `envelope.timeout_s`.
    """

    async def http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        """Send one request, follow what may be followed, read all of the answer."""
        ...

    async def publish(self, connection: str, publication: Publication, envelope: Envelope) -> Published | Trouble:
        """Send one message, with the run's marks among its headers, and wait until the broker has it."""
        ...

    async def listen(self, connection: str, to: Mapping[str, str], hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        """Hear a copy of what comes there from now on; nothing is taken from anybody else."""
        ...

    async def hook(self, hook: Hook, hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        """Hear calls on an address of its own, `names["url"]`; the bodies of its replies may hold sealed handles."""
        ...

    async def query(self, connection: str, sql: str, params: Mapping[str, Any], envelope: Envelope) -> Rows | Trouble:
        """Ask a database, which lets nothing be changed; `:name` in `sql` is bound, never put in as text."""
        ...

    async def count(self, connection: str, at: Mapping[str, str], envelope: Envelope) -> int | Trouble:
        """How many messages wait at a place, without touching them."""
        ...

    async def pinned(self, host: str, port: int, envelope: Envelope) -> Sequence[str] | Trouble:
        """For a client with a socket of its own: the numeric addresses that it may connect to, and no others."""
        ...

    async def find(self, url: str, envelope: Envelope) -> Found | Trouble:
        """The same for an address as in `Dial.url`, and whom TLS believes there. An effect needs leave to POST."""
        ...

    async def dial(self, to: Dial, envelope: Envelope) -> Line | Trouble:
        """Connect, for a protocol of its own. An effect needs a system that may be written to."""
        ...

    async def visit(self, visit: Visit, envelope: Envelope) -> Visited | Trouble:
        """Open a page in a browser that goes through this door, and do things on it.

        Cookies last as long as the run. Taking a picture of a failure may take 2 s more than the envelope says.
        """
        ...

    def marks(self, envelope: Envelope) -> tuple[tuple[str, str], ...]:
        """The headers that mark the next thing that leaves as synthetic and as this run's."""
        ...

    def reveal(self, text: str) -> str:
        """A text with its sealed handles opened, for a client with a socket of its own. Raises `SecretError`."""
        ...

    def redact(self, text: str) -> str:
        """The text with `•••` for every secret of the run, in any form that it may take."""
        ...

    def withdraw(self) -> None:
        """From now on nothing leaves but clean-up; what has not left yet comes back as `INTERRUPTED`."""
        ...

    async def aclose(self) -> None:
        """Close everything of the run."""
        ...

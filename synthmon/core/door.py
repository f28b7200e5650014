"""What leaves through the one door out, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from synthmon.core.outcomes import Reason


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as a journey means it.

    `url` is absolute, or relative to the base of the system. Values that are secret stand in it, in `headers` and in
    `body` as sealed handles (`core.secrets`); only the door opens them.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


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


@dataclass(frozen=True, slots=True)
class Timing:
    """Where one attempt spent its time, in milliseconds from the moment its socket was asked for.

    `sent_at_s` and `first_byte_at_s` are instants of the run's monotonic clock. `ours_ms` was spent in our own queues
    (rate, concurrency, journal) before that and is in no other figure. `lagged` marks a sample taken while our loop
    was behind by more than 10 ms and no kernel stamp corrected it; `kernel` says that the wait is a kernel receive
    stamp. Redirects add up.
    """

    dns_ms: float = 0.0
    connect_ms: float = 0.0
    tls_ms: float = 0.0
    wait_ms: float = 0.0
    read_ms: float = 0.0
    total_ms: float = 0.0
    ours_ms: float = 0.0
    sent_at_s: float | None = None
    first_byte_at_s: float | None = None
    lagged: bool = False
    kernel: bool = False
    reused: bool = False
    address: str = ""
    tls_expires_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer: header names in lower case, the body after decompression."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
    timing: Timing
    url: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An act that brought no answer: why, in words for a person, and whether a byte of it may have left."""

    reason: Reason
    detail: str
    sent: bool = True
    timing: Timing = Timing()


class Door(Protocol):
    """The one way out: guards, stamps and times everything that leaves. One door lives as long as one run."""

    async def http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        """Send one request, follow what may be followed, read all of the answer. Never raises for what the network or
        the target does; ends within `envelope.timeout_s`."""
        ...

    async def aclose(self) -> None:
        """Close every connection of the run."""
        ...

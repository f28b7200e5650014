"""Where an attempt spent its time."""

from __future__ import annotations

from dataclasses import dataclass


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

"""When each phase of one exchange ended, and which addresses a transport may connect to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Address:
    """A numeric address that the guard has allowed. `family` is `socket.AF_INET` or `AF_INET6`, `host` never a name."""

    family: int
    host: str
    port: int


Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""(host, port) to the addresses that may be dialled, best first. Raises OSError when the name has none; what else it
raises (a guard's refusal) passes through the transport untouched."""


@dataclass(slots=True)
class Stamps:
    """Instants of one exchange as `time.monotonic_ns()`, filled as it goes, also when it fails.

    0 means that the phase did not take place or was not reached: a reused connection has no `resolved_ns`,
    `connected_ns` and `secured_ns`, plain HTTP has no `secured_ns`.
    """

    began_ns: int = 0
    resolved_ns: int = 0
    connected_ns: int = 0
    secured_ns: int = 0
    sent_ns: int = 0  # first byte of the request handed to the kernel
    first_byte_ns: int = 0
    done_ns: int = 0
    kernel: bool = False  # first_byte_ns is a receive stamp of the kernel: our own lag is not in it
    reused: bool = False
    written: bool = False  # a byte of the request may have left, in this attempt or in one before it
    clock_stepped: bool = False  # the wall clock jumped in between, so kernel stamps were not used
    address: str = ""
    tls_expires_in_s: float | None = None


class TooLarge(httpx.ReadError):
    """The answer passed its limit and the rest was not read."""


def check_pieces(pieces: int, size_bytes: int) -> None:
    """Raise `TooLarge` for a body that comes in crumbs: each piece costs the same whether it holds 1 byte or 64 KiB."""
    if pieces > _MOST_CRUMBS + size_bytes // _CRUMB_BYTES:
        raise TooLarge(f"its body comes in crumbs: {pieces} pieces for {size_bytes} bytes")


_MOST_CRUMBS = 16 * 1024
_CRUMB_BYTES = 64

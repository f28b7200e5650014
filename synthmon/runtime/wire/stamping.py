"""When the kernel received what we read, told on our monotonic clock, however late we came to read it.

Linux stamps each segment as it arrives (SO_TIMESTAMPING, software receive stamps, Documentation/networking/
timestamping.rst) on the wall clock. A read that takes several segments, or segments that the kernel joined, carries the
stamp of the last one: an upper bound for the first byte, exact for the end of what was read and for an answer of one
segment. Other systems have no stamps; then callers use the clock.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from time import monotonic_ns, time_ns

SO_TIMESTAMPING: int = getattr(socket, "SO_TIMESTAMPING", 37)
RX_SOFTWARE, REPORT_SOFTWARE = 1 << 3, 1 << 4  # linux/net_tstamp.h
TIMESPEC = struct.Struct("@ll")
ANCILLARY_BYTES = 128
TIGHT_NS = 5_000
STEP_NS = 1_000_000

Ancillary = Sequence[tuple[int, int, bytes]]


def ask_for_stamps(sock: socket.socket) -> None:
    """Have the kernel stamp what it receives on this socket; silently without effect where it cannot."""
    if sys.platform == "linux":
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | REPORT_SOFTWARE)
        except OSError:
            return  # a sandbox without it: the clock is used


def wall_minus_monotonic_ns() -> int:
    """How far the wall clock is ahead of the monotonic one. Both are slewed alike, so it changes by a step only."""
    tightest, ahead = sys.maxsize, 0
    for _ in range(3):
        before = monotonic_ns()
        wall = time_ns()
        after = monotonic_ns()
        if after - before < tightest:
            tightest, ahead = after - before, wall - (before + after) // 2
        if tightest < TIGHT_NS:
            break
    return ahead


def stepped(ahead_before_ns: int, ahead_now_ns: int) -> bool:
    """Whether somebody set the wall clock in between (by more than a millisecond)."""
    return abs(ahead_now_ns - ahead_before_ns) > STEP_NS


def read_stamp(ancillary: Ancillary, ahead_ns: int) -> int | None:
    """The kernel's receive stamp among the ancillary parts of one `recvmsg`, as `time.monotonic_ns()`; None without."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING and len(data) >= TIMESPEC.size:
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            if seconds:
                return int(seconds) * 1_000_000_000 + int(nanoseconds) - ahead_ns
    return None

"""A port for a server that cannot ask for any free one, or a port at which nobody will ever listen."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle

FIRST, EACH, WORKERS = 15_000, 1_000, 16


def free_port() -> int:
    """One of 127.0.0.1 that is given to nobody else: not by the kernel, for it lies below those that Linux hands out
    (`ip_local_port_range`, 32768 on), not by another worker of this run, and not again by this one for a long time.

    A port that was taken from the kernel and given back may belong to any other test when the server comes for it.
    """
    for port in _ports():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue  # of another run on this machine
        return port
    raise AssertionError("a cycle has no end")


@cache
def _ports() -> Iterator[int]:
    """The ports of this worker, begun anywhere, so that two runs on one machine seldom meet."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first, begin = FIRST + worker * EACH, os.getpid() % EACH
    return cycle([*range(first + begin, first + EACH), *range(first, first + begin)])

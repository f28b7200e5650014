"""The addresses of a host name, asked of the system's resolver without holding the loop."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from synthmon.runtime.outbound.addresses import literal
from synthmon.runtime.outbound.guard import Guard
from synthmon.runtime.outbound.stamps import Address, Resolve

LookUp = Callable[[str, int], Awaitable[Sequence[Address]]]
"""(name, port) to its addresses, best first. Raises `OSError`, `socket.gaierror` above all."""


class Names:
    """getaddrinfo(3) in threads of its own, so that a dead resolver keeps nothing else waiting.

    There is no cache: a probe measures the resolver as well. A look-up that nobody waits for any more ends by itself.
    """

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def look_up(self, name: str, port: int) -> Sequence[Address]:
        """All stream addresses of a name. Raises `socket.gaierror`, or `OSError` when descriptors ran out."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _ask, name, port)

    def close(self) -> None:
        """Take no more questions; look-ups under way are left to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded(guard: Guard, look_up: LookUp) -> Resolve:
    """Resolve once, keep what the guard allows: whoever connects dials these addresses and asks nobody again."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        ip = literal(host)
        if ip is None:
            return guard.addresses(host, await look_up(host, port))
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        return guard.addresses(host, [Address(family, str(ip), port)])

    return resolve


def _ask(name: str, port: int) -> Sequence[Address]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        _descriptors_left(error)
        raise
    except OSError as error:  # EAI_SYSTEM: the library itself could not work
        _descriptors_left(error)
        raise socket.gaierror(socket.EAI_SYSTEM, str(error)) from error
    except UnicodeError as error:  # a label over 63 characters, an empty one
        raise socket.gaierror(socket.EAI_NONAME, f"{name} cannot be a host name") from error
    return [Address(family, str(where[0]), port) for family, _, _, _, where in found]


def _descriptors_left(error: OSError) -> None:
    """Out of descriptors the C library answers "no such name" or "try again": ask the kernel for one to tell apart."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as short:
        if short.errno in (errno.EMFILE, errno.ENFILE):
            raise short from error

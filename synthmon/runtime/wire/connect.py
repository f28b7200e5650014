"""Gets a connected socket from guarded addresses, the quickest of several (Happy Eyeballs, RFC 8305)."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from time import monotonic_ns

from synthmon.runtime.outbound.stamps import Address
from synthmon.runtime.outbound.trouble import most_telling

HEAD_START_S = 0.25  # RFC 8305 §5, Connection Attempt Delay


Connected = tuple[socket.socket, Address, int]


class NoneConnected(OSError):
    """Every address failed; the message names each. `address` and `__cause__` are the most telling failure."""

    def __init__(self, failures: dict[Address, OSError]) -> None:
        super().__init__(_tell(failures))
        self.__cause__ = most_telling(list(failures.values())) if failures else None
        self.address = next((a.host for a, error in failures.items() if error is self.__cause__), "")


async def connect(addresses: Sequence[Address]) -> Connected:
    """A connected, non-blocking socket, the address that it leads to, and when it was connected (monotonic ns).

    Raises `NoneConnected`. Waits as long as it is allowed to: the caller sets the limit. No socket is left behind.
    """
    if len(addresses) == 1:
        address = addresses[0]
        try:
            return await _connect_one(address)
        except OSError as error:
            raise NoneConnected({address: error}) from error
    return await _race(_interleave(addresses))


async def _connect_one(address: Address) -> Connected:
    # a name would be resolved here once more, behind the back of the guard
    socket.inet_pton(address.family, address.host.partition("%")[0])
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex((address.host, address.port))
        connected_ns = monotonic_ns()
        if code == errno.EINPROGRESS:
            connected_ns = await _until_decided(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock, address, connected_ns


async def _until_decided(sock: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    decided: asyncio.Future[int] = loop.create_future()
    loop.add_writer(sock.fileno(), _decide, decided)
    try:
        return await decided
    finally:
        loop.remove_writer(sock.fileno())


def _decide(decided: asyncio.Future[int]) -> None:
    if not decided.done():
        decided.set_result(monotonic_ns())


async def _race(addresses: Sequence[Address]) -> Connected:
    """The next attempt starts when one fails or after the head start; the first that connects wins."""
    failures: dict[Address, OSError] = {}
    waiting = list(addresses)
    running: dict[asyncio.Task[Connected], Address] = {}
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop(0)
                running[asyncio.create_task(_connect_one(address))] = address
            done, _ = await asyncio.wait(
                running, timeout=HEAD_START_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                address = running[task]
                error = task.exception()
                if error is None:
                    del running[task]
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                del running[task]
                failures[address] = error
    finally:
        await _leave_behind_none(list(running))
    raise NoneConnected(failures)


async def _leave_behind_none(attempts: Sequence[asyncio.Task[Connected]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    for outcome in await asyncio.gather(*attempts, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            outcome[0].close()  # it connected in the same moment as the winner


def _interleave(addresses: Sequence[Address]) -> list[Address]:
    """RFC 8305 §4: the families take turns, the first given first, otherwise in the given order."""
    families = dict.fromkeys(address.family for address in addresses)
    rows = zip_longest(*([a for a in addresses if a.family == family] for family in families))
    return list(dict.fromkeys(address for address in chain.from_iterable(rows) if address is not None))


def _tell(failures: dict[Address, OSError]) -> str:
    if not failures:
        return "there is no address to connect to"
    return ", ".join(f"{a.host} port {a.port}: {error.strerror or error}" for a, error in failures.items())

"""Receive stamps of the kernel: what our own lag does to a latency, and what a set clock does to a stamp."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time

import pytest

from synthmon.runtime.outbound.stamps import Stamps
from synthmon.runtime.wire.connection import Connection
from synthmon.runtime.wire.parse import Answer
from synthmon.runtime.wire.stamping import SO_TIMESTAMPING, STEP_NS, read_stamp, stepped, wall_minus_monotonic_ns
from tests.runtime.wire_servers import OK, fetch, on_every_loop, transport

BLOCKED_S = 1.5
LATER_S = 0.1


def answer_once(listener: socket.socket, answered: list[int], pause_s: float) -> None:
    """A server in a thread: our blocked loop does not hold it up."""
    talk, _ = listener.accept()
    with talk:
        talk.recv(65536)
        time.sleep(pause_s)
        answered.append(time.monotonic_ns())
        talk.sendall(OK)
        talk.recv(65536)


@on_every_loop
async def test_a_blocked_loop_does_not_show_in_the_latency() -> None:
    answered: list[int] = []
    stamps = Stamps()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_once, args=(listener, answered, LATER_S))
        server.start()
        async with transport() as wire:
            request = asyncio.create_task(fetch(wire, f"http://127.0.0.1:{listener.getsockname()[1]}/", stamps=stamps))
            while not stamps.written:  # noqa: ASYNC110  (nothing else tells that the request has left)
                await asyncio.sleep(0)
            time.sleep(BLOCKED_S)  # noqa: ASYNC251  (this is the lag)
            await request
        server.join()

    read_ns = time.monotonic_ns()
    assert stamps.kernel
    assert stamps.first_byte_ns == stamps.done_ns
    assert stamps.sent_ns < stamps.first_byte_ns
    assert answered[0] - 1_000_000 < stamps.first_byte_ns < answered[0] + (BLOCKED_S - LATER_S) / 2 * 1e9
    assert read_ns - stamps.first_byte_ns > (BLOCKED_S - LATER_S) / 2 * 1e9


async def test_a_clock_that_was_set_in_between_is_flagged_and_the_stamp_not_used() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        connection = Connection(asyncio.get_running_loop(), ours, "pair")
        stamps = Stamps(sent_ns=time.monotonic_ns())
        connection._stamps, connection._ahead_ns = stamps, wall_minus_monotonic_ns() - 2_000_000_000
        answer = connection._answer = Answer("GET", head_limit=1000, body_limit=1000)
        stamp = struct.pack("@ll", time.time_ns() // 10**9, 0) + bytes(32)
        connection._take(OK, [(socket.SOL_SOCKET, SO_TIMESTAMPING, stamp)], time.monotonic_ns())
        connection.close()

    assert answer.complete
    assert stamps.clock_stepped
    assert not stamps.kernel
    assert stamps.sent_ns <= stamps.first_byte_ns <= stamps.done_ns <= time.monotonic_ns()


def test_a_stamp_is_told_on_the_monotonic_clock() -> None:
    ahead_ns = wall_minus_monotonic_ns()
    before_ns, wall_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
    stamp = struct.pack("@ll", wall_ns // 10**9, wall_ns % 10**9) + bytes(32)

    told = read_stamp([(socket.SOL_SOCKET, SO_TIMESTAMPING, stamp)], ahead_ns)

    assert before_ns - STEP_NS <= told <= after_ns + STEP_NS


@pytest.mark.parametrize("ancillary", [[], [(0, 0, bytes(48))], [(socket.SOL_SOCKET, SO_TIMESTAMPING, bytes(48))]])
def test_without_a_stamp_there_is_none(ancillary: list[tuple[int, int, bytes]]) -> None:
    assert read_stamp(ancillary, 0) is None


def test_noise_is_not_a_step() -> None:
    assert not stepped(wall_minus_monotonic_ns(), wall_minus_monotonic_ns())
    assert stepped(0, 2_000_000)
    assert stepped(0, -2_000_000)

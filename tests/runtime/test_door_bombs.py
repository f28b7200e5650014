"""No answer, however it is packed or cut, costs us much memory or time, or keeps other runs waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthmon.core.outcomes import Reason
from synthmon.runtime.outbound.body import PIECE_BYTES, read_whole
from tests.runtime.door_bombs import BOMBS, OTHERWISE_NAMED
from tests.runtime.door_servers import talking


@pytest.mark.parametrize("transport", ["stock", "wire"])
async def test_no_bomb_costs_much_and_each_is_named(transport: str) -> None:
    talks = await asyncio.to_thread(lambda: [make() for make in BOMBS.values()])  # packing 256 MB takes a second
    async with AsyncExitStack() as servers:
        ports = [str(await servers.enter_async_context(talking(talk))) for talk in (talks[0], *talks)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.runtime.door_bombed", transport, *ports, stdout=subprocess.PIPE
        )
        told, _ = await process.communicate()

    seen = dict(zip(BOMBS, json.loads(told), strict=True))
    expected = {bomb: OTHERWISE_NAMED.get((transport, bomb), Reason.TOO_LARGE) for bomb in BOMBS}
    assert {bomb: each["reason"] for bomb, each in seen.items()} == expected
    assert max(each["grown_bytes"] for each in seen.values()) <= 16 * 1024 * 1024
    # of the process's own time, as cores are shared: 0.4 s and 20 ms on a quiet machine
    assert {bomb: each["cpu_s"] for bomb, each in seen.items() if each["cpu_s"] > 3} == {}
    assert {bomb: each["blocked_s"] for bomb, each in seen.items() if each["blocked_s"] > 0.3} == {}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.integers(1, 3 * PIECE_BYTES)), max_size=4),
    st.integers(0, 2),
    st.sampled_from(["gzip", "deflate", "bare"]),
    st.integers(1, 100_000),
)
def test_whatever_was_packed_comes_out_again(runs: list[tuple[bytes, int]], more: int, coding: str, step: int) -> None:
    content = b"".join(piece * (times // len(piece)) for piece, times in runs)
    packer = {"gzip": 31, "deflate": 15, "bare": -15}[coding]
    packed = _packed(content, packer)
    for _ in range(more):
        packed = gzip.compress(packed)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), step + len(packed) // 1000):
            yield packed[start : start + step + len(packed) // 1000]

    word = "gzip" if coding == "gzip" else "deflate"
    got = asyncio.run(read_whole(pieces(), ", ".join([word] + ["gzip"] * more), len(content) + 10_000_000))

    assert got == content


async def test_padding_behind_a_gzip_is_passed_over_wherever_it_is_cut() -> None:
    packed = gzip.compress(b"one") + bytes(600)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(packed), 10):
            yield packed[start : start + 10]

    assert await read_whole(pieces(), "gzip", 10_000) == b"one"


async def test_a_gzip_of_many_blocks_is_read_whole() -> None:
    block = b"y" * 1000
    packed = gzip.compress(block) * 900

    async def pieces() -> AsyncIterator[bytes]:
        yield packed

    assert await read_whole(pieces(), "gzip", 10_000_000) == block * 900


def _packed(content: bytes, wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(content) + packer.flush()

"""Servers whose answers are made to cost the one who reads them memory or time, by name."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from functools import partial

from synthmon.core.outcomes import Reason
from tests.runtime.door_servers import Talk, answer, read_request

STATUS = b"HTTP/1.1 200 OK\r\n"
CHUNKED = STATUS + b"Transfer-Encoding: chunked\r\n\r\n"
EMPTY = gzip.compress(b"", mtime=0)
# 256 MB of nothing, as brotli packs it
BROTLI = bytes.fromhex(
    "cfffff7ff82700e2b14020f7fe9ffffffff04f00c4610180eefd3fffffffe19f0088c32200ddfb7ffeffffc33f0110870500baf7fffcffff877f"
    "02200e0b0074effff9ffff0fff04401c1600e8defff3ffff1ffe0980382c00d0bdffe7ffff3ffc1300715800a07bffcfffff7ff82700e2b00040"
    "f7fe9ffffffff04f00c4610180eefd3fffffffe19f0088c30200ddfb7ffeffffc33f0110870500baf7fffcffff877f02200e0b0074effff9ffff"
    "0fff04401c1600e8defff3ffff1ffe0980382c00d0bdffe7ffff3ffc1300715800a07bff3f"
)
# RFC 8878: a frame with a window of 8 MB, and 2,048 blocks that each repeat one byte 131,072 times
ZSTD = bytes.fromhex("28b52ffd0068") + (131_072 << 3 | 2).to_bytes(3, "little").ljust(4, b"\0") * 2_048


def sending(content: bytes, coding: str) -> Talk:
    """An answer that is packed like this."""
    return saying(answer(content, 200, "text/plain", f"Content-Encoding: {coding}"))


def saying(sent: bytes, again: bytes = b"") -> Talk:
    """Say the first, then the second for ever, or wait until the door hangs up."""
    piece = again * (65_536 // len(again) + 1) if again else b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(sent)
        while piece:
            writer.write(piece)
            await writer.drain()
        await writer.drain()
        await reader.read()

    return talk


def packed(block: bytes, times: int, wbits: int = 16 + 15) -> bytes:
    packer = zlib.compressobj(9, wbits=wbits)
    return b"".join(packer.compress(block) for _ in range(times)) + packer.flush()


_zeros = partial(packed, bytes(1024 * 1024), 256)
_crumbs = EMPTY * 50_000  # a megabyte of gzip streams with nothing in them


def _endless(coding: str, piece: bytes, first: bytes = b"") -> Talk:
    """Packed content without an end, in chunks of 16 KiB."""
    part = piece * (16_384 // len(piece))
    head = STATUS + f"Transfer-Encoding: chunked\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    return saying(head + _chunk(first), _chunk(part))


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content) if content else b""


BOMBS: dict[str, Callable[[], Talk]] = {
    "gzip": lambda: sending(_zeros(), "gzip"),
    "gzip of gzip": lambda: sending(gzip.compress(_zeros()), "gzip, gzip"),
    "deflate": lambda: sending(_zeros(15), "deflate"),
    "bare deflate": lambda: sending(_zeros(-15), "deflate"),
    "deflate of gzip": lambda: sending(zlib.compress(_zeros()), "gzip, deflate"),
    "gzip of 10 million empty gzips": lambda: sending(packed(_crumbs, 200), "gzip, gzip"),
    "empty gzips without an end": lambda: _endless("gzip", EMPTY),
    "empty blocks without an end": lambda: _endless("gzip", b"\0\0\0\xff\xff", EMPTY[:10]),
    "brotli": lambda: sending(BROTLI, "br"),
    "zstd": lambda: sending(ZSTD, "zstd"),
    "gzip of brotli": lambda: sending(gzip.compress(BROTLI), "br, gzip"),
    "endless chunks": lambda: saying(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "chunks of one byte": lambda: saying(CHUNKED, b"1\r\nx\r\n"),
    "chunks of two bytes": lambda: saying(CHUNKED, b"2\r\nxy\r\n"),
    "an endless chunk extension": lambda: saying(CHUNKED + b"1;a=", b"x"),
    "an endless chunk size": lambda: saying(CHUNKED, b"0"),
    "endless trailers": lambda: saying(CHUNKED + b"0\r\n", b"A: b\r\n"),
    "large": lambda: saying(STATUS + b"Content-Length: 268435456\r\n\r\n", b"x"),
    "without a length": lambda: saying(STATUS + b"Connection: close\r\n\r\n", b"x"),
    "200 kB header": lambda: saying(answer(b"{}", 200, "text/plain", "X-Long: " + "x" * 200_000)),
    "endless header": lambda: saying(STATUS + b"X-Long: ", b"x"),
    "endless headers": lambda: saying(STATUS, b"A: b\r\n"),
    "endless status": lambda: saying(b"HTTP/1.1 200 ", b"x"),
    "5,000 × 1xx": lambda: saying(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 5000 + answer(b"{}")),
    "endless 100": lambda: saying(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}

# Never unpacked, for nobody offered to; and what h11, behind the stock transport, has no word of its own for.
OTHERWISE_NAMED = {
    ("wire", "brotli"): Reason.BAD_ANSWER,
    ("wire", "zstd"): Reason.BAD_ANSWER,
    ("wire", "gzip of brotli"): Reason.BAD_ANSWER,
    ("stock", "brotli"): Reason.BAD_ANSWER,
    ("stock", "zstd"): Reason.BAD_ANSWER,
    ("stock", "gzip of brotli"): Reason.BAD_ANSWER,
    ("stock", "an endless chunk extension"): Reason.BAD_ANSWER,
    ("stock", "an endless chunk size"): Reason.BAD_ANSWER,
    ("stock", "endless trailers"): Reason.BAD_ANSWER,
}

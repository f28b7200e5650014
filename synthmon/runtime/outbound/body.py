"""The whole body of an answer, decompressed a little at a time, so that no answer can fill the memory or the core."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from io import BytesIO

from synthmon.runtime.outbound.stamps import TooLarge, check_pieces

PIECE_BYTES = 64 * 1024  # the most that is given to, and that may come out of, one look into a compressed stream
_BREATH_BYTES = 256 * 1024  # after so much work other tasks get a turn: about 1 ms
_PIECE_COSTS_BYTES = 4 * 1024  # what a piece costs beside its bytes, however short it is
_LAYERS = 3
_MEMBERS = 1000  # of one gzip body: blocked gzip has one every 64 KiB; an empty one costs time and yields nothing

ACCEPT_ENCODING = b"gzip, deflate"


class Undecodable(Exception):
    """The body is not what its content-encoding says, or ends too early; the message says how."""


async def read_whole(raw: AsyncIterable[bytes], encodings: str, limit_bytes: int) -> bytes:
    """Read until the end. `encodings` is the value of content-encoding (RFC 9110 8.4.1).

    Raises `TooLarge` when more than `limit_bytes` arrive, or come out of any layer of compression, or in crumbs;
    `Undecodable`.
    """
    inflate = _decoder(encodings, limit_bytes)
    whole = BytesIO()  # neither the first piece nor what it hands out is copied
    arrived = chunks = work = 0
    async for chunk in raw:
        arrived += len(chunk)
        chunks += 1
        if arrived > limit_bytes:
            raise _too_large(limit_bytes)
        check_pieces(chunks, arrived)
        for piece in (chunk,) if inflate is None else inflate.feed(chunk):
            whole = _joined(whole, piece)
            work += len(piece) + _PIECE_COSTS_BYTES
            if work > _BREATH_BYTES:
                work = 0
                await asyncio.sleep(0)
    if inflate is not None and arrived:
        inflate.finish()
    return whole.getvalue()


def _joined(whole: BytesIO, piece: bytes) -> BytesIO:
    if not whole.tell():
        whole = BytesIO(piece)
        whole.seek(len(piece))
        return whole
    whole.write(piece)
    return whole


class _Layer:
    """One gzip or deflate stream, perhaps of several members (RFC 1952 2.2)."""

    def __init__(self, start: Callable[[bytes], zlib._Decompress], word: str) -> None:
        self.size = 0  # bytes that came out so far
        self._start, self._word = start, word
        self._stream: zlib._Decompress | None = None
        self._members = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What comes out, in pieces, some of them empty: each is a moment at which to stop."""
        while chunk or self._stream is not None:
            if self._stream is None and not (chunk := self._next_member(chunk)):
                return
            assert self._stream is not None
            try:
                piece = self._stream.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise Undecodable(f"its body is not {self._word}: {error}") from error
            self.size += len(piece)
            yield piece
            if self._stream.eof:
                chunk, self._stream = self._stream.unused_data, None
                continue
            chunk = self._stream.unconsumed_tail
            if not chunk and len(piece) < PIECE_BYTES:  # a full piece may have more behind it, all input being eaten
                return

    def finish(self) -> None:
        if self._stream is not None:
            raise Undecodable(f"its body was cut short in mid-{self._word}")

    def _next_member(self, chunk: bytes) -> bytes:
        if self._members:
            chunk = chunk.lstrip(b"\0")  # padding after the last member
        if chunk:
            self._members += 1
            if self._members > _MEMBERS:
                raise TooLarge(f"its body is over {_MEMBERS} {self._word} streams in a row")
            self._stream = self._start(chunk)
        return chunk


class _Layers:
    """Encodings one inside another, the last one applied first."""

    def __init__(self, layers: Iterable[_Layer], limit_bytes: int) -> None:
        self._layers, self._limit_bytes = tuple(layers), limit_bytes
        self._arrived = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        for start in range(0, len(chunk), PIECE_BYTES):  # a stream copies what it has not eaten, at every look
            part = chunk[start : start + PIECE_BYTES]
            self._arrived += len(part)
            yield from self._through(part, self._layers)

    def finish(self) -> None:
        for layer in self._layers:
            layer.finish()

    def _through(self, chunk: bytes, layers: tuple[_Layer, ...]) -> Iterator[bytes]:
        if not layers or not chunk:
            yield chunk
            return
        for piece in layers[0].feed(chunk):
            if layers[0].size > self._limit_bytes:
                raise _too_large(self._limit_bytes, self._arrived)
            yield from self._through(piece, layers[1:])


def _decoder(encodings: str, limit_bytes: int) -> _Layers | None:
    words = [word for part in encodings.lower().split(",") if (word := part.strip()) and word != "identity"]
    if not words:
        return None
    if len(words) > _LAYERS:
        raise Undecodable(f"its body is encoded {len(words)} times: {encodings[:80]}")
    layers = []
    for word in reversed(words):
        match word:
            case "gzip" | "x-gzip":
                layers.append(_Layer(_gzip, "gzip"))
            case "deflate":
                layers.append(_Layer(_deflate, "deflate"))
            case _:
                fault = "which was not offered and cannot be decoded here"
                raise Undecodable(f"its content-encoding is {word[:40]}, {fault}")
    return _Layers(layers, limit_bytes)


def _gzip(_: bytes) -> zlib._Decompress:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _deflate(first: bytes) -> zlib._Decompress:
    """Zlib (RFC 1950), or the bare deflate that some servers send instead: told apart by the header's method nibble."""
    return zlib.decompressobj(zlib.MAX_WBITS if first[0] & 0x0F == 8 else -zlib.MAX_WBITS)


def _too_large(limit_bytes: int, arrived: int = 0) -> TooLarge:
    packed = f" when {arrived} bytes are decompressed" if arrived else ""
    return TooLarge(f"its body is over {limit_bytes} bytes{packed}")

"""The whole body of an answer, decompressed a little at a time, so that no answer can fill the memory."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Callable, Iterable, Iterator

from synthmon.runtime.outbound.stamps import TooLarge

PIECE_BYTES = 64 * 1024  # the most that one look into a compressed stream may yield
_BREATH_BYTES = 256 * 1024  # after so much output other tasks get a turn: about 1 ms of work
_LAYERS = 3

ACCEPT_ENCODING = b"gzip, deflate"


class Undecodable(Exception):
    """The body is not what its content-encoding says, or ends too early; the message says how."""


async def read_whole(raw: AsyncIterable[bytes], encodings: str, limit_bytes: int) -> bytes:
    """Read until the end. `encodings` is the value of content-encoding (RFC 9110 8.4.1).

    Raises `TooLarge` when more than `limit_bytes` arrive, or come out of the decompressor; `Undecodable`.
    """
    inflate = _decoder(encodings, limit_bytes)
    pieces: list[bytes] = []
    arrived = size = breath = 0
    async for chunk in raw:
        arrived += len(chunk)
        if arrived > limit_bytes:
            raise _too_large(limit_bytes)
        for piece in (chunk,) if inflate is None else inflate.feed(chunk):
            size += len(piece)
            if size > limit_bytes:
                raise _too_large(limit_bytes, arrived)
            pieces.append(piece)
            if size - breath > _BREATH_BYTES:
                breath = size
                await asyncio.sleep(0)
    if inflate is not None and arrived:
        inflate.finish()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Layer:
    """One gzip or deflate stream, perhaps of several members (RFC 1952 2.2)."""

    def __init__(self, start: Callable[[bytes], zlib._Decompress], word: str) -> None:
        self._start, self._word = start, word
        self._stream: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._stream is None:
                self._stream = self._start(chunk)
            try:
                piece = self._stream.decompress(chunk, PIECE_BYTES)
            except zlib.error as error:
                raise Undecodable(f"its body is not {self._word}: {error}") from error
            if piece:
                yield piece
            if self._stream.eof:
                chunk, self._stream = self._stream.unused_data.lstrip(b"\0"), None  # padding after the last member
            else:
                chunk = self._stream.unconsumed_tail
                if not chunk and not piece:
                    return

    def finish(self) -> None:
        if self._stream is not None:
            raise Undecodable(f"its body was cut short in mid-{self._word}")


class _Layers:
    """Encodings one inside another, the last one applied first."""

    def __init__(self, layers: Iterable[_Layer]) -> None:
        self._layers = tuple(layers)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        return self._through(chunk, self._layers)

    def finish(self) -> None:
        for layer in self._layers:
            layer.finish()

    def _through(self, chunk: bytes, layers: tuple[_Layer, ...]) -> Iterator[bytes]:
        if not layers:
            yield chunk
            return
        for piece in layers[0].feed(chunk):
            yield from self._through(piece, layers[1:])


def _decoder(encodings: str, limit_bytes: int) -> _Layers | None:
    words = [word for part in encodings.lower().split(",") if (word := part.strip()) and word != "identity"]
    if not words:
        return None
    if len(words) > _LAYERS:
        raise Undecodable(f"its body is encoded {len(words)} times: {encodings}")
    layers = []
    for word in reversed(words):
        match word:
            case "gzip" | "x-gzip":
                layers.append(_Layer(_gzip, "gzip"))
            case "deflate":
                layers.append(_Layer(_deflate, "deflate"))
            case _:
                raise Undecodable(f"its content-encoding is {word}, which was not offered and cannot be decoded here")
    return _Layers(layers)


def _gzip(_: bytes) -> zlib._Decompress:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _deflate(first: bytes) -> zlib._Decompress:
    """Zlib (RFC 1950), or the bare deflate that some servers send instead: told apart by the header's method nibble."""
    return zlib.decompressobj(zlib.MAX_WBITS if first[0] & 0x0F == 8 else -zlib.MAX_WBITS)


def _too_large(limit_bytes: int, arrived: int = 0) -> TooLarge:
    packed = f" when {arrived} bytes are decompressed" if arrived else ""
    return TooLarge(f"its body is over {limit_bytes} bytes{packed}")

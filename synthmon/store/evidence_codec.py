"""The evidence of a run as it is stored: one JSON document a line, in pieces, so that a long one holds nobody up."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from synthmon.core.evidence import Evidence
from synthmon.store.nouns import packed, read, unpacked

RECORDS_AT_ONCE = 50  # less than a millisecond of work
_WORTH_SQUEEZING_BYTES = 2048
_PIECE_BYTES = 32 * 1024


def written(evidence: Sequence[Evidence]) -> Iterator[bytes]:
    """The document in pieces, to be joined: lines of JSON, squeezed by zlib when they are more than 2 kB."""
    squeeze: zlib._Compress | None = None
    for start in range(0, len(evidence), RECORDS_AT_ONCE):
        lines = b"".join(packed(record) + b"\n" for record in evidence[start : start + RECORDS_AT_ONCE])
        if start == 0 and (len(evidence) > RECORDS_AT_ONCE or len(lines) > _WORTH_SQUEEZING_BYTES):
            squeeze = zlib.compressobj(1)
        yield lines if squeeze is None else squeeze.compress(lines)
    if squeeze is not None:
        yield squeeze.flush()


def opened(document: bytes) -> Iterator[tuple[list[Evidence], int]]:
    """What was written, in pieces, each with its size in bytes. Raises `ValueError` when the document is damaged."""
    rest = b""
    for piece in _plain(document):
        *lines, rest = (rest + piece).split(b"\n")
        for start in range(0, len(lines), RECORDS_AT_ONCE):
            some = lines[start : start + RECORDS_AT_ONCE]
            yield [read(Evidence, unpacked(line)) for line in some], sum(map(len, some))
    if rest:
        raise ValueError("The evidence of a stored record is damaged: it ends within a line.")


def _plain(document: bytes) -> Iterator[bytes]:
    if document[:1] in (b"{", b" "):
        yield document
        return
    squeezed = zlib.decompressobj()
    try:
        while document and not squeezed.eof:
            yield squeezed.decompress(document, _PIECE_BYTES)
            document = squeezed.unconsumed_tail
        yield squeezed.flush()
    except zlib.error as error:
        raise ValueError(f"The evidence of a stored record is damaged: {error}.") from error

"""The page that Prometheus scrapes: which form a client gets, and its bytes in slices that never hold the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from operator import is_not
from time import perf_counter
from typing import Protocol

from synthmon.core.families import FAMILIES
from synthmon.metrics.board import Board, Shelf
from synthmon.metrics.lines import head
from synthmon.metrics.pieces import HEAD, NOTHING, Piece, join, pack, reckon, tail

SLICE_S = 0.002
"""How long the page is worked on before the loop gets its turn."""

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_FLUSH_BYTES = 128 * 1024
_ROW = 32  # shelves that are joined once and kept so


class Tail(Protocol):
    """What comes after the journeys: synthmon's own metrics."""

    def render(self, openmetrics: bool) -> bytes:
        """Their text; in OpenMetrics it ends with `# EOF`."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client can read."""

    openmetrics: bool = False
    gzip: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of such an answer."""
        kind = OPENMETRICS_TYPE if self.openmetrics else TEXT_TYPE
        coding = {"content-encoding": "gzip"} if self.gzip else {}
        return {"content-type": kind, "vary": "accept, accept-encoding", "cache-control": "no-store", **coding}


def negotiate(accept: str, accept_encoding: str) -> Wanted:
    """From the two headers of a request; the older format unless OpenMetrics 1.0 (or any version) is asked for."""
    open_q = max((_quality(part) for part in accept.split(",") if _is_openmetrics(part)), default=0.0)
    plain = [part for part in accept.split(",") if part.partition(";")[0].strip() == "text/plain"]
    text_q = max(map(_quality, plain), default=0.0)
    codings = {part.partition(";")[0].strip().lower(): _quality(part) for part in accept_encoding.split(",")}
    return Wanted(open_q > 0 and open_q >= text_q, codings.get("gzip", codings.get("*", 0.0)) > 0)


class Page:
    """`/metrics`: family after family, each with its head once and its journeys behind it, then synthmon's own."""

    def __init__(self, board: Board, own: Tail) -> None:
        self._board = board
        self._own = own
        self._joined: dict[tuple[int, bool, int], tuple[list[Piece], Piece]] = {}

    def negotiate(self, accept: str, accept_encoding: str) -> Wanted:
        """The form that a client can read, from its two headers."""
        return negotiate(accept, accept_encoding)

    async def render(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """The page in slices of some 100 KB; whatever must be written anew lets the loop go every 2 ms."""
        turns = _Turns()
        parts = self._packed(wanted.openmetrics, turns) if wanted.gzip else self._plain(wanted.openmetrics, turns)
        pending: list[bytes] = []
        size = 0
        async for part in parts:
            pending.append(part)
            size += len(part)
            if size >= _FLUSH_BYTES:
                yield b"".join(pending)
                pending, size = [], 0
        yield b"".join(pending)

    async def _plain(self, openmetrics: bool, turns: _Turns) -> AsyncIterator[bytes]:
        shelves = self._board.shelves  # a reload in between gives the board a new list
        for at, family in enumerate(FAMILIES):
            yield head(family, openmetrics).encode()
            for shelf in shelves:
                yield shelf.text(at, openmetrics)
                await turns.give()
        yield self._own.render(openmetrics)

    async def _packed(self, openmetrics: bool, turns: _Turns) -> AsyncIterator[bytes]:
        shelves = self._board.shelves
        yield HEAD
        whole = NOTHING
        for at, family in enumerate(FAMILIES):
            block = pack(head(family, openmetrics).encode())
            whole = reckon(whole, block)
            yield block.data
            for row in range(0, len(shelves), _ROW):
                block = await self._row(at, shelves[row : row + _ROW], row, openmetrics, turns)
                whole = reckon(whole, block)
                yield block.data
        own = pack(self._own.render(openmetrics))
        yield own.data + tail(reckon(whole, own))

    async def _row(self, at: int, shelves: Sequence[Shelf], row: int, openmetrics: bool, turns: _Turns) -> Piece:
        """Some shelves of one family, joined; kept until one of them changes."""
        pieces = []
        for shelf in shelves:
            piece = shelf.kept(at, openmetrics)
            if piece is None:
                piece = shelf.pack(at, openmetrics)
                await turns.give()
            pieces.append(piece)
        before, joined = self._joined.get((at, openmetrics, row), ([], NOTHING))
        if len(before) != len(pieces) or any(map(is_not, before, pieces)):
            joined = join(pieces)
            self._joined[at, openmetrics, row] = (pieces, joined)
            await turns.give()
        return joined


class _Turns:
    """Lets the loop go when a slice of time is used up."""

    def __init__(self) -> None:
        self._since = perf_counter()

    async def give(self) -> None:
        if perf_counter() - self._since > SLICE_S:
            await asyncio.sleep(0)
            self._since = perf_counter()


def _is_openmetrics(part: str) -> bool:
    kind, *parameters = (text.strip().lower() for text in part.split(";"))
    versions = [text.partition("=")[2] for text in parameters if text.startswith("version=")]
    return kind == "application/openmetrics-text" and versions in ([], ["1.0.0"])


def _quality(part: str) -> float:
    """The weight of one entry of an Accept header (RFC 9110, 12.4.2); 0 when it cannot be read."""
    weights = [text.strip()[2:] for text in part.lower().split(";")[1:] if text.strip().startswith("q=")]
    try:
        return float(weights[0]) if weights else 1.0
    except ValueError:
        return 0.0

"""How long a client may take: for half a request, for reading its answer, and how many may stay at once.

uvicorn itself waits forever for the rest of a request, and for a client that does not read. A client that opens
connections and says nothing must cost it its own connections, never ours: past the limit the one that has been silent
the longest goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits in seconds, connections and bytes."""

    request_s: float = 8.0
    read_s: float = 15.0
    connections: int = 200
    head_bytes: int = 64 * 1024


def protocol(patience: Patience) -> type[asyncio.Protocol]:
    """The protocol class to hand to uvicorn."""

    class Patient(_PatientProtocol):
        limits = patience

    return Patient


class _PatientProtocol(HttpToolsProtocol):
    limits: Patience

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._whole: asyncio.TimerHandle | None = None  # until the request is whole
        self._drained: asyncio.TimerHandle | None = None  # until the client reads on
        self._opened_at = self.loop.time()
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._whole)
        self._stop(self._drained)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.head_bytes:
                self._in_head = False
                self.send_400_response("The head of the request is too large.")
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._whole is None:
            self._expect_request()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop(self._whole)
        self._whole = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop(self._drained)
        self._drained = self._after(self.limits.read_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop(self._drained)
        self._drained = None

    def is_silent(self) -> bool:
        """Whether no whole request has come, or the last one is answered."""
        return self.cycle is None or self._whole is not None or self.cycle.response_complete

    def abort(self) -> None:
        """Close without a word."""
        if not self.transport.is_closing():
            self.transport.abort()

    def _expect_request(self) -> None:
        self._stop(self._whole)
        self._whole = self._after(self.limits.request_s)

    def _make_room(self) -> None:
        others = [c for c in self.connections if isinstance(c, _PatientProtocol) and c is not self and c.is_silent()]
        oldest = min(others, key=lambda other: other._opened_at, default=self)
        oldest.abort()

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        give_up: Callable[[], None] = self.abort
        return self.loop.call_later(seconds, give_up)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

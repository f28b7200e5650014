"""How long a client may take: for half a request, for reading its answer, and how many may stay at once.

uvicorn itself waits forever for the rest of a request, and for a client that does not read. A client that opens
connections and says nothing must cost it its own connections, never ours: past the limit one goes that has not asked
anything yet, else the one that has been silent the longest. What still comes of a request that is answered already (a
body that was refused by its length) is read for a moment, so that the answer is not lost in a reset, and then cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
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
    drain_s: float = 2.0
    drain_bytes: int = 1024 * 1024


def protocol(patience: Patience) -> type[asyncio.Protocol]:
    """The protocol class to hand to uvicorn."""

    class Patient(_PatientProtocol):
        limits = patience

    return Patient


def make_room(connections: Iterable[object], besides: object = None) -> bool:
    """Close the connection that can best be spared; whether there was one."""
    silent = [
        one for one in connections if isinstance(one, _PatientProtocol) and one is not besides and one.is_silent()
    ]
    if not silent:
        return False
    min(silent, key=lambda one: one.worth).abort()
    return True


def _staying(connections: Iterable[object]) -> list[_PatientProtocol]:
    return [one for one in connections if isinstance(one, _PatientProtocol) and not one.transport.is_closing()]


class _PatientProtocol(HttpToolsProtocol):
    limits: Patience

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._whole: asyncio.TimerHandle | None = None  # until the request is whole
        self._drained: asyncio.TimerHandle | None = None  # until the client reads on
        self._silent_since = self.loop.time()  # from when it was let in: a TLS handshake counts
        self._answered = False
        self._draining = -1  # bytes that may still come of an answered request; -1: none is open
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request(
            max(self.limits.request_s / 4, self.limits.request_s - self.loop.time() + self._silent_since)
        )
        if len(_staying(self.connections)) > self.limits.connections and not make_room(self.connections, self):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(self._whole)
        self._stop(self._drained)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            ends_at = data.find(b"\r\n\r\n")  # what follows is body, and has a limit of its own
            self._head_bytes += len(data) if ends_at < 0 else ends_at
            if self._head_bytes > self.limits.head_bytes:
                self._in_head = False
                self.send_400_response("The head of the request is too large.")
                return
        if self._draining >= 0:
            self._draining -= len(data)
            if self._draining < 0:
                self.abort()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._whole is None:
            self._expect_request(self.limits.request_s)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._stop(self._whole)
        self._whole = None
        self._draining = -1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._answered, self._silent_since = True, self.loop.time()
        super().on_response_complete()
        if self.cycle is not None and self.cycle.response_complete and self.cycle.more_body:
            self._draining = self.limits.drain_bytes
            self._expect_request(self.limits.drain_s)

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

    @property
    def worth(self) -> tuple[bool, float]:
        """Who has the least goes first."""
        return self._answered, self._silent_since

    def _expect_request(self, within_s: float) -> None:
        self._stop(self._whole)
        self._whole = self._after(within_s)

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        give_up: Callable[[], None] = self.abort
        return self.loop.call_later(seconds, give_up)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

"""What ties the events of one request together, as it travels in HTTP and message headers."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

MAX_HOLD_MS = 10_000
_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$")
_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which trace something happened (W3C Trace Context: 32 and 16 hex digits)."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def inside(self) -> Place:
        """A new span of the same trace."""
        return Place(self.trace_id, secrets.token_hex(8))


def new_place() -> Place:
    return Place(secrets.token_hex(16), secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Correlation:
    """``id`` is empty when a function downstream received none; ``sender`` is the producer's span."""

    id: str
    sender: Place | None = None
    tracestate: str = ""
    baggage: str = ""

    def headers(self, sender: Place) -> dict[str, str]:
        """The headers for the next hop, sent from ``sender``; empty values are left out."""
        carried = {
            "X-Correlation-ID": self.id,
            "traceparent": sender.traceparent,
            "tracestate": self.tracestate,
            "baggage": self.baggage,
        }
        return {name: value for name, value in carried.items() if value}

    def hold_ms(self, *names: str) -> int:
        """How long this event is to be held: ``synthmon.hold=<event>:<ms>`` in the baggage, at most 10 s.

        Several holds are separated by a percent-encoded comma or given as several members.
        """
        longest = 0
        for member in self.baggage.split(","):
            key, _, value = member.partition(";")[0].partition("=")
            if key.strip() != "synthmon.hold":
                continue
            for hold in unquote(value.strip()).split(","):
                name, _, text = hold.strip().rpartition(":")
                if name in names and text.isascii() and text.isdigit():
                    longest = max(longest, min(int(text[:6]), MAX_HOLD_MS))
        return longest


def received(headers: Mapping[str, str]) -> Correlation:
    """What the last hop said; unreadable values count as absent (names are matched in any case)."""
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    parent = _TRACEPARENT.match(lower.get("traceparent", ""))
    sender = None
    if parent and set(parent[1]) != {"0"} and set(parent[2]) != {"0"}:
        sender = Place(parent[1], parent[2])
    return Correlation(
        id=_clean(lower.get("x-correlation-id", ""), 128),
        sender=sender,
        tracestate=_clean(lower.get("tracestate", ""), 512) if sender else "",
        baggage=_clean(lower.get("baggage", ""), 8192),
    )


def at_the_door(headers: Mapping[str, str]) -> Correlation:
    """As ``received``, but a stranger who names no id gets one."""
    told = received(headers)
    return told if told.id else Correlation(uuid.uuid4().hex, told.sender, told.tracestate, told.baggage)


def _clean(value: str, limit: int) -> str:
    """Header text fit to be passed on, or nothing: message headers are lines, so no control characters."""
    return value if len(value) <= limit and _PRINTABLE.fullmatch(value) else ""

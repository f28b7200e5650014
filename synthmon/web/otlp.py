"""From the bytes of an OTLP export request to spans and logs.

Formats: https://opentelemetry.io/docs/specs/otlp/ (1.x), Protocol Buffers and JSON. What is not understood in a record
costs that record, which is counted; what is kept of one is said in `core.otlp_tree`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.otlp_tree import log_of, records_in, span_of
from synthmon.core.telemetry import Log, Span
from synthmon.web.otlp_fields import TABLE
from synthmon.web.protobuf import Garbled, Reader, TooMany

MOST_BYTES = 4 * 1024 * 1024  # decompressed
MOST_RECORDS = 20_000
MOST_MESSAGES = 300_000


class Unreadable(ValueError):
    """Not an OTLP request: the message says why."""


class TooLarge(ValueError):
    """More than is taken at once."""


@dataclass(frozen=True, slots=True)
class Export:
    """What one request carried; `dropped` were not to be understood or past the limit."""

    spans: tuple[Span, ...] = ()
    logs: tuple[Log, ...] = ()
    dropped: int = 0


def unpack(content: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """gzip undone (also several members, RFC 1952 2.2), at most so many bytes. Raises `Unreadable` or `TooLarge`."""
    whole = bytearray()
    while content:
        member = zlib.decompressobj(wbits=31)
        try:
            whole += member.decompress(content, most_bytes + 1 - len(whole))
        except zlib.error as error:
            raise Unreadable("the body is not gzip") from error
        if len(whole) > most_bytes or member.unconsumed_tail:
            raise TooLarge(f"the body is larger than {most_bytes} bytes when it is unpacked")
        if not member.eof:
            raise Unreadable("the gzip body is cut")
        content = member.unused_data
    return bytes(whole)


def decode(content: bytes, is_json: bool, carries: str) -> Export:
    """Read one request; `carries` is `traces` or `logs`. Up to a second of CPU: not on the event loop.

    Raises `Unreadable` or `TooLarge`.
    """
    tree = _json(content) if is_json else _protobuf(content, carries)
    if not isinstance(tree, Mapping):
        raise Unreadable("the body is no object")
    outer, inner, each = (
        ("resourceSpans", "scopeSpans", "spans") if carries == "traces" else ("resourceLogs", "scopeLogs", "logRecords")
    )
    found: list[Any] = []
    dropped = 0
    for record, resource, scope in records_in(tree, outer, inner, each):
        if len(found) >= MOST_RECORDS:
            dropped += 1
            continue
        try:
            found.append(span_of(record, resource, scope) if carries == "traces" else log_of(record, resource, scope))
        except ValueError:
            dropped += 1
    return Export(tuple(found), (), dropped) if carries == "traces" else Export((), tuple(found), dropped)


def _json(content: bytes) -> Any:
    if sum(content.count(sign) for sign in (b"{", b"[", b",")) > 4 * MOST_MESSAGES:
        raise TooLarge("the body holds too many values")
    try:
        return parse_json(content)
    except InvalidJson as error:
        raise Unreadable(f"the body is no JSON: {error}") from error


def _protobuf(content: bytes, carries: str) -> Any:
    try:
        return Reader(TABLE, MOST_MESSAGES).read(content, carries)
    except TooMany as error:
        raise TooLarge(str(error)) from error
    except Garbled as error:
        raise Unreadable(f"the body is no OTLP message: {error}") from error

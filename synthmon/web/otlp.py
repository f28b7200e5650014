"""From the bytes of an OTLP export request to spans and logs.

Formats: https://opentelemetry.io/docs/specs/otlp/ (1.x), Protocol Buffers and JSON. What is not understood in a record
costs that record, which is counted; unknown fields are passed over. A record keeps at most 128 attributes, links and
events, and 4,096 characters of a text.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthmon.core.foreign import InvalidJson, disarm, parse_json
from synthmon.core.telemetry import Link, Log, Span, SpanEvent
from synthmon.web.otlp_fields import TABLE
from synthmon.web.protobuf import Garbled, Reader, TooMany

MOST_BYTES = 4 * 1024 * 1024  # decompressed
MOST_RECORDS = 20_000
MOST_MESSAGES = 300_000
_MOST_EACH = 128
_LONGEST = 4096
_DEEPEST_VALUE = 16


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
    for record, resource, scope in _records(tree, outer, inner, each):
        if len(found) >= MOST_RECORDS:
            dropped += 1
            continue
        try:
            found.append(_span(record, resource, scope) if carries == "traces" else _log(record, resource, scope))
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


def _records(
    tree: Mapping[str, Any], outer: str, inner: str, each: str
) -> Iterator[tuple[Any, Mapping[str, Any], str]]:
    for of_resource in _maps(tree.get(outer)):
        resource = _attributes(_map(of_resource.get("resource")).get("attributes"))
        for of_scope in _maps(of_resource.get(inner)):
            scope = _text(_map(of_scope.get("scope")).get("name"))
            for record in _list(of_scope.get(each)):
                yield record, resource, scope


def _span(record: Any, resource: Mapping[str, Any], scope: str) -> Span:
    told = _map(record, strictly=True)
    status = _map(told.get("status"))
    return Span(
        trace_id=_id(told.get("traceId"), 32),
        span_id=_id(told.get("spanId"), 16),
        name=_text(told.get("name")),
        parent_id=_id(told.get("parentSpanId"), 16, needed=False),
        kind=_word(told.get("kind"), _KINDS),
        start_ns=_int(told.get("startTimeUnixNano")),
        end_ns=_int(told.get("endTimeUnixNano")),
        status=_word(status.get("code"), _STATUSES),
        status_message=_text(status.get("message")),
        tracestate=_text(told.get("traceState")),
        attributes=_attributes(told.get("attributes")),
        links=tuple(_links(told.get("links"))),
        events=tuple(_event(one) for one in _maps(told.get("events"))[:_MOST_EACH]),
        resource=resource,
        scope=scope,
    )


def _links(told: Any) -> Iterator[Link]:
    for one in _maps(told)[:_MOST_EACH]:
        with contextlib.suppress(ValueError):  # senders write links without ids; the span is good all the same
            yield Link(_id(one.get("traceId"), 32), _id(one.get("spanId"), 16), _attributes(one.get("attributes")))


def _event(told: Mapping[str, Any]) -> SpanEvent:
    return SpanEvent(_text(told.get("name")), _int(told.get("timeUnixNano")), _attributes(told.get("attributes")))


def _log(record: Any, resource: Mapping[str, Any], scope: str) -> Log:
    told = _map(record, strictly=True)
    return Log(
        body=_value(told.get("body"), 0),
        at_ns=_int(told.get("timeUnixNano")),
        observed_ns=_int(told.get("observedTimeUnixNano")),
        severity=min(max(_int(told.get("severityNumber")), 0), 24),
        severity_text=_text(told.get("severityText")),
        name=_text(told.get("eventName")),
        trace_id=_id(told.get("traceId"), 32, needed=False),
        span_id=_id(told.get("spanId"), 16, needed=False),
        attributes=_attributes(told.get("attributes")),
        resource=resource,
        scope=scope,
    )


_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_HEX = frozenset("0123456789abcdef")


def _word(told: Any, words: tuple[str, ...]) -> str:
    """An enum by its number; some senders write `SPAN_KIND_SERVER`."""
    if isinstance(told, str) and not told.isdecimal():
        ending = told.rpartition("_")[2].lower()
        return ending if ending in words else words[0]
    number = _int(told)
    return words[number] if 0 <= number < len(words) else words[0]


def _id(told: Any, digits: int, needed: bool = True) -> str:
    if not needed and (told is None or told == ""):
        return ""
    if not isinstance(told, str) or len(told) != digits or not _HEX.issuperset(lower := told.lower()):
        raise ValueError("an id is not hex of the right length")
    if not lower.strip("0"):  # invalid by W3C Trace Context
        if needed:
            raise ValueError("an id is zero")
        return ""
    return lower


def _int(told: Any) -> int:
    """64-bit numbers are texts in JSON."""
    if told is None or told == "":
        return 0
    if isinstance(told, bool) or not isinstance(told, (int, str)):
        raise ValueError("a number is none")
    if isinstance(told, str) and (len(told) > 20 or not told.isascii()):
        raise ValueError("a number is none")
    return int(told)


def _text(told: Any) -> str:
    if told is None:
        return ""
    if not isinstance(told, str):
        raise ValueError("a text is none")
    return disarm(told[:_LONGEST])


def _attributes(told: Any) -> Mapping[str, Any]:
    return {_text(one.get("key")): _value(one.get("value"), 0) for one in _maps(told)[:_MOST_EACH]}


def _value(told: Any, depth: int) -> Any:
    """An AnyValue as plain data; bytes stay base64, NaN and infinities become their names."""
    match told:
        case {"stringValue": text}:
            return _text(text)
        case {"boolValue": bool(value)}:
            return value
        case {"intValue": value}:
            return _int(value)
        case {"doubleValue": value}:
            number = float(value) if isinstance(value, (int, float)) or value in _NUMBERS else 0.0
            return number if math.isfinite(number) else str(number)
        case {"bytesValue": str(value)}:
            return _base64(value)
        case {"arrayValue": {"values": list(values)}} if depth < _DEEPEST_VALUE:
            return [_value(value, depth + 1) for value in values[:_MOST_EACH]]
        case {"kvlistValue": {"values": list(values)}} if depth < _DEEPEST_VALUE:
            return {_text(one.get("key")): _value(one.get("value"), depth + 1) for one in _maps(values)[:_MOST_EACH]}
        case {"arrayValue": _}:
            return []
        case {"kvlistValue": _}:
            return {}
    return None


_NUMBERS = ("NaN", "Infinity", "-Infinity")


def _base64(text: str) -> str:
    try:
        return base64.b64encode(base64.b64decode(text[: _LONGEST // 4 * 4], validate=True)).decode()
    except binascii.Error as error:
        raise ValueError("bytes are not base64") from error


def _map(told: Any, strictly: bool = False) -> Mapping[str, Any]:
    if isinstance(told, Mapping):
        return told
    if strictly:
        raise ValueError("a record is no object")
    return {}


def _list(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _maps(told: Any) -> list[Mapping[str, Any]]:
    return [one for one in _list(told) if isinstance(one, Mapping)]

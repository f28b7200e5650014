"""Spans and logs out of an OTLP message that was read already: the tree that its JSON is.

Format: https://opentelemetry.io/docs/specs/otlp/ (1.x). Unknown fields are passed over. A record keeps at most 128
attributes, links and events, and 4,096 characters of a text.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from synthmon.core.foreign import disarm
from synthmon.core.telemetry import Link, Log, Span, SpanEvent

_MOST_EACH = 128
_LONGEST = 4096
_DEEPEST_VALUE = 16


def records_in(
    tree: Mapping[str, Any], outer: str, inner: str, each: str
) -> Iterator[tuple[Any, Mapping[str, Any], str]]:
    """Every record with the attributes of its process and the name of its scope; `outer`, `inner` and `each` are the
    names of the lists: `resourceSpans`, `scopeSpans`, `spans`."""
    for of_resource in _maps(tree.get(outer)):
        resource = _attributes(_map(of_resource.get("resource")).get("attributes"))
        for of_scope in _maps(of_resource.get(inner)):
            scope = _text(_map(of_scope.get("scope")).get("name"))
            for record in _list(of_scope.get(each)):
                yield record, resource, scope


def span_of(record: Any, resource: Mapping[str, Any], scope: str) -> Span:
    """One span. Raises `ValueError` for what is none."""
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


def log_of(record: Any, resource: Mapping[str, Any], scope: str) -> Log:
    """One log record. Raises `ValueError` for what is none."""
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

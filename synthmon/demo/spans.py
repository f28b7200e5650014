"""What a function did, as an OpenTelemetry span in OTLP's JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from synthmon.demo.correlation import Place


class Kind(IntEnum):
    """SpanKind of opentelemetry/proto/trace/v1/trace.proto."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class Span:
    """``parent`` is a span of the same trace; ``link`` is the producer's span in another one."""

    service: str
    name: str
    kind: Kind
    place: Place
    started_ns: int
    ended_ns: int
    parent_span_id: str = ""
    link: Place | None = None
    tracestate: str = ""
    ok: bool = True
    attributes: Mapping[str, str | int] = field(default_factory=dict)


def otlp(spans: Iterable[Span]) -> dict[str, Any]:
    """ExportTraceServiceRequest as JSON (OTLP 1.x, JSON Protobuf encoding).

    Field names are lowerCamelCase, ids are hex, 64-bit integers are text, enums are numbers.
    """
    by_service: dict[str, list[Span]] = {}
    for span in spans:
        by_service.setdefault(span.service, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": _attributes({"service.name": service, "service.namespace": "synthmon-demo"})
                },
                "scopeSpans": [{"scope": {"name": "synthmon.demo"}, "spans": [_span(span) for span in its_spans]}],
            }
            for service, its_spans in by_service.items()
        ]
    }


def _span(span: Span) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.place.trace_id,
        "spanId": span.place.span_id,
        "parentSpanId": span.parent_span_id,
        "traceState": span.tracestate,
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.started_ns),
        "endTimeUnixNano": str(span.ended_ns),
        "attributes": _attributes(span.attributes),
        "links": [],
        "status": {} if span.ok else {"code": 2},  # STATUS_CODE_ERROR
    }
    if span.link:
        told["links"] = [{"traceId": span.link.trace_id, "spanId": span.link.span_id, "traceState": span.tracestate}]
    return told


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
        if value != ""
    ]

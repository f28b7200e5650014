"""Spans and logs of OpenTelemetry as evidence: what stands in them, and what of it says which step, how, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from synthmon.core.evidence import Evidence, Wanted, is_stale
from synthmon.core.fields import attrs_of, fields_of, flat, from_fields, instant_ns, named
from synthmon.core.foreign import disarm
from synthmon.core.telemetry import Log, Span

STEP = ("synthmon.step", "step", "event.name", "messaging.operation.name", "code.function.name", "code.function")
"""Attributes that name the step of a span, the first that is there; without any, its name does."""

DEPENDENCY = ("peer.service", "messaging.destination.name", "db.system.name", "db.system", "rpc.service", "faas.name")
"""Attributes that name whom a span calls; `server.address` too, of a client."""

GENERIC = frozenset("send publish create receive process poll consume deliver settle ack nack complete".split())
"""Names of messaging operations that say nothing of the step."""

_ATTEMPT = ("synthmon.attempt", "attempt", "messaging.delivery_attempt")
_ID = ("synthmon.event_id", "eventId", "event.id", "messaging.message.id")
_WORKFLOW = ("synthmon.workflow", "workflow")
_STATUS = ("synthmon.status", "status")
_OUTWARD = ("client", "producer", "consumer")


def texts_of(record: Span | Log) -> dict[str, str]:
    """Everything in which a mark may stand, by name: attributes (baggage too), `tracestate`, `name`, the body."""
    if isinstance(record, Span):
        return flat(record.attributes) | {"tracestate": record.tracestate, "name": record.name}
    return flat(_log_fields(record))


def from_span(
    source: str,
    span: Span,
    texts: Mapping[str, str],
    wanted: Wanted,
    received_ns: int,
    renamed: Mapping[str, str],
    why: str,
) -> Evidence | None:
    """A span as evidence, for the reason `why`; None when it bears no time or is of an earlier run with the same key.

    `renamed` says in which attribute a part is found instead; `resource.<name>` for one of the process.
    """
    known = dict(texts) | {f"resource.{name}": text for name, text in flat(span.resource).items()}
    at_ns = instant_ns(known.get(renamed["at"], "")) if "at" in renamed else span.end_ns or span.start_ns
    if not at_ns or is_stale(why, at_ns, wanted):
        return None

    def part(name: str, *usual: str) -> str:
        return known.get(renamed[name], "") if name in renamed else _first(known, usual)

    begin_ns = span.start_ns
    return Evidence(
        source=source,
        step=named(part("step") or ("" if "step" in renamed else _step(known, span.name))),
        at_ns=at_ns,
        name=named(part("workflow", *_WORKFLOW)),
        status=named(part("status", *_STATUS) or _status(span, texts)),
        attempt=_attempt(part("attempt", *_ATTEMPT), texts),
        start_ns=begin_ns,
        duration_ms=(at_ns - begin_ns) / 1e6 if 0 < begin_ns <= at_ns else None,
        clock=named(part("clock", "resource.service.name", "resource.host.name")),
        id=named(part("id", *_ID) or span.span_id),
        trace_id=span.trace_id,
        span_id=span.span_id,
        causes=tuple(dict.fromkeys(id for id in (span.parent_id, *(link.span_id for link in span.links)) if id))[:32],
        dependency=named(part("dependency", *DEPENDENCY) or _server(span, texts)),
        attrs=attrs_of({"kind": span.kind, "span": span.name} | {k: t for k, t in texts.items() if k != "name" and t}),
        received_ns=received_ns,
        matched_by=why,
    )


def from_log(
    source: str, log: Log, wanted: Wanted, received_ns: int, renamed: Mapping[str, str], why: str, nth: int
) -> Evidence | None:
    """A log record as evidence, for the reason `why`; `nth` tells apart those of one request that are all alike."""
    record = from_fields(source, _log_fields(log), wanted, received_ns, renamed, why)
    if record is None:
        return None
    own_id = record.id or f"{log.span_id}:{record.at_ns}#{nth}"
    return replace(record, id=own_id, trace_id=log.trace_id or record.trace_id, span_id=log.span_id or record.span_id)


def _log_fields(log: Log) -> dict[str, object]:
    """Body before attributes before what the record says of itself, by the names of `fields.FIELDS`."""
    match log.body:
        case dict() as body:
            said: Mapping[str, object] = body
        case str() as text if (inner := fields_of(text.strip().encode("utf-8", "replace"))) is not None:
            said = inner
        case body:
            said = {"message": body}
    service = log.resource.get("service.name") or log.resource.get("host.name")
    own = {
        "at": log.at_ns or None,
        "datetime": log.observed_ns or None,  # the last of the names that a time may have
        "event.name": log.name or None,
        "severity": log.severity_text.lower() or None,
        "service.name": service,
    }
    return {name: value for name, value in (own | dict(log.attributes) | dict(said)).items() if value is not None}


def _step(texts: Mapping[str, str], name: str) -> str:
    for attribute in STEP:
        if (text := texts.get(attribute)) and not (attribute.startswith("messaging.") and text in GENERIC):
            return text
    return disarm(name)


def _status(span: Span, texts: Mapping[str, str]) -> str:
    """`error` when the span says so, or leaves it open and its answer was one: HTTP 5xx, 4xx as well for who asked
    (semantic conventions for HTTP spans), a gRPC code other than 0; else `ok`."""
    if span.status != "unset":
        return span.status
    http = texts.get("http.response.status_code") or texts.get("http.status_code") or ""
    if http >= ("400" if span.kind == "client" else "500") and len(http) == 3:
        return "error"
    if texts.get("rpc.grpc.status_code", "0") not in ("0", "OK", ""):
        return "error"
    return "error" if texts.get("error.type") else "ok"


def _attempt(told: str, texts: Mapping[str, str]) -> int:
    """As the sender counts deliveries; a resent HTTP request counts its resends."""
    counted = told or next((text for name, text in texts.items() if name.endswith(_DELIVERIES)), "")
    if counted.isascii() and counted.isdigit():
        return max(1, int(counted[:9]))
    resent = texts.get("http.request.resend_count", "")
    return 1 + int(resent[:9]) if resent.isascii() and resent.isdigit() else 1


_DELIVERIES = (".delivery_attempt", ".delivery_count")


def _server(span: Span, texts: Mapping[str, str]) -> str:
    return texts.get("server.address", "") if span.kind in _OUTWARD else ""


def _first(texts: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((texts[name] for name in names if texts.get(name)), "")

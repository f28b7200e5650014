"""Segment documents of AWS X-Ray as spans: a segment with its subsegments, and what they call by other names.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthmon.core.fields import fields_of
from synthmon.core.foreign import disarm
from synthmon.core.telemetry import Link, Span
from synthmon.evidence.aws import trace_ids_in

MOST_DEEP = 50


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment or subsegment as X-Ray tells it: in which trace, below which, of which service."""

    told: Mapping[str, Any]
    trace_id: str
    parent_id: str
    service: str
    root: bool  # a segment, or a subsegment that was sent on its own

    @property
    def id(self) -> str:
        """16 hex digits; empty when it has none."""
        return _id(self.told.get("id"))

    @property
    def inferred(self) -> bool:
        """X-Ray made it up from the subsegment above it, for whom that called."""
        return self.told.get("inferred") is True

    @property
    def links(self) -> Iterator[tuple[Link, bool]]:
        """To pieces of other traces, and whether they lead to what follows from it; else it follows from them."""
        for link in _list(self.told.get("links")):
            match link:
                case {"trace_id": str(trace), "id": str(id)} if (trace_id := trace_of(trace)) and _id(id):
                    kind = _map(link.get("attributes")).get("aws.xray.reserved.reference_type")
                    yield Link(trace_id, _id(id)), kind == "child"


def pieces_of(document: str, trace_id: str) -> Iterator[Piece]:
    """Everything in one segment document; nothing of what is no JSON."""
    told = fields_of(document.strip().encode("utf-8", "replace"))
    if told is not None:
        service = disarm(str(told.get("name", "")))
        yield from _inside(Piece(told, trace_id, _id(told.get("parent_id")), service, root=True), 0)


def _inside(piece: Piece, depth: int) -> Iterator[Piece]:
    yield piece
    for told in _list(piece.told.get("subsegments")) if depth < MOST_DEEP else ():
        if isinstance(told, Mapping):
            yield from _inside(Piece(told, piece.trace_id, piece.id, piece.service, root=False), depth + 1)


def span_of(piece: Piece, stands_for: Callable[[str], str], more: tuple[Link, ...] = ()) -> Span | None:
    """None while it is in progress, or when it has no id. `stands_for` answers for the id of an inferred segment that
    of the subsegment above it; `more` are links that stand in other traces."""
    told = piece.told
    start_ns, end_ns = _nanos(told.get("start_time")), _nanos(told.get("end_time"))
    if not piece.id or not end_ns or told.get("in_progress") is True:
        return None
    links = (*(link for link, to_child in piece.links if not to_child), *more)
    called = told.get("namespace") in ("aws", "remote")
    return Span(
        trace_id=piece.trace_id,
        span_id=piece.id,
        name=_name(told, called),
        parent_id=stands_for(piece.parent_id),
        kind="client" if called else "server" if piece.root and told.get("type") != "subsegment" else "internal",
        start_ns=start_ns,
        end_ns=end_ns,
        status="error" if any(told.get(flag) is True for flag in FLAGS) else "ok",
        attributes=_attributes(told, called),
        links=tuple(Link(link.trace_id, stands_for(link.span_id)) for link in links),
        resource={"service.name": piece.service},
    )


def trace_of(told: Any) -> str:
    """The trace id of W3C that an id of X-Ray spells; empty when it is none."""
    plain = trace_ids_in(told) if isinstance(told, str) else ""
    return plain if re.fullmatch(r"[0-9a-f]{32}", plain) else ""


FLAGS = ("error", "fault", "throttle")


def _name(told: Mapping[str, Any], called: bool) -> str:
    """`SQS.SendMessage` for a call of AWS. Lambda tells an invocation twice: the service, and the function itself."""
    name = disarm(str(told.get("name", "")))
    operation = _map(told.get("aws")).get("operation")
    if called and isinstance(operation, str):
        return f"{name}.{disarm(operation)}"
    return f"{name} (AWS::Lambda)" if told.get("origin") == "AWS::Lambda" else name


def _attributes(told: Mapping[str, Any], called: bool) -> dict[str, Any]:
    """Annotations first, by their names and, as they may bear no point, `synthmon_step` also as `synthmon.step`; then
    what has a name in OpenTelemetry; then the rest, `aws.` and metadata."""
    annotations, aws = _map(told.get("annotations")), _map(told.get("aws"))
    found = dict(annotations)
    found |= {f"synthmon.{name[9:]}": value for name, value in annotations.items() if name.startswith("synthmon_")}
    found |= {flag: True for flag in FLAGS if told.get(flag) is True}
    match told.get("http"):
        case {"request": dict(request)}:
            found |= {"http.request.method": request.get("method"), "url.full": request.get("url")}
    match told.get("http"):
        case {"response": {"status": int(status)}}:
            found["http.response.status_code"] = status
    match told.get("cause"):
        case {"exceptions": [{"message": str(message)}, *_]}:
            found["exception.message"] = message
    if message_id := aws.get("message_id"):
        found["messaging.message.id"] = message_id
    if called:
        found["peer.service"] = told.get("name")
    found |= {"origin": told.get("origin")} | {f"aws.{name}": value for name, value in aws.items()}
    for namespace, inner in _map(told.get("metadata")).items():
        prefix = "" if namespace == "default" else f"{namespace}."
        found |= {f"{prefix}{name}": value for name, value in _map(inner).items() if f"{prefix}{name}" not in found}
    return {name: value for name, value in found.items() if value is not None}


def _map(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _list(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _id(told: Any) -> str:
    return told.lower() if isinstance(told, str) and re.fullmatch(r"[0-9a-fA-F]{16}", told) else ""


def _nanos(told: Any) -> int:
    """Seconds with a fraction; of a number of that size, a double keeps microseconds."""
    fit = isinstance(told, (int, float)) and not isinstance(told, bool) and math.isfinite(told) and 0 < told < 1e10
    return round(told * 1e6) * 1000 if fit else 0

"""Spans and logs as OpenTelemetry means them, in the few forms that a run is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Link:
    """A span that this one follows from, mostly in another trace: the producer of a message."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work.

    Ids are lower-case hex (32 and 16 digits); `parent_id` is empty for a root. Instants are Unix nanoseconds by the
    clock of the machine that sent it; 0 if not told. `kind` is one of internal, server, client, producer, consumer,
    unspecified; `status` of unset, ok, error. `resource` are the attributes of the process (`service.name`).
    """

    trace_id: str
    span_id: str
    name: str
    parent_id: str = ""
    kind: str = "unspecified"
    start_ns: int = 0
    end_ns: int = 0
    status: str = "unset"
    status_message: str = ""
    tracestate: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    links: Sequence[Link] = ()
    events: Sequence[SpanEvent] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """One log record. `severity` is 1 to 24 (0: not told); `body` a text or JSON; ids are empty if it has none."""

    body: Any
    at_ns: int = 0
    observed_ns: int = 0
    severity: int = 0
    severity_text: str = ""
    name: str = ""
    trace_id: str = ""
    span_id: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""

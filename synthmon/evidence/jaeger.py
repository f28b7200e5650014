"""`jaeger` is spans that Jaeger keeps.

```yaml
evidence:
  spans: {jaeger: "http://jaeger.example.com:16686", services: [checkout, billing], linked: [billing], lag: 10s}
```

Read are the trace that the run began (its id is that of the run), and the traces of `services` in which one of `tags`
is the id of the run; without `services`, of all that Jaeger knows, up to twenty.

A consumer mostly works in a trace of its own, which refers to that of the producer. Jaeger cannot search for those: of
the services named in `linked`, all traces since the run began are read and those taken that refer to one of the run,
over three traces, at most twenty a run. Name services with little traffic, or those of a place for tests. Nor is it
asked for the run's own keys (it wants one question each): they count in what is read.

What of a span is its step, its id, its status: as `synthmon explain otlp` says.

`lag` is how long a span may take until Jaeger finds it. `token` is sent as a bearer token; or `user` and `password`,
for what stands before Jaeger: it has no login of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import Field

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.foreign import disarm
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.core.telemetry import Link, Span
from synthmon.evidence.backends import AskedByHttp, BackEnd, CannotTell, Credentials, Reader
from synthmon.evidence.looking import Breath
from synthmon.evidence.traces import Following, Found
from synthmon.evidence.windows import BEHIND_NS, Page, Window

TAGS = ("synthmon.run", "correlationId")
MOST_SERVICES = 20
TRACES_A_PAGE = 100
KINDS = frozenset(("internal", "server", "client", "producer", "consumer"))


class JaegerKeys(Credentials):
    """The keys of a `jaeger` source."""

    jaeger: str = Field(description="Its address: `http://host:16686`.")
    services: tuple[str, ...] = Field((), description="Services whose traces are searched by tag. Default: all.")
    tags: tuple[str, ...] = Field(TAGS, description="Tags that may be the id of the run.")
    linked: tuple[str, ...] = Field((), description="Services of which all traces are read, for links to the run.")


_MANUAL = __doc__


class JaegerSource(AskedByHttp):
    """The kind of source that `jaeger:` chooses (`core.sources.SourceKind`)."""

    word: str = "jaeger"
    manual: str = _MANUAL
    keys: type[JaegerKeys] = JaegerKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = BackEnd("Jaeger", source.keys.jaeger, means)
        store = JaegerStore(source, wanted, means, back_end)
        following = Following(source, wanted, means, tell, store, asyncio.get_running_loop().time)
        return Reader(source, means, tell, following.read, following.widen).begin(back_end.where)


SOURCE = JaegerSource()


class JaegerStore:
    """Jaeger as `traces.TraceStore`, by the HTTP API of its UI: /api/traces, /api/services."""

    def __init__(self, source: Source, wanted: Wanted, means: Means, back_end: BackEnd) -> None:
        self._keys: JaegerKeys = source.keys
        self._wanted, self._means, self._back_end = wanted, means, back_end
        self._windows = {service: Window(source, wanted, TRACES_A_PAGE) for service in self._keys.linked}
        self._refers: dict[str, set[str]] = {}  # trace → those to which it links

    async def trace(self, trace_id: str) -> Iterable[Span]:
        """What is there of a trace."""
        return spans_in(await self._traces(f"/api/traces/{trace_id}", {}))

    async def marked(self, wanted: Wanted) -> Found:
        """By tag, service by service: Jaeger wants one."""
        found: list[str] = []
        end_ns = self._means.now_ns() + BEHIND_NS
        for service in await self._services():
            for tag in self._keys.tags:
                tags = json.dumps({tag: wanted.run_id})
                begin_ns = wanted.since_ns - BEHIND_NS
                traces = await self._search(service, begin_ns, end_ns, TRACES_A_PAGE, {"tags": tags})
                found += [_id(trace.get("traceID"), 32) for trace in traces]
        return Found([trace for trace in found if trace])

    async def linking(self, traces: Sequence[str]) -> Found:
        """Among all traces of the services in which links are looked for."""
        own = self._wanted.own_traces
        if not own or not set(own).isdisjoint(traces):  # once a look, where the run has a trace of its own
            for service, window in self._windows.items():
                await window.read(self._means.now_ns(), partial(self._page, service))
        referred = frozenset(traces)
        return Found([trace for trace, refers in self._refers.items() if refers & referred])

    async def _page(self, service: str, begin_ns: int, end_ns: int, limit: int) -> Page:
        traces = await self._search(service, begin_ns, end_ns, limit, {})
        breath, begun = Breath(), []
        for trace in traces:
            first_ns = 0
            for span in _spans_of(trace):
                await breath.take()
                first_ns = min(first_ns or span.start_ns, span.start_ns)
                if span.links:
                    self._refers.setdefault(span.trace_id, set()).update(link.trace_id for link in span.links)
            if first_ns:
                begun.append(first_ns)
        newest_first = bool(begun) and begun[-1] < begun[0]
        return Page(len(traces) >= limit, min(begun, default=0), max(begun, default=0), newest_first)

    async def _services(self) -> tuple[str, ...]:
        if self._keys.services:
            return self._keys.services
        match await self._back_end.ask("GET", "/api/services", {}):
            case {"data": list(names)} if len(names) > MOST_SERVICES:
                fault = f"{self._back_end.where} knows {len(names)} services: name those to search, `services: [a, b]`"
                raise CannotTell(Reason.TOO_MANY, fault)
            case {"data": list(names)}:
                return tuple(name for name in names if isinstance(name, str))
            case {"data": None}:
                return ()
        raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} names no services; is it Jaeger?")

    async def _search(
        self, service: str, begin_ns: int, end_ns: int, limit: int, more: Mapping[str, str]
    ) -> Sequence[Mapping[str, Any]]:
        params = {"service": service, "start": str(begin_ns // 1000), "end": str(-(-end_ns // 1000))}
        return await self._traces("/api/traces", {**params, "limit": str(limit), **more})

    async def _traces(self, path: str, params: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """HTTP 404, and an error that says 404: there is none (yet)."""
        answer = await self._back_end.ask("GET", path, params)
        match answer:
            case {"errors": [{"code": int(code), "msg": str(said)}, *_]} if code != 404:
                raise CannotTell(Reason.EVIDENCE, f"{self._back_end.where} says: {disarm(said[:200])}")
            case {"data": list(traces)}:
                return [trace for trace in traces if isinstance(trace, Mapping)]
            case {"data": None}:
                return []
        if not answer:
            return []
        raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} answered no traces; is it Jaeger?")


def spans_in(traces: Iterable[Mapping[str, Any]]) -> Iterator[Span]:
    """The spans of traces as Jaeger writes them; what is none is passed over."""
    for trace in traces:
        yield from _spans_of(trace)


def _spans_of(trace: Mapping[str, Any]) -> Iterator[Span]:
    match trace:
        case {"spans": list(spans)}:
            said = trace.get("processes")
            processes = {id: _process(one) for id, one in said.items()} if isinstance(said, Mapping) else {}
            for span in spans:
                if isinstance(span, Mapping) and (found := _span(span, processes)) is not None:
                    yield found


def _span(told: Mapping[str, Any], processes: Mapping[str, Mapping[str, Any]]) -> Span | None:
    """Instants and durations are in microseconds. A link is a reference that does not lead to the parent, which is the
    first `CHILD_OF` in the same trace, else the first `FOLLOWS_FROM` there."""
    trace_id, span_id = _id(told.get("traceID"), 32), _id(told.get("spanID"), 16)
    if not trace_id or not span_id:
        return None
    tags = _tags(told.get("tags"))
    references = list(_references(told.get("references")))
    inside = [link.span_id for kind, link in sorted(references, key=_by_kind) if link.trace_id == trace_id]
    parent = inside[0] if inside else _id(told.get("parentSpanID"), 16)
    start_ns, took_ns = _micros(told.get("startTime")), _micros(told.get("duration"))
    kind = str(tags.pop("span.kind", "unspecified"))
    process = told.get("processID")
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        name=disarm(str(told.get("operationName", ""))),
        parent_id=parent,
        kind=kind if kind in KINDS else "unspecified",
        start_ns=start_ns,
        end_ns=start_ns + took_ns if start_ns else 0,
        status=_status(tags),
        status_message=str(tags.pop("otel.status_description", "")),
        tracestate=str(tags.pop("w3c.tracestate", "")),
        attributes=tags,
        links=tuple(link for _, link in references if (link.trace_id, link.span_id) != (trace_id, parent)),
        resource=processes.get(process, {}) if isinstance(process, str) else {},
    )


def _references(told: Any) -> Iterator[tuple[str, Link]]:
    for one in told if isinstance(told, list) else ():
        match one:
            case {"refType": str(kind), "traceID": trace, "spanID": span}:
                trace_id, span_id = _id(trace, 32), _id(span, 16)
                if trace_id and span_id:
                    yield kind, Link(trace_id, span_id)


def _by_kind(reference: tuple[str, Link]) -> bool:
    return reference[0] != "CHILD_OF"


def _status(tags: dict[str, Any]) -> str:
    code = str(tags.pop("otel.status_code", "")).lower()
    if code in ("ok", "error"):
        return code
    return "error" if tags.get("error") in (True, "true") else "unset"


def _process(told: Any) -> Mapping[str, Any]:
    match told:
        case {"serviceName": str(name)}:
            return _tags(told.get("tags")) | {"service.name": disarm(name)}
    return {}


def _tags(told: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in told[:128] if isinstance(told, list) else ():
        match one:
            case {"key": str(key), "value": value}:
                found[disarm(key)] = value
    return found


def _id(told: Any, digits: int) -> str:
    """Lower-case hex; Jaeger leaves out leading zeros. Empty when it is none."""
    if not isinstance(told, str) or not 0 < len(told) <= digits or not _HEX.issuperset(lower := told.lower()):
        return ""
    return lower.zfill(digits) if lower.strip("0") else ""


_HEX = frozenset("0123456789abcdef")


def _micros(told: Any) -> int:
    return told * 1000 if isinstance(told, int) and not isinstance(told, bool) and told > 0 else 0

"""`tempo` is spans that Grafana Tempo keeps.

```yaml
evidence:
  spans: {tempo: "http://tempo.example.com:3200", lag: 30s}
```

Read are the trace that the run began (its id is that of the run); the traces in which one of `tags` (attributes of
spans or processes) bears a mark of the run; and those that link to one of these: a consumer mostly works in a trace of
its own, with a span link to that of the producer. Links are followed over three traces, at most twenty a run; Tempo
finds them from 2.7 on, an older one needs `links: false`. What a search finds is looked through once more.

What of a span is its step, its id, its status: as `synthmon explain otlp` says.

`lag` is how long a span may take until Tempo finds it: to be sent in a batch, and to be searchable. `tenant` is sent as
`X-Scope-OrgID`; `token` as a bearer token; or `user` and `password`, as for Grafana Cloud.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, StrictBool

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.otlp_tree import records_in, span_of
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.core.telemetry import Span
from synthmon.evidence.backends import AskedByHttp, BackEnd, CannotTell, Credentials, Reader, marks_to_ask_for
from synthmon.evidence.traces import Following, Found

TAGS = ("synthmon.run", "correlationId")
EARLIER_S, LATER_S = 3600, 3600  # than the run: where a trace and what links to it are sought
MOST_FOUND = 50


class TempoKeys(Credentials):
    """The keys of a `tempo` source."""

    tempo: str = Field(description="Its address: `http://host:3200`.")
    tags: tuple[str, ...] = Field(TAGS, description="Attributes that may bear a mark of the run.")
    links: StrictBool = Field(True, description="Whether traces that link to those of the run are sought.")
    tenant: str = Field("", description="Sent as `X-Scope-OrgID`, where Tempo has several tenants.")


_MANUAL = __doc__


class TempoSource(AskedByHttp):
    """The kind of source that `tempo:` chooses (`core.sources.SourceKind`)."""

    word: str = "tempo"
    manual: str = _MANUAL
    keys: type[TempoKeys] = TempoKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = BackEnd("Tempo", source.keys.tempo, means)
        store = TempoStore(source.keys, wanted, means, back_end)
        following = Following(source, wanted, means, tell, store, asyncio.get_running_loop().time)
        return Reader(source, means, tell, following.read, following.widen).begin(back_end.where)


SOURCE = TempoSource()


class TempoStore:
    """Tempo as `traces.TraceStore`. API: https://grafana.com/docs/tempo/latest/api_docs/"""

    def __init__(self, keys: TempoKeys, wanted: Wanted, means: Means, back_end: BackEnd) -> None:
        self._keys, self._wanted, self._means, self._back_end = keys, wanted, means, back_end

    async def trace(self, trace_id: str) -> Iterable[Span]:
        """What is there of a trace; HTTP 404 says that there is nothing yet."""
        answer = await self._back_end.ask("GET", f"/api/traces/{trace_id}", self._span_of_time())
        if answer and not any(name in answer for name in ("batches", "resourceSpans", "trace")):
            raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} answered no spans; is it Tempo?")
        return spans_in(answer)

    async def marked(self, wanted: Wanted) -> Found:
        """By the attributes that may bear a mark."""
        marks = marks_to_ask_for(wanted)
        return await self._search(f".{_name(tag)} = {_text(mark)}" for tag in self._keys.tags for mark in marks)

    async def linking(self, traces: Sequence[str]) -> Found:
        """By the links of spans."""
        if not self._keys.links:
            return Found()
        return await self._search(f"link:traceID = {_text(trace)}" for trace in traces)

    async def _search(self, conditions: Iterable[str]) -> Found:
        wanted = " || ".join(conditions)
        if not wanted:
            return Found()
        params = {"q": f"{{ {wanted} }}", "limit": str(MOST_FOUND), "spss": "1"} | self._span_of_time()
        match await self._back_end.ask("GET", "/api/search", params):
            case {"traces": list(traces)}:
                return Found([id for trace in traces if (id := _trace_id(trace))])
            case {"traces": None} | {"metrics": _}:
                return Found()  # protobuf leaves out what is empty
        raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} does not search; is it Tempo?")

    def _span_of_time(self) -> dict[str, str]:
        start_s, end_s = self._wanted.since_ns // 10**9 - EARLIER_S, self._means.now_ns() // 10**9 + LATER_S
        return {"start": str(start_s), "end": str(end_s)}


def spans_in(answer: Mapping[str, Any]) -> Iterator[Span]:
    """The spans of an answer: `batches` and ids in base64 as Tempo writes OTLP, or as OTLP itself says (its API v2).

    What is no span is passed over.
    """
    inside = answer.get("trace")
    tree = inside if isinstance(inside, Mapping) else answer
    outer = "batches" if "batches" in tree else "resourceSpans"
    for record, resource, scope in records_in(tree, outer, "scopeSpans", "spans"):
        try:
            yield span_of(_in_hex(record), resource, scope)
        except ValueError:
            continue


def _in_hex(record: Any) -> Any:
    if not isinstance(record, Mapping):
        return record
    told = {**record, **{name: _hex(record.get(name)) for name in ("traceId", "spanId", "parentSpanId")}}
    match record.get("links"):
        case list(links):
            told["links"] = [_link_in_hex(link) for link in links]
    return told


def _link_in_hex(link: Any) -> Any:
    if not isinstance(link, Mapping):
        return link
    return {**link, "traceId": _hex(link.get("traceId")), "spanId": _hex(link.get("spanId"))}


def _hex(told: Any) -> Any:
    """An id as hex: base64 of 16 or 8 bytes ends in `=`, hex never does."""
    if isinstance(told, str) and told.endswith("="):
        try:
            return base64.b64decode(told, validate=True).hex()
        except binascii.Error:
            return told
    return told


def _trace_id(trace: Any) -> str:
    """A search leaves out leading zeros."""
    match trace:
        case {"traceID": str(told)} if _HEX.fullmatch(told):
            return told.lower().zfill(32)
    return ""


_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_PLAIN = re.compile(r"[A-Za-z_][\w.\-/]*", re.ASCII)


def _name(tag: str) -> str:
    return tag if _PLAIN.fullmatch(tag) else _text(tag)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

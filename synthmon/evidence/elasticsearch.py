"""`elasticsearch` is documents of Elasticsearch or OpenSearch: logs, audit records, spans.

```yaml
evidence:
  logs: {elasticsearch: "https://logs.example.com:9200", index: "logs-*", token: env:LOGS_API_KEY, lag: 10s}
```

What is asked for are the documents in which a mark of the run stands: its id, its namespace, its own keys (up to 200
characters each); in any field, or in those that `field` names. What comes is looked through once more.

What fields mean is found by their names: the usual ones (`step`, `eventId`, `status`, `attempt` and their like), those
of ECS (`event.action`, `event.outcome`, `event.id`, `service.name`, `trace.id`) and of OpenTelemetry
(`attributes.event.name`, `resource.attributes.service.name`), or as `map` says. A `message` that is a JSON object is
opened. Documents are sought by `@timestamp`, which is also their instant if they tell none of their own; with
`map: {at: field}` it is that field for both.

`lag` is how long a document may take until it is found: to be shipped, and until the index is refreshed (often a
second, often more). An index that does not exist tells nothing, and that is said. `token` is an API key as
Elasticsearch gives it (`encoded`); else `user` and `password`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, field_validator

from synthmon.core.door import OpenEar
from synthmon.core.evidence import FIELDS, Tell, Wanted, fields_of, flat, from_fields, instant_ns
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.backends import (
    SECRETS,
    BackEnd,
    CannotTell,
    Credentials,
    Reader,
    address,
    marks_to_ask_for,
    places,
)
from synthmon.evidence.looking import Breath
from synthmon.evidence.windows import Page, Window

TIMESTAMP = "@timestamp"
PLACE, DURATION = "~place", "~duration_ms"

USUAL = {
    "step": (
        *("step", "event", "eventName", "event.name", "attributes.event.name", "event.action", "operation", "name"),
        *("message", "msg", "body.text"),
    ),
    "status": (
        *("status", "outcome", "result", "event.outcome", "level", "severity", "log.level", "severity_text"),
        "status.code",
    ),
    "attempt": (*FIELDS["attempt"], "attributes.attempt"),
    "id": ("eventId", "event_id", "messageId", "message_id", "event.id", "attributes.messaging.message.id", PLACE),
    "at": FIELDS["at"],
    "latency": (*FIELDS["latency"], DURATION),
    "clock": (
        *("service", "service.name", "resource.attributes.service.name", "host", "host.name", "hostname"),
        *("function", "logger", "log.logger", "agent.name"),
    ),
    "dependency": (*FIELDS["dependency"], "service.target.name", "destination.address", "server.address"),
    "seq": ("seq", "sequence", "event.sequence", "offset", "log.offset"),
    "trace": FIELDS["trace"],
    "span": FIELDS["span"],
    "workflow": (*FIELDS["workflow"], "attributes.workflow"),
}
"""ECS 8: https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html"""


class ElasticsearchKeys(Credentials):
    """The keys of an `elasticsearch` source."""

    scheme: ClassVar[str] = "ApiKey"

    elasticsearch: str = Field(description="Its address: `https://host:9200`.")
    index: str = Field(description='Which indices, data streams or aliases: `"logs-*"`; several with commas.')
    field: str = Field("", description="The fields that bear the marks, with commas. Default: any.")

    @field_validator("index")
    @classmethod
    def _is_one(cls, index: str) -> str:
        if not index.strip() or "/" in index or index.startswith(("_", "-")):
            raise ValueError('no name of an index: write "logs-*"')
        return index.strip()


class ElasticsearchSource:
    """The kind of source that `elasticsearch:` chooses (`core.sources.SourceKind`)."""

    word: str = "elasticsearch"
    manual: str = __doc__
    extra: str = ""
    library: str = ""
    keys: type[ElasticsearchKeys] = ElasticsearchKeys
    secrets: frozenset[str] = SECRETS
    counts: bool = False

    def base(self, keys: ElasticsearchKeys) -> str:
        """Where it is. Raises `ValueError`."""
        return address(keys.elasticsearch)

    def connection(self, keys: ElasticsearchKeys) -> str:
        """It asks none."""
        return ""

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = BackEnd("Elasticsearch", source.keys.elasticsearch, means)
        documents = Documents(source, wanted, means, tell, back_end)
        return Reader(source, means, tell, documents.read).begin(back_end.where)


SOURCE = ElasticsearchSource()


class Documents:
    """The documents of one run, each told once."""

    def __init__(self, source: Source, wanted: Wanted, means: Means, tell: Tell, back_end: BackEnd) -> None:
        self._source, self._wanted, self._means, self._tell, self._back_end = source, wanted, means, tell, back_end
        self._window = Window(source, wanted)
        self._at = source.map.get("at", TIMESTAMP)
        self._path = f"/{quote(source.keys.index, safe='*,-_.:<>{}')}/_search"
        self._told: set[tuple[str, str]] = set()

    async def read(self) -> None:
        """What came since. Raises `CannotTell`."""
        await self._window.read(self._means.now_ns(), self._ask)

    async def _ask(self, begin_ns: int, end_ns: int, limit: int) -> Page:
        body = json.dumps(search_for(self._source.keys, self._wanted, self._at, begin_ns, end_ns, limit)).encode()
        params = {"preference": self._wanted.run_id, "ignore_unavailable": "true"}  # all pages of the same copies
        answer = await self._back_end.ask("POST", self._path, params, body)
        hits = self._hits(answer)
        breath, received_ns, instants = Breath(), self._means.now_ns(), []
        for hit in hits:
            await breath.take()
            instants.append(self._instant(hit))
            self._tell_once(hit, received_ns)
        known = [at_ns for at_ns in instants if at_ns]
        newest_first = bool(known) and known[-1] < known[0]
        return Page(len(hits) >= limit, min(known, default=0), max(known, default=0), newest_first)

    def _hits(self, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The documents. Raises `CannotTell` if some shards did not answer, so that some may be missing."""
        where, index = self._back_end.where, self._source.keys.index
        match answer:
            case {"timed_out": True}:
                raise CannotTell(Reason.TIMEOUT, f"{where} did not search all of {index} in time")
            case {"_shards": {"failed": int(failed), "total": int(total)}} if failed:
                raise CannotTell(Reason.EVIDENCE, f"{where} could not search {failed} of {total} shards of {index}")
            case {"_shards": {"total": 0}} | {"error": {"type": "index_not_found_exception"}}:
                raise CannotTell(Reason.EVIDENCE, f"{where} has no index {index}")
            case {"hits": {"hits": list(hits)}}:
                return [hit for hit in hits if isinstance(hit, Mapping)]
        fault = f"{where} has no index {index}" if not answer else f"{where} answered no hits; is it Elasticsearch?"
        raise CannotTell(Reason.EVIDENCE if not answer else Reason.BAD_ANSWER, fault)

    def _instant(self, hit: Mapping[str, Any]) -> int:
        """When, as it is sorted by: in milliseconds, or nanoseconds by the field's mapping."""
        match hit:
            case {"sort": [int(at), *_]}:
                return instant_ns(str(at))
            case {"_source": dict(fields)}:
                return instant_ns(flat(fields).get(self._at, ""))
        return 0

    def _tell_once(self, hit: Mapping[str, Any], received_ns: int) -> None:
        place = str(hit.get("_index")), str(hit.get("_id"))
        fields = hit.get("_source")
        if place in self._told or not isinstance(fields, dict):
            return
        known = _opened(fields) | {PLACE: place[1]}
        texts = flat(known)
        if duration := _duration_ms(texts):
            known[DURATION] = duration
            texts[DURATION] = duration
        where = places(texts, self._source.map, USUAL)
        if not instant_ns(texts.get(where.get("at", ""), "")):
            where["at"] = self._at
        record = from_fields(self._source.name, known, self._wanted, received_ns, where)
        if record is not None:
            self._told.add(place)
            attrs = {name: text for name, text in record.attrs.items() if name not in (PLACE, DURATION)}
            self._tell(replace(record, attrs=attrs))


def search_for(
    keys: ElasticsearchKeys, wanted: Wanted, at: str, begin_ns: int, end_ns: int, limit: int
) -> dict[str, Any]:
    """The body of the search. A page is continued from the instant of its last document and not with `search_after`:
    a tie-breaker needs a point in time, which would have to be opened and closed at the target."""
    phrases = " OR ".join(f'"{_quoted(mark)}"' for mark in marks_to_ask_for(wanted))
    fields = {"fields": [name.strip() for name in keys.field.split(",")]} if keys.field else {}
    span = {"gte": begin_ns // 10**6, "lte": -(-end_ns // 10**6), "format": "epoch_millis"}
    return {
        "size": limit,
        "track_total_hits": False,
        "sort": [{at: {"order": "asc", "unmapped_type": "date"}}],
        "query": {
            "bool": {
                "filter": [
                    {"range": {at: span}},
                    {"query_string": {"query": phrases, "lenient": True, **fields}},
                ]
            }
        },
    }


def _quoted(mark: str) -> str:
    return mark.replace("\\", "\\\\").replace('"', '\\"')


def _opened(fields: dict[str, Any]) -> dict[str, Any]:
    """A document, with what stands in its message as JSON."""
    message = fields.get("message")
    if isinstance(message, str) and (inner := fields_of(message.strip().encode("utf-8", "replace"))) is not None:
        return {**inner, **{name: value for name, value in fields.items() if name not in inner and name != "message"}}
    return dict(fields)


def _duration_ms(texts: Mapping[str, str]) -> str:
    """`event.duration` is in nanoseconds (ECS), that of a span of APM in microseconds."""
    for name, scale in _DURATIONS:
        text = texts.get(name, "")
        if text.isdecimal() and text.isascii():
            return str(int(text) / scale)
    return ""


_DURATIONS = (("event.duration", 1e6), ("span.duration.us", 1e3), ("transaction.duration.us", 1e3))

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
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field, field_validator

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.fields import FIELDS, fields_of, flat, instant_ns
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.backends import (
    AskedByHttp,
    BackEnd,
    CannotTell,
    Credentials,
    Reader,
    bad_value,
    marks_to_ask_for,
)
from synthmon.evidence.looking import Breath
from synthmon.evidence.records import PLACE, Records
from synthmon.evidence.windows import Page, Search

TIMESTAMP = "@timestamp"
DURATION = "~duration_ms"

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
            raise bad_value(f"{index!r} is no name of an index", 'Write "logs-*".')
        return index.strip()


_MANUAL = __doc__


class ElasticsearchSource(AskedByHttp):
    """The kind of source that `elasticsearch:` chooses (`core.sources.SourceKind`)."""

    word: str = "elasticsearch"
    manual: str = _MANUAL
    keys: type[ElasticsearchKeys] = ElasticsearchKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = BackEnd("Elasticsearch", source.keys.elasticsearch, means)
        documents = Documents(source, wanted, means, tell, back_end)
        return Reader(source, means, tell, documents.read, documents.widen).begin(back_end.where)


SOURCE = ElasticsearchSource()


class Documents:
    """The documents of one run, each told once."""

    def __init__(self, source: Source, wanted: Wanted, means: Means, tell: Tell, back_end: BackEnd) -> None:
        self._source, self._means, self._back_end = source, means, back_end
        self._run_id = wanted.run_id
        self._search = Search(source, wanted)
        self._at = source.map.get("at", TIMESTAMP)
        self._path = f"/{quote(source.keys.index, safe='*,-_.:<>{}')}/_search"
        self._records = Records(source, wanted, tell, USUAL, self._at)

    async def read(self) -> None:
        """What came since. Raises `CannotTell`."""
        await self._search.read(self._means.now_ns(), self._ask)

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these keys too."""
        self._search.widen(keys)
        self._records.widen(self._search.wanted)

    async def _ask(self, wanted: Wanted, begin_ns: int, end_ns: int, limit: int) -> Page:
        body = json.dumps(search_for(self._source.keys, wanted, self._at, begin_ns, end_ns, limit)).encode()
        preference = self._run_id.lstrip("_")  # what begins with _ is a word of its own there
        params = {"preference": preference, "ignore_unavailable": "true"}  # all pages of the same copies
        answer = await self._back_end.ask("POST", self._path, params, body)
        hits = self._hits(answer)
        breath, received_ns, instants = Breath(), self._means.now_ns(), []
        for hit in hits:
            await breath.take()
            instants.append(self._instant(hit))
            self._take(hit, received_ns)
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

    def _take(self, hit: Mapping[str, Any], received_ns: int) -> None:
        match hit:
            case {"_index": str(index), "_id": str(id), "_source": dict(fields)}:
                known = {PLACE: id, DURATION: _duration_ms(fields)}
                self._records.take((index, id), _opened(fields), known, received_ns)


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


def _duration_ms(fields: Mapping[str, Any]) -> str:
    """`event.duration` is in nanoseconds (ECS), that of a span of APM in microseconds."""
    for path, scale in _DURATIONS:
        text = str(_inside(fields, path))
        if text.isdecimal() and text.isascii():
            return str(int(text) / scale)
    return ""


def _inside(fields: Any, path: str) -> Any:
    """What is at a dotted path, which may be one name or several inside each other."""
    if not isinstance(fields, dict):
        return ""
    if path in fields:
        return fields[path]
    first, _, rest = path.partition(".")
    return _inside(fields.get(first), rest) if rest else ""


_DURATIONS = (("event.duration", 1e6), ("span.duration.us", 1e3), ("transaction.duration.us", 1e3))

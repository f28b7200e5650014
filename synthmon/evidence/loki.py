"""`loki` is log lines that Grafana Loki keeps.

```yaml
evidence:
  logs: {loki: "http://loki.example.com:3100", select: '{app=~"shop.*"}', lag: 5s}
```

`select` is a LogQL selector, with stages if need be. What is asked for of it are the lines in which a mark of the run
stands: its id, its namespace, its own keys (up to 200 characters each). Where the marks are in a label or in structured
metadata and not in the line, `label` names it. What comes is looked through once more.

A line that is a JSON object is read by the names of its fields (`step`, `time`, `eventId`, `status`, `attempt`,
`service` and their like), or as `map` says; any other is one text, `message`. Labels are `labels.<name>`: they are
kept, and name the service where the line does not. A line without an instant of its own has that of Loki.

`lag` is how long a line may take until it is found there. `tenant` is sent as `X-Scope-OrgID`; `token` as a bearer
token; or `user` and `password`, as for Grafana Cloud.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from pydantic import Field, field_validator

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.fields import FIELDS, fields_of
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.backends import AskedByHttp, BackEnd, CannotTell, Credentials, Reader, bad_value, pattern_of
from synthmon.evidence.looking import Breath
from synthmon.evidence.records import INSTANT, PLACE, Records
from synthmon.evidence.windows import Page, Search

PATH = "/loki/api/v1/query_range"
USUAL = {
    "id": ("eventId", "event_id", "messageId", "message_id", "id", PLACE),
    "at": FIELDS["at"],
    "clock": (
        *FIELDS["clock"],
        *(f"labels.{name}" for name in ("service_name", "service", "app", "container", "job", "pod", "instance")),
    ),
    "trace": (*FIELDS["trace"], "labels.trace_id", "labels.traceID"),
    "span": (*FIELDS["span"], "labels.span_id", "labels.spanID"),
}


class LokiKeys(Credentials):
    """The keys of a `loki` source."""

    loki: str = Field(description="Its address: `http://host:3100`.")
    select: str = Field(description='Which lines: a LogQL selector such as `{app=~"shop.*"}`.')
    label: str = Field("", description="A label or structured metadata that bears the marks, if the line does not.")
    tenant: str = Field("", description="Sent as `X-Scope-OrgID`, where Loki has several tenants.")

    @field_validator("select")
    @classmethod
    def _selects(cls, select: str) -> str:
        if not select.strip().startswith("{"):
            raise bad_value("This is no LogQL selector", 'Write {app="shop"}.')
        return select.strip()

    @field_validator("label")
    @classmethod
    def _is_one(cls, label: str) -> str:
        if label and not re.fullmatch(r"[A-Za-z_]\w*", label, re.ASCII):
            raise bad_value(f"{label!r} is no name of a label", "One has letters, digits and _.")
        return label


_MANUAL = __doc__


class LokiSource(AskedByHttp):
    """The kind of source that `loki:` chooses (`core.sources.SourceKind`)."""

    word: str = "loki"
    manual: str = _MANUAL
    keys: type[LokiKeys] = LokiKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = BackEnd("Loki", source.keys.loki, means)
        lines = Lines(source, wanted, means, tell, back_end)
        return Reader(source, means, tell, lines.read, lines.widen).begin(back_end.where)


SOURCE = LokiSource()


class Lines:
    """The lines of one run, each told once."""

    def __init__(self, source: Source, wanted: Wanted, means: Means, tell: Tell, back_end: BackEnd) -> None:
        self._means, self._back_end = means, back_end
        self._keys: LokiKeys = source.keys
        self._search = Search(source, wanted)
        self._records = Records(source, wanted, tell, USUAL)

    async def read(self) -> None:
        """What came since. Raises `CannotTell`."""
        await self._search.read(self._means.now_ns(), self._ask)

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these keys too."""
        self._search.widen(keys)
        self._records.widen(self._search.wanted)

    async def _ask(self, wanted: Wanted, begin_ns: int, end_ns: int, limit: int) -> Page:
        query = question(self._keys, wanted)
        params = {"query": query, "start": str(begin_ns), "end": str(end_ns + 1)}  # Loki leaves the end out
        answer = await self._back_end.ask("GET", PATH, params | {"limit": str(limit), "direction": "forward"})
        match answer:
            case {"data": {"resultType": "streams", "result": list(streams)}}:
                return await self._take(streams, limit)
            case {"data": {"resultType": str(kind)}}:
                fault = f"{self._back_end.where} answered a {kind} and no lines: `select` is not to count"
                raise CannotTell(Reason.BAD_ANSWER, fault)
        raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} answered no lines; is it Loki?")

    async def _take(self, streams: list[Any], limit: int) -> Page:
        breath, received_ns, instants, newest_first = Breath(), self._means.now_ns(), [0], False
        for labels, entries in _entries(streams):
            stream, first_ns, last_ns = str(sorted(labels.items())), 0, 0
            for at_ns, line in entries:
                await breath.take()
                first_ns, last_ns = first_ns or at_ns, at_ns
                instants.append(at_ns)
                place = f"{at_ns}:{crc32(line.encode('utf-8', 'replace'), crc32(stream.encode())):08x}"
                if self._search.marked.search(line) or self._search.marked.search(stream):
                    fields = fields_of(line.strip().encode("utf-8", "replace")) or {"message": line}
                    known = {PLACE: place, INSTANT: at_ns}
                    self._records.take(place, fields | {"labels": labels}, known, received_ns)
            newest_first |= last_ns < first_ns
        count = len(instants) - 1
        return Page(count >= limit, min(instants[1:], default=0), max(instants), newest_first)


def question(keys: LokiKeys, wanted: Wanted) -> str:
    """The query, narrowed to what bears a mark of the run. A regular expression of plain texts is what LogQL has for
    one of several; Loki looks for the texts."""
    pattern = pattern_of(wanted)
    if keys.label:
        return f"{keys.select} | {keys.label}=~{json.dumps(f'.*({pattern}).*', ensure_ascii=False)}"
    return f"{keys.select} |~ {json.dumps(pattern, ensure_ascii=False)}"


def _entries(streams: list[Any]) -> Iterator[tuple[dict[str, Any], Iterator[tuple[int, str]]]]:
    for stream in streams:
        match stream:
            case {"stream": dict(labels), "values": list(values)}:
                yield labels, _lines(values)


def _lines(values: list[Any]) -> Iterator[tuple[int, str]]:
    """A third part, structured metadata, stands among the labels as well."""
    for value in values:
        match value:
            case [str(at), str(line), *_] if at.isdecimal() and at.isascii():
                yield int(at), line

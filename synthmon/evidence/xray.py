"""`xray` is traces that AWS X-Ray keeps.

```yaml
evidence:
  spans:
    xray: https://xray.eu-west-1.amazonaws.com
    access_key: env:AWS_ACCESS_KEY_ID
    secret_key: env:AWS_SECRET_ACCESS_KEY
    lag: 30s
```

Read are the trace that the run began (its id is that of the run, as X-Ray spells it: `1-`, 8 digits, `-`, 24 digits);
the traces in which one of `annotations` is a mark of the run; and those that are linked to one of these, as an
invocation of Lambda by SQS is to the trace that sent the message: over three traces, at most twenty a run. A link that
stands in the trace that sent is followed as well; where there is none, name services in `linked`: of these, all traces
since the run began are read, and those taken that link to one of the run.

Segments and subsegments are spans. The step is the annotation `step` or `synthmon_step`, else the name: of a call of an
AWS service with its operation, `SQS.SendMessage`. Lambda tells every invocation twice, `order` and, for the service
itself, `order (AWS::Lambda)`. The status is `ok`, or `error` after an error, a fault or throttling, which are then
attributes. Annotations and metadata are attributes; what is in progress is told when it has ended. The rest is as
`synthmon explain otlp` says.

X-Ray takes a sample only, unless a sampling rule or the `traceparent` of the run says otherwise. Where Transaction
Search is on, AWS keeps spans in CloudWatch Logs and X-Ray finds none: use `cloudwatch` with the group `aws/spans`.

`lag` is how long a segment may take until it is found. The keys belong to a user or role that may
`xray:GetTraceSummaries` and `xray:BatchGetTraces`; `session_token` goes with temporary ones. They come from these
references only: neither `~/.aws` nor the metadata of the machine is read. `region` is needed where the address names
none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import Field, field_validator

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Tell, Wanted
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.core.telemetry import Link, Span
from synthmon.evidence.aws import AskedOfAws, AwsBackEnd, AwsSourceKeys, xray_id
from synthmon.evidence.backends import CannotTell, Reader, bad_value, marks_to_ask_for
from synthmon.evidence.looking import Breath
from synthmon.evidence.segments import Piece, pieces_of, span_of, trace_of
from synthmon.evidence.traces import Following, Found
from synthmon.evidence.windows import BEHIND_NS

HEADERS = {"Content-Type": "application/json"}
ANNOTATIONS = ("synthmon_run", "correlationId")
LONGEST_SPAN_NS = 6 * 3600 * 10**9 - BEHIND_NS  # of time that one search may have
KEPT_NS = 30 * 86_400 * 10**9  # how long X-Ray keeps a trace
LONGEST_EXPRESSION = 2000
TRACES_A_QUESTION = 5
MOST_PAGES, MOST_LINKED = 30, 100  # of a search; traces of `linked` services, a look


class XRayKeys(AwsSourceKeys):
    """The keys of an `xray` source."""

    xray: str = Field(description="Its address: `https://xray.eu-west-1.amazonaws.com`.")
    annotations: tuple[str, ...] = Field(ANNOTATIONS, description="Annotations that may be a mark of the run.")
    linked: tuple[str, ...] = Field((), description="Services of which all traces are read, for links to the run.")

    @field_validator("linked")
    @classmethod
    def _are_services(cls, linked: tuple[str, ...]) -> tuple[str, ...]:
        for name in linked:
            if '"' in name or not name:
                raise bad_value(f"{name!r} is no name of a service", 'Write it as X-Ray shows it, without ".')
        return linked

    @field_validator("annotations")
    @classmethod
    def _are_names(cls, annotations: tuple[str, ...]) -> tuple[str, ...]:
        for name in annotations:
            if not re.fullmatch(r"[\w.]{1,500}", name, re.ASCII):
                raise bad_value(f"{name!r} is no key of an annotation", "One has letters, digits, _ and points.")
        return annotations


_MANUAL = __doc__


class XRaySource(AskedOfAws):
    """The kind of source that `xray:` chooses (`core.sources.SourceKind`)."""

    word: str = "xray"
    manual: str = _MANUAL
    keys: type[XRayKeys] = XRayKeys

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Ask until closed."""
        back_end = AwsBackEnd("X-Ray", "xray", source.keys, source.keys.xray, means)
        store = XRayStore(source.keys, wanted, means, back_end)
        following = Following(source, wanted, means, tell, store, asyncio.get_running_loop().time)
        return Reader(source, means, tell, following.read, following.widen).begin(back_end.where)


SOURCE = XRaySource()


class XRayStore:
    """X-Ray as `traces.TraceStore`. API: https://docs.aws.amazon.com/xray/latest/api/API_Operations.html"""

    def __init__(self, keys: XRayKeys, wanted: Wanted, means: Means, back_end: AwsBackEnd) -> None:
        self._keys, self._wanted, self._means, self._back_end = keys, wanted, means, back_end
        self._follows: dict[str, set[tuple[str, str]]] = {}  # trace → (trace, id) of what says that it leads there
        self._refers: dict[str, set[str]] = {}  # trace of a `linked` service → those to which it links
        self._stands_for: dict[str, str] = {}  # inferred segment → the subsegment above it
        self._seen: set[tuple[str, int]] = set()  # traces of `linked` services, by revision

    async def trace(self, trace_id: str) -> Iterable[Span]:
        """What is there of a trace."""
        pieces = await self._pieces((trace_id,))
        return self._spans(pieces)

    async def marked(self, wanted: Wanted) -> Found:
        """By the annotations that may be a mark."""
        marks = [mark for mark in marks_to_ask_for(wanted) if not {'"', "\\"} & {*mark}]
        if wanted.words and not marks:  # whoever waits for an answer is not to take silence for "there is none"
            raise CannotTell(Reason.EXPRESSION, f'{self._back_end.where} cannot be asked for a text with " or \\ in it')
        conditions = [f'annotation[{name}] = "{mark}"' for name in self._keys.annotations for mark in marks]
        found: list[str] = []
        for expression in _together(conditions):
            found += [trace for trace, _ in await self._search(expression)]
        return Found(found)

    async def linking(self, traces: Sequence[str]) -> Found:
        """Those to which a trace itself links, and those of the services in which links are looked for."""
        own = self._wanted.own_traces
        if self._keys.linked and (not own or not set(own).isdisjoint(traces)):  # once a look
            await self._read_linked()
        wanted = frozenset(traces)
        following = [trace for trace, links in self._follows.items() if wanted & {before for before, _ in links}]
        return Found([*following, *(trace for trace, refers in self._refers.items() if refers & wanted)])

    async def _read_linked(self) -> None:
        services = " OR ".join(f'service("{name}")' for name in self._keys.linked)
        fresh = [one for one in await self._search(services) if one not in self._seen]
        if len(fresh) > MOST_LINKED:
            fault = f"{self._back_end.where} has more than {MOST_LINKED} new traces of `linked` services"
            raise CannotTell(Reason.TOO_MANY, fault)
        for begin in range(0, len(fresh), TRACES_A_QUESTION):
            some = fresh[begin : begin + TRACES_A_QUESTION]
            for piece in await self._pieces([trace for trace, _ in some]):
                self._refers.setdefault(piece.trace_id, set()).update(link.trace_id for link, _ in piece.links)
            self._seen.update(some)

    async def _pieces(self, traces: Sequence[str]) -> list[Piece]:
        """What is there of at most five traces; what else there is to know of it is noted."""
        answer = await self._back_end.call("/Traces", {"TraceIds": [xray_id(trace) for trace in traces]}, HEADERS)
        where = self._back_end.where
        match answer:
            case {"Traces": list(told)}:
                breath, found = Breath(), []
                for document, trace_id in _documents(told, where):
                    for piece in pieces_of(document, trace_id):
                        await breath.take()
                        self._note(piece)
                        found.append(piece)
                return found
        raise CannotTell(Reason.BAD_ANSWER, f"{where} answered no traces; is it X-Ray?")

    async def _search(self, expression: str) -> list[tuple[str, int]]:
        """Traces with their revisions, of which something came since the run began."""
        found: list[tuple[str, int]] = []
        for begin_ns, end_ns in self._spans_of_time(self._means.now_ns()):
            question: dict[str, Any] = {"StartTime": begin_ns // 10**9, "EndTime": -(-end_ns // 10**9)}
            question |= {"TimeRangeType": "Event", "Sampling": False, "FilterExpression": expression}
            found += await self._pages(question)
        return found

    def _spans_of_time(self, now_ns: int) -> Iterator[tuple[int, int]]:
        """As long as a search may have. A run's begins lately; somebody's request may be as old as what is kept."""
        kept_ns = now_ns - (KEPT_NS if self._wanted.words else LONGEST_SPAN_NS)
        begin_ns = max(self._wanted.since_ns - BEHIND_NS, kept_ns)
        while begin_ns < now_ns:
            yield begin_ns, min(begin_ns + LONGEST_SPAN_NS, now_ns)
            begin_ns += LONGEST_SPAN_NS

    async def _pages(self, question: dict[str, Any]) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        for _ in range(MOST_PAGES):
            match await self._back_end.call("/TraceSummaries", question, HEADERS):
                case {"TraceSummaries": list(summaries), **more}:
                    found += _summaries(summaries)
                case _:
                    raise CannotTell(Reason.BAD_ANSWER, f"{self._back_end.where} does not search; is it X-Ray?")
            match more:
                case {"NextToken": str(token)} if token:
                    question["NextToken"] = token
                case _:
                    return found
        raise CannotTell(Reason.TOO_MANY, f"{self._back_end.where} found more traces for this run than are read")

    def _note(self, piece: Piece) -> None:
        """What other pieces need to know of this one."""
        if piece.inferred:
            self._stands_for[piece.id] = piece.parent_id
        for link, to_child in piece.links:
            if to_child:
                self._follows.setdefault(link.trace_id, set()).add((piece.trace_id, piece.id))

    def _spans(self, pieces: Iterable[Piece]) -> Iterator[Span]:
        for piece in pieces:
            first = piece.root and not piece.parent_id
            more = tuple(Link(*place) for place in sorted(self._follows.get(piece.trace_id, ()))) if first else ()
            span = None if piece.inferred else span_of(piece, lambda id: self._stands_for.get(id, id), more)
            if span is not None:
                yield span


def _documents(traces: Iterable[Any], where: str) -> Iterator[tuple[str, str]]:
    """The segment documents, each with the id of its trace. Raises `CannotTell` for a trace that is not whole."""
    for trace in traces:
        match trace:
            case {"LimitExceeded": True, "Id": id}:
                raise CannotTell(Reason.TOO_LARGE, f"{where} has a trace that is larger than it keeps: {id}")
            case {"Id": str(id), "Segments": list(segments)} if trace_id := trace_of(id):
                for segment in segments:
                    match segment:
                        case {"Document": str(document)}:
                            yield document, trace_id


def _summaries(told: Iterable[Any]) -> Iterator[tuple[str, int]]:
    for summary in told:
        match summary:
            case {"Id": str(id)} if trace_id := trace_of(id):
                revision = summary.get("Revision")
                yield trace_id, revision if isinstance(revision, int) else 0


def _together(conditions: Iterable[str]) -> list[str]:
    """As few expressions as these fit into."""
    found: list[str] = []
    for one in conditions:
        if found and len(found[-1]) + len(one) + 4 <= LONGEST_EXPRESSION:
            found[-1] += f" OR {one}"
        else:
            found.append(one)
    return found

"""Which telemetry belongs to which run: by its trace, by its marks, and by links from one trace to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from synthmon.core.evidence import MOST_HOPS, MOST_LINKED_TRACES, Wanted
from synthmon.core.telemetry import Span
from synthmon.evidence.waiting import Held, Waiting

SpanKey = tuple[str, str]
Key = TypeVar("Key", str, SpanKey)


@dataclass(slots=True, eq=False)
class Owner:
    """One run: its traces and single spans of other traces, each with how many links lead there from its own.

    `told` are the records that it had.
    """

    wanted: Wanted
    traces: dict[str, int] = field(default_factory=dict)
    spans: dict[SpanKey, int] = field(default_factory=dict)
    linked: int = 0
    told: set[object] = field(default_factory=set)


Due = tuple[Owner, Held, str]
"""A record, whose it is, and why."""


class Belonging:
    """Decides for all runs at once; what belongs to one only because of something that came later is handed to `due`.

    A span is a run's if it is in one of its traces; if a mark stands in it; if its parent is the run's; if it links to
    a span or trace of the run, and then all of its own trace is, at most three links away and twenty traces a run.
    A mark in a foreign trace makes the span the run's with all below it, and not the rest: a consumer of many messages
    may put them all into one trace.
    """

    def __init__(self, due: Callable[[Iterable[Due]], None]) -> None:
        self._due = due
        self._waiting = Waiting()
        self._owners: dict[Owner, None] = {}
        self._by_trace: dict[str, dict[Owner, None]] = {}
        self._by_span: dict[SpanKey, dict[Owner, None]] = {}

    def join(self, owner: Owner) -> None:
        """A run begins."""
        self._owners[owner] = None
        for trace in owner.wanted.own_traces:
            self._own_trace(owner, trace, 0)

    def leave(self, owner: Owner) -> None:
        """A run is over."""
        del self._owners[owner]
        for trace in owner.traces:
            _remove(self._by_trace, trace, owner)
        for span in owner.spans:
            _remove(self._by_span, span, owner)

    def take(self, batch: Iterable[Held]) -> None:
        """Records as they come."""
        several = list(batch)
        everything = "\n".join(held.text for held in several)
        marked = [owner for owner in self._owners if any(mark in everything for mark in owner.wanted.marks)]
        for held in several:
            self._due((owner, held, why) for owner, why in self._owners_of(held, marked).items())
            self._waiting.add(held)

    def widen(self, owner: Owner, keys: tuple[str, ...], since_s: float) -> tuple[Iterator[Held], bool]:
        """A run has more keys: what of all that is held bears one of them, is to be `recalled`; and whether something
        that came since then and bore one is perhaps held no longer."""
        owner.wanted = owner.wanted.widened(keys)
        return iter(self._waiting.everything()), any(self._waiting.forgotten.perhaps(key, since_s) for key in keys)

    def recall(self, owner: Owner, keys: tuple[str, ...], several: Iterable[Held]) -> None:
        """Some of what was nobody's when it came."""
        for held in several:
            text = held.text
            if any(key in text for key in keys) and (name := owner.wanted.matched_by(held.texts)):
                self._due(((owner, held, name),))

    def is_new(self, owner: Owner, held: Held) -> bool:
        """Whether this run is still there, and did not have the record."""
        return owner in self._owners and held.key not in owner.told

    def taken(self, owner: Owner, held: Held) -> None:
        """It was told to this run. What follows from it becomes due."""
        owner.told.add(held.key)
        record = held.record
        if record.trace_id and record.span_id and record.trace_id not in owner.traces:
            self._own_span(owner, (record.trace_id, record.span_id))

    def _owners_of(self, held: Held, marked: list[Owner]) -> dict[Owner, str]:
        record = held.record
        found: dict[Owner, str] = {}
        for owner in self._by_trace.get(record.trace_id, ()):
            found[owner] = "trace"
        for owner in marked:
            if owner not in found and (name := owner.wanted.matched_by(held.texts)):
                found[owner] = name
        parent = record.parent_id if isinstance(record, Span) else record.span_id
        for span in ((record.trace_id, record.span_id), (record.trace_id, parent)):
            for owner in self._by_span.get(span, ()):
                found.setdefault(owner, "parent")
        if isinstance(record, Span):
            for owner in self._linked_owners(record):
                found.setdefault(owner, "link")
        return found

    def _linked_owners(self, span: Span) -> Iterator[Owner]:
        """The runs to which a span links; its trace becomes theirs."""
        for link in span.links:
            for owner in (
                *self._by_trace.get(link.trace_id, ()),
                *self._by_span.get((link.trace_id, link.span_id), ()),
            ):
                if self._adopt(owner, span.trace_id, link.trace_id, link.span_id):
                    yield owner

    def _adopt(self, owner: Owner, trace: str, linked_trace: str, linked_span: str) -> bool:
        hops = owner.traces.get(linked_trace, owner.spans.get((linked_trace, linked_span)))
        if trace in owner.traces:
            return True
        if hops is None or hops >= MOST_HOPS or owner.linked >= MOST_LINKED_TRACES:
            return False
        owner.linked += 1
        self._own_trace(owner, trace, hops + 1)
        return True

    def _own_trace(self, owner: Owner, trace: str, hops: int) -> None:
        """All of a trace is a run's from now on, and what came of it already, and what links to it."""
        if owner in self._by_trace.get(trace, ()):
            return
        owner.traces[trace] = hops
        self._by_trace.setdefault(trace, {})[owner] = None
        self._due((owner, held, "linked trace" if hops else "trace") for held in self._waiting.of_trace(trace))
        self._follow_links(owner, trace)

    def _own_span(self, owner: Owner, span: SpanKey) -> None:
        """A single span of a foreign trace is a run's from now on, and what is below it or links to it."""
        if span in owner.spans:
            return
        owner.spans[span] = 0
        self._by_span.setdefault(span, {})[owner] = None
        for held in self._waiting.of_trace(span[0]):
            record = held.record
            if record.span_id == span[1] or (isinstance(record, Span) and record.parent_id == span[1]):
                self._due(((owner, held, "parent"),))
        self._follow_links(owner, span[0])

    def _follow_links(self, owner: Owner, trace: str) -> None:
        for held in self._waiting.linking(trace):
            record = held.record
            if not isinstance(record, Span):
                continue
            for link in record.links:
                if link.trace_id == trace and self._adopt(owner, record.trace_id, trace, link.span_id):
                    self._due(((owner, held, "link"),))


def _remove(index: dict[Key, dict[Owner, None]], key: Key, owner: Owner) -> None:
    owners = index.get(key, {})
    owners.pop(owner, None)
    if not owners:
        index.pop(key, None)

"""A run's traces in a back end that keeps spans: its own, those in which its marks stand, and those that link to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from synthmon.core.evidence import MOST_RECORDS, Tell, Wanted
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.core.telemetry import Span
from synthmon.evidence.backends import CannotTell
from synthmon.evidence.belonging import Belonging, Due, Owner
from synthmon.evidence.looking import Breath
from synthmon.evidence.spans import from_span, texts_of
from synthmon.evidence.waiting import Held

MOST_READ = 60  # traces, a look
MOST_SPANS = 4 * MOST_RECORDS  # of all that is read for one run, whosesoever they are
TRIES = 3  # at a trace that was found and is not the run's: what makes it so may still come


@dataclass(frozen=True, slots=True)
class Found:
    """What a search brought: the ids of traces, or their spans at once."""

    traces: Sequence[str] = ()
    spans: Iterable[Span] = ()


class TraceStore(Protocol):
    """A back end that keeps spans. Its methods raise `CannotTell`."""

    async def trace(self, trace_id: str) -> Iterable[Span]:
        """What is there of a trace, perhaps nothing."""
        ...

    async def marked(self, wanted: Wanted) -> Found:
        """The traces in which a mark of this may stand."""
        ...

    async def linking(self, traces: Sequence[str]) -> Found:
        """The traces in which a span may link to one of these."""
        ...


class Following:
    """The spans of one run, each told once; `store` is where they are."""

    def __init__(
        self, source: Source, wanted: Wanted, means: Means, tell: Tell, store: TraceStore, clock: Callable[[], float]
    ) -> None:
        self._source, self._means, self._tell, self._store = source, means, tell, store
        self._clock = clock
        self._due: deque[Due] = deque()
        self._belonging = Belonging(self._due.extend)
        self._owner = Owner(wanted)
        self._belonging.join(self._owner)
        self._known: set[tuple[str, str]] = set()
        self._tries: dict[str, int] = {}  # trace that was found → how often it was read and was not the run's
        self._read: set[str] = set()  # in this look

    async def read(self) -> None:
        """Everything that is the run's by now: link by link, until no new trace is found. Raises `CannotTell`."""
        self._read = set()
        await self._read_own()
        await self._take_found(await self._store.marked(self._owner.wanted))
        asked: set[str] = set()
        while fresh := tuple(trace for trace in self._owner.traces if trace not in asked):
            asked.update(fresh)
            await self._take_found(await self._store.linking(fresh))

    def widen(self, keys: tuple[str, ...]) -> None:
        """Look for these keys too: every span that is read from now on is looked through anew."""
        self._owner.wanted = self._owner.wanted.widened(keys)
        self._known.clear()
        self._tries.clear()

    async def _read_own(self) -> None:
        """The traces of the run, and those of which single spans are."""
        while unread := self._own() - self._read:
            for trace in sorted(unread):
                await self._read_one(trace)

    def _own(self) -> set[str]:
        return {*self._owner.traces, *(trace for trace, _ in self._owner.spans)}

    async def _take_found(self, found: Found) -> None:
        await self._take(found.spans)
        for trace in dict.fromkeys(found.traces):
            if trace in self._read or self._tries.get(trace, 0) >= TRIES:
                continue
            await self._read_one(trace)
            if trace not in self._own():
                self._tries[trace] = self._tries.get(trace, 0) + 1
        await self._read_own()

    async def _read_one(self, trace: str) -> None:
        if len(self._read) >= MOST_READ:
            raise CannotTell(Reason.TOO_MANY, f"a search found more than {MOST_READ} traces for this run")
        self._read.add(trace)
        await self._take(await self._store.trace(trace))

    async def _take(self, spans: Iterable[Span]) -> None:
        breath = Breath()
        for span in spans:
            await breath.take()
            key = span.trace_id, span.span_id
            if key in self._known:
                continue
            if len(self._known) >= MOST_SPANS:
                raise CannotTell(Reason.TOO_MANY, f"more than {MOST_SPANS} spans came for this run")
            self._known.add(key)
            self._belonging.take((Held(span, texts_of(span), self._clock()),))
            while self._due:
                self._tell_one(*self._due.popleft())
                await breath.take()

    def _tell_one(self, owner: Owner, held: Held, why: str) -> None:
        span = held.record
        if not isinstance(span, Span) or not self._belonging.is_new(owner, held):
            return
        received_ns = self._means.now_ns()
        source = self._source
        record = from_span(source.name, span, held.texts, owner.wanted, received_ns, source.map, why)
        if record is not None:
            self._belonging.taken(owner, held)
            self._tell(record)

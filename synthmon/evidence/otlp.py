"""`otlp` is what the systems under test report to synthmon itself: spans and logs, by OTLP over HTTP.

```yaml
evidence:
  spans: {otlp: {}, lag: 10s}
```

They are sent to `/v1/traces` and `/v1/logs` of the listener for hooks. A span or log is a run's if it is in the trace
that the run began (its id is that of the run); if a mark of the run stands in an attribute, in `tracestate`, in the
name or the body; if it is below a span of the run; or if its trace is linked: a consumer mostly works in a trace of its
own, with a span link to that of the producer. Linked traces are followed over three links, at most twenty a run, also
when the link comes later than what it explains (within two minutes). While no system reports anything at all, nothing
is known: then what did not come may have happened.

What bears an id that a step saved is found as well if it came before the answer that told the id: kept are the last
20,000 spans and logs, 32 million characters and two minutes of what anybody reports. Where one with that id came since
the run began and is kept no more, nothing is told from then on, and that is said.

The step of a span is the first of the attributes `synthmon.step`, `step`, `event.name`, `messaging.operation.name`
(but `send`, `process` and their like say nothing), `code.function.name` and `code.function`; else the name of the
span. Its instant is its end. Its status is the attribute `status`, else `error` or `ok` by the span's own status, its
HTTP or gRPC answer. Its id is `messaging.message.id` if it has one, so that a redelivery is the same happening once
more, else that of the span. Its clock is `service.name`. The fields of a log are its attributes and its body, which may
be JSON. `map` says otherwise: {step: app.step, clock: resource.host.name}.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Blind, Evidence, Tell, Wanted, Watermark
from synthmon.core.inbound import Telemetry
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.core.telemetry import Span
from synthmon.evidence.belonging import Belonging, Due, Owner
from synthmon.evidence.hearers import Watcher
from synthmon.evidence.looking import Breath
from synthmon.evidence.shared import Shared
from synthmon.evidence.spans import from_log, from_span, texts_of
from synthmon.evidence.waiting import Held

MOST_BACKLOG = 50_000
AT_ONCE = 32


class OtlpOptions(BaseModel):
    """There are none yet: the listener is that of the hooks."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OtlpKeys(BaseModel):
    """The keys of an `otlp` source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    otlp: OtlpOptions = Field(description="Nothing to choose: `{}`.")


_MANUAL = __doc__


class OtlpSource:
    """The kind of source that `otlp:` chooses (`core.sources.SourceKind`)."""

    word: str = "otlp"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = OtlpKeys
    secrets: frozenset[str] = frozenset()
    counts: bool = False

    def __init__(self) -> None:
        self._hubs: Shared[Hub] = Shared()

    def base(self, keys: OtlpKeys) -> str:
        """It has no back end."""
        return ""

    def connection(self, keys: OtlpKeys) -> str:
        """It asks none."""
        return ""

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        """Hear until closed."""
        hub = self._hubs.take(self.word, lambda: Hub(self._forget))
        return hub.join(Watcher(source, means, tell, Owner(wanted)))

    def _forget(self, hub: Hub) -> None:
        self._hubs.drop(self.word, hub)


SOURCE = OtlpSource()


@dataclass(slots=True)
class _Batch:
    """One request, and how many of its logs were alike."""

    at_s: float
    alike: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class _Recall:
    """What was heard before a run had these keys, as far as it was not looked through again yet."""

    owner: Owner
    keys: tuple[str, ...]
    rest: Iterator[Held]
    forgot: bool


class Hub:
    """Hears all telemetry once, and hands to each run what belongs to it: a few milliseconds at a time."""

    def __init__(self, when_empty: Callable[[Hub], None]) -> None:
        self._when_empty = when_empty
        self._watchers: dict[Owner, Watcher] = {}
        self._due: deque[Due] = deque()
        self._belonging = Belonging(self._due.extend)
        self._backlog: deque[tuple[Any, _Batch]] = deque()
        self._recalls: deque[_Recall] = deque()
        self._last: tuple[Telemetry | None, bool] = (None, True)
        self._heard = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def join(self, watcher: Watcher) -> TelemetryEar:
        """From now on it is told."""
        self._watchers[watcher.owner] = watcher
        self._belonging.join(watcher.owner)
        watcher.hear_no_more = watcher.means.hear_telemetry(self.hear)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="evidence otlp")
        return TelemetryEar(self, watcher)

    def widen(self, watcher: Watcher, keys: tuple[str, ...]) -> None:
        """It is told of what bears these keys too, before it is told a watermark again."""
        if watcher.owner in self._watchers:
            rest, forgot = self._belonging.widen(watcher.owner, keys, watcher.since_s)
            self._recalls.append(_Recall(watcher.owner, keys, rest, forgot))
            self._news.set()

    async def leave(self, watcher: Watcher) -> None:
        """It is told nothing more; after the last one nothing is kept."""
        if self._watchers.pop(watcher.owner, None) is None:
            return
        watcher.hear_no_more()
        self._belonging.leave(watcher.owner)
        if self._watchers or self._task is None:
            return
        self._when_empty(self)
        self._task.cancel()
        await asyncio.wait({self._task})

    def hear(self, told: Telemetry) -> bool:
        """Take it, or say that there is no room. Each run hears by its own means, so the same comes many times."""
        last, had_room = self._last
        if told is last:
            return had_room
        self._heard = True
        had_room = not self._backlog or len(self._backlog) + len(told.spans) + len(told.logs) <= MOST_BACKLOG
        self._last = told, had_room
        if had_room:
            batch = _Batch(told.at_s)
            self._backlog.extend((record, batch) for record in (*told.spans, *told.logs))
            self._news.set()
        else:
            self._refuse()
        return had_room

    def _refuse(self) -> None:
        """What was sent away comes again; until it has, nobody can rely on having heard everything."""
        now_s = asyncio.get_running_loop().time()
        for watcher in self._watchers.values():
            watcher.deaf_until_s = now_s + max(watcher.source.lag_s, 5.0)
            detail = "more telemetry came than could be read; its senders were told to come again"
            watcher.tell(Blind(watcher.source.name, Reason.SATURATED, detail))

    async def _work(self) -> None:
        while True:
            await self._read()
            self._mark()
            interval_s = min((watcher.every_s for watcher in self._watchers.values()), default=1.0)
            self._news.clear()
            if self._backlog:
                continue
            try:
                async with asyncio.timeout(interval_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _read(self) -> None:
        """Everything that is there, in pieces."""
        breath = Breath()
        while self._backlog or self._due or self._recalls:
            if self._due:
                self._tell(*self._due.popleft())
            elif self._recalls:
                self._recall_some(self._recalls[0])
            else:
                several = [self._backlog.popleft() for _ in range(min(AT_ONCE, len(self._backlog)))]
                self._belonging.take([_held(record, batch) for record, batch in several])
            await breath.take()

    def _recall_some(self, recall: _Recall) -> None:
        several = list(islice(recall.rest, AT_ONCE))
        watcher = self._watchers.get(recall.owner)
        if watcher is not None and several:
            self._belonging.recall(recall.owner, recall.keys, several)
            return
        self._recalls.popleft()
        if watcher is not None and recall.forgot and not watcher.forgetful:
            watcher.say_forgetful()

    def _tell(self, owner: Owner, held: Held, why: str) -> None:
        if not self._belonging.is_new(owner, held):
            return
        watcher = self._watchers[owner]
        try:
            record = _evidence(watcher, held, why)
        except Exception as error:  # noqa: BLE001  a record that we cannot read must not end the reading of all others
            fault = f"a record could not be understood: {error!r}"
            watcher.tell(Blind(watcher.source.name, Reason.BROKEN, fault))
            return
        if record is not None:
            self._belonging.taken(owner, held)
            watcher.tell(record)

    def _mark(self) -> None:
        """All that came was told: what is not here by now had not arrived."""
        now_s = asyncio.get_running_loop().time()
        for watcher in tuple(self._watchers.values()):
            if watcher.forgetful or now_s - watcher.marked_s < watcher.every_s or now_s < watcher.deaf_until_s:
                continue
            watcher.marked_s = now_s
            if not self._heard:
                watcher.say_deaf()
            else:
                at_ns = watcher.means.now_ns() - round(watcher.source.lag_s * 1e9)
                watcher.tell(Watermark(watcher.source.name, at_ns))


class TelemetryEar:
    """`core.door.OpenEar` of one run."""

    def __init__(self, hub: Hub, watcher: Watcher) -> None:
        self._hub, self._watcher = hub, watcher

    @property
    def where(self) -> str:
        return "what is reported by OTLP"

    def widen(self, keys: tuple[str, ...]) -> None:
        """See `core.sources.Widens`."""
        self._hub.widen(self._watcher, keys)

    async def aclose(self) -> None:
        await self._hub.leave(self._watcher)


def _held(record: Any, batch: _Batch) -> Held:
    texts = texts_of(record)
    nth = 1
    if not isinstance(record, Span):
        alike = hash((record.span_id, *texts.items()))
        batch.alike[alike] += 1
        nth = batch.alike[alike]
    return Held(record, texts, batch.at_s, nth)


def _evidence(watcher: Watcher, held: Held, why: str) -> Evidence | None:
    source, wanted, record = watcher.source, watcher.owner.wanted, held.record
    received_ns = watcher.means.now_ns()
    if isinstance(record, Span):
        return from_span(source.name, record, held.texts, wanted, received_ns, source.map, why)
    return from_log(source.name, record, wanted, received_ns, source.map, why, held.nth)

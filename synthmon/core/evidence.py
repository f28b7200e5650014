"""What other systems report about a run, whatever they report it with, and by what it is known as the run's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from synthmon.core.namespaces import NAMESPACE
from synthmon.core.outcomes import Reason

MOST_RECORDS, MOST_BYTES = 5000, 2 * 1024 * 1024  # of one run
MOST_LINKED_TRACES, MOST_HOPS = 20, 3
COUNTED = "count"
"""What a count was matched by: it is nobody's."""
KEY_SLACK_NS = 1_000_000_000
"""By how much the clock of a system may be behind ours, for what is joined by a key: keys outlive a run (the address
of a leased account), so what happened before the run is another one's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record: that a step of some service happened.

    Instants are Unix nanoseconds; `at_ns` is when it ended by the clock of the machine that wrote it (`clock` names
    that machine or service), `start_ns` when it began (0: not told), `received_ns` when we saw it. `id` tells two
    happenings apart; the same id with a higher `attempt` is a retry or redelivery of one. `seq` orders records of one
    clock that bear the same instant. `causes` are ids of what it follows from. `matched_by` says why it is this run's.
    """

    source: str
    step: str
    at_ns: int
    name: str = ""
    status: str = ""
    attempt: int = 1
    start_ns: int = 0
    duration_ms: float | None = None
    clock: str = ""
    seq: int = 0
    id: str = ""
    trace_id: str = ""
    span_id: str = ""
    causes: tuple[str, ...] = ()
    dependency: str = ""
    attrs: Mapping[str, str] = field(default_factory=dict)
    received_ns: int = 0
    matched_by: str = ""

    @property
    def identity(self) -> str:
        """What tells it from another happening of the same step, attempts apart."""
        return self.id or self.span_id or f"{self.at_ns}:{self.seq}"

    @property
    def happening(self) -> str:
        """What tells it from every other: all who take one event write down the id of that event."""
        return f"{self.step}:{self.identity}"

    @property
    def size_bytes(self) -> int:
        """About how much it takes to keep it."""
        return 200 + sum(len(name) + len(text) for name, text in self.attrs.items())

    @property
    def is_count(self) -> bool:
        """Whether it says how many things wait somewhere (`attrs.count`), and not that something happened."""
        return self.matched_by == COUNTED


@dataclass(frozen=True, slots=True)
class Watermark:
    """A source has told everything of this run that happened until then (Unix nanoseconds, by its own clocks)."""

    source: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Blind:
    """A source cannot tell, from now on or for a time: what it says nothing of may have happened all the same."""

    source: str
    reason: Reason
    detail: str


Report = Evidence | Watermark | Blind

Tell = Callable[[Report], None]
"""Told at once, on the loop."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a source looks for: whatever bears one of the marks of a run, since it began.

    `keys` are the run's own business keys (an e-mail, an id that a step saved: `core.transact.own_keys`): they join
    what lost the trace on its way, where one is the whole of a field and no other run is named. `traces` are trace ids
    that belong to it; more are adopted as links are found.

    `words`: what is looked for is no run of ours, but a text that a person gave, in `run_id` and `namespace`: it may be
    short, so that it counts only where it stands as a word (`ORD-1` is not in `ORD-10`).
    """

    run_id: str
    namespace: str
    since_ns: int
    keys: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()
    words: bool = False

    @property
    def own_traces(self) -> tuple[str, ...]:
        """The ids of traces that are all its own: one has the id of the run, where that is one (W3C: 32 hex digits)."""
        return tuple(dict.fromkeys(trace for trace in (self.run_id, *self.traces) if _TRACE_ID.fullmatch(trace)))

    @property
    def marks(self) -> tuple[str, ...]:
        """Every text that may join a record to the run: where none of them stands, nothing is the run's."""
        return tuple(dict.fromkeys((self.run_id, self.namespace, *self.traces, *self.keys)))

    def matched_by(self, texts: Mapping[str, str]) -> str:
        """Which field bears a mark, in words (`correlationId`, `order (key)`); empty when none does."""
        for name, text in texts.items():
            if (self.run_id in text or self.namespace in text) and (not self.words or self._as_word(text)):
                return name
        for name, text in texts.items():
            if any(trace in text for trace in self.traces) or (text in self.keys and not self._is_of_another(texts)):
                return f"{name} (key)"
        return ""

    def widened(self, keys: tuple[str, ...]) -> Wanted:
        """The same, and whatever bears one of these keys too."""
        return replace(self, keys=tuple(dict.fromkeys((*self.keys, *keys))))

    def _is_of_another(self, texts: Mapping[str, str]) -> bool:
        """Whether a record names another run of ours: what both know (a product, an account) does not make it ours."""
        return any(found not in self.marks for text in texts.values() for found in NAMESPACE.findall(text))

    def _as_word(self, text: str) -> bool:
        return re.search(rf"(?<![^\W_]){re.escape(self.run_id)}(?![^\W_])", text) is not None


def is_stale(matched_by: str, at_ns: int, wanted: Wanted) -> bool:
    """Whether a record that only a key joins happened before the run: then another run had that key."""
    return matched_by.endswith("(key)") and at_ns < wanted.since_ns - KEY_SLACK_NS


_TRACE_ID = re.compile(r"[0-9a-f]{32}")

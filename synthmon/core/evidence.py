"""What other systems report about a run, whatever they report it with: one noun, and how its fields are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import jiter

from synthmon.core.foreign import disarm
from synthmon.core.outcomes import Reason

MOST_RECORDS, MOST_BYTES = 5000, 2 * 1024 * 1024  # of one run
MOST_ATTRS, MOST_ATTR_CHARACTERS = 32, 256
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

    `keys` are the run's own business keys (an e-mail, a saved id): they join what lost the trace on its way.
    `traces` are trace ids that belong to it; more are adopted as links are found.

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
            if any(key == text for key in self.keys) or any(trace in text for trace in self.traces):
                return f"{name} (key)"
        return ""

    def _as_word(self, text: str) -> bool:
        return re.search(rf"(?<![^\W_]){re.escape(self.run_id)}(?![^\W_])", text) is not None


_TRACE_ID = re.compile(r"[0-9a-f]{32}")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "step": ("step", "event", "eventName", "event.name", "operation", "name", "message", "msg"),
    "status": ("status", "outcome", "result", "level", "severity"),
    "attempt": ("attempt", "retry", "delivery", "deliveryCount"),
    "id": ("eventId", "event_id", "messageId", "message_id", "id", "span_id", "spanId"),
    "at": ("at", "time", "timestamp", "@timestamp", "ts", "datetime"),
    "latency": ("latencyMs", "latency_ms", "durationMs", "duration_ms", "elapsedMs"),
    "clock": ("service", "service.name", "host", "hostname", "function", "logger"),
    "dependency": ("dependency", "peer", "downstream"),
    "seq": ("seq", "sequence", "offset"),
    "trace": ("traceId", "trace_id", "trace.id"),
    "span": ("spanId", "span_id", "span.id"),
    "workflow": ("workflow",),
}
"""What a record calls its parts, the first that is there counts; `map:` of a source replaces single entries."""


def from_fields(
    source: str,
    fields: Mapping[str, Any],
    wanted: Wanted,
    received_ns: int,
    renamed: Mapping[str, str],
    otherwise: str = "",
) -> Evidence | None:
    """A log line, a row or a document as evidence; None when it is of another run, or bears no time.

    `renamed` says where a part of `FIELDS` is found, as a dotted path: `{step: labels.step}`. `otherwise` says why it
    is the run's though it bears no mark: the question that it answers named the run.
    """
    texts = flat(fields)
    matched_by = wanted.matched_by(texts) or otherwise
    if not matched_by:
        return None
    found = {part: _first(texts, renamed.get(part), names) for part, names in FIELDS.items()}
    at_ns = instant_ns(found["at"])
    if not at_ns or is_stale(matched_by, at_ns, wanted):
        return None
    duration_ms = _number(found["latency"])
    used = {renamed.get(part) or next((n for n in names if n in texts), "") for part, names in FIELDS.items()}
    return Evidence(
        source=source,
        step=cut(found["step"]),
        at_ns=at_ns,
        name=cut(found["workflow"]),
        status=cut(found["status"]),
        attempt=int(_number(found["attempt"]) or 1),
        start_ns=at_ns - int(duration_ms * 1e6) if duration_ms else 0,
        duration_ms=duration_ms,
        clock=cut(found["clock"]),
        seq=int(_number(found["seq"]) or 0),
        id=cut(found["id"]),
        trace_id=found["trace"][:32],
        span_id=found["span"][:16],
        dependency=cut(found["dependency"]),
        attrs=attrs_of({name: text for name, text in texts.items() if name not in used}),
        received_ns=received_ns,
        matched_by=matched_by,
    )


def is_stale(matched_by: str, at_ns: int, wanted: Wanted) -> bool:
    """Whether a record that only a key joins happened before the run: then another run had that key."""
    return matched_by.endswith("(key)") and at_ns < wanted.since_ns - KEY_SLACK_NS


def fields_of(line: bytes) -> dict[str, Any] | None:
    """The fields of a line of JSON; None when it is no object.

    Lenient, as loggers are careless and what is not understood is not seen: of a key that stands twice the last counts,
    NaN and lone surrogates pass, bytes that are no UTF-8 become U+FFFD. A field `log`, `message` or `body` that holds
    an object as text (as containers wrap what is written to standard output) is opened, and its fields come first.
    """
    found = _object(line)
    if found is None:
        return None
    for name in ("log", "message", "body"):
        text = found.get(name)
        if isinstance(text, str) and text.startswith("{") and (inner := _object(text.encode())) is not None:
            return {**inner, **{key: value for key, value in found.items() if key not in inner and key != name}}
    return found


def _object(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    with suppress(ValueError):
        value = jiter.from_json(line)
        return value if isinstance(value, dict) else None
    text = _SURROGATE.sub(r"\\ufffd", line.decode("utf-8", "replace"))
    with suppress(ValueError):
        value = jiter.from_json(text.encode())
        return value if isinstance(value, dict) else None
    return None


def flat(fields: Mapping[str, Any], prefix: str = "", depth: int = 4) -> dict[str, str]:
    """Nested fields by dotted path, every value as text; lists by index."""
    found: dict[str, str] = {}
    for name, value in fields.items():
        path = disarm(f"{prefix}{name}")
        match value:
            case dict() if depth:
                found.update(flat(value, f"{path}.", depth - 1))
            case list() if depth:
                found.update(flat({str(i): item for i, item in enumerate(value[:MOST_ATTRS])}, f"{path}.", depth - 1))
            case bool():
                found[path] = str(value).lower()
            case None:
                continue
            case _:
                found[path] = disarm(str(value))
    return found


def attrs_of(texts: Mapping[str, str]) -> dict[str, str]:
    """At most 32 attributes of at most 256 characters each."""
    return {cut(name): cut(text) for name, text in list(texts.items())[:MOST_ATTRS]}


def cut(text: str) -> str:
    """A text as it is kept."""
    return text if len(text) <= MOST_ATTR_CHARACTERS else text[: MOST_ATTR_CHARACTERS - 1] + "…"


def instant_ns(text: str) -> int:
    """An instant as Unix nanoseconds: RFC 3339, or a number of seconds, milli-, micro- or nanoseconds by its size; 0
    when it is none. A time without a zone is UTC."""
    number = _number(text)
    if number is not None:
        return _scaled_ns(text, number) if 0 < number < 1 << 63 else 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    whole = moment.replace(microsecond=0)
    seconds = int(whole.timestamp() if whole.tzinfo else _as_utc_s(whole))
    return seconds * 1_000_000_000 + _fraction_ns(text, moment)


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _as_utc_s(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1)).total_seconds()


def _fraction_ns(text: str, moment: datetime) -> int:
    """The digits behind the point, all nine of them: `fromisoformat` keeps six."""
    _, point, rest = text.partition(".")
    digits = ""
    for character in rest if point else "":
        if not character.isdigit():
            break
        digits += character
    return int(digits[:9].ljust(9, "0")) if digits else moment.microsecond * 1000


def _scaled_ns(text: str, number: float) -> int:
    scale = next((scale for scale, below in ((10**9, 1e11), (10**6, 1e14), (10**3, 1e17)) if number < below), 1)
    return int(Decimal(text) * scale)


def _first(texts: Mapping[str, str], renamed: str | None, names: tuple[str, ...]) -> str:
    if renamed is not None:
        return texts.get(renamed, "")
    return next((texts[name] for name in names if texts.get(name)), "")


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None

"""How the fields of a foreign record are found, whatever its writer calls them: a log line, a row, a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import jiter

from synthmon.core.evidence import Evidence, Wanted, is_stale
from synthmon.core.foreign import disarm
from synthmon.core.terminal import COMMANDS

MOST_ATTRS, MOST_ATTR_CHARACTERS = 32, 256

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
        step=named(found["step"]),
        at_ns=at_ns,
        name=named(found["workflow"]),
        status=named(found["status"]),
        attempt=int(_number(found["attempt"]) or 1),
        start_ns=at_ns - int(duration_ms * 1e6) if duration_ms else 0,
        duration_ms=duration_ms,
        clock=named(found["clock"]),
        seq=int(_number(found["seq"]) or 0),
        id=named(found["id"]),
        trace_id=found["trace"][:32],
        span_id=found["span"][:16],
        dependency=named(found["dependency"]),
        attrs=attrs_of({name: text for name, text in texts.items() if name not in used}),
        received_ns=received_ns,
        matched_by=matched_by,
    )


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
    return {named(name): cut(text) for name, text in list(texts.items())[:MOST_ATTRS]}


def named(text: str) -> str:
    """A name as it is kept: without commands to a terminal, whatever wrote it."""
    return cut(COMMANDS.sub("\ufffd", text))


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

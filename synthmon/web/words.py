"""How figures and instants are said on a page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from synthmon.core.outcomes import Outcome, Reason

SYMBOLS = {
    "passed": "✓",
    "failed": "✗",
    "flaky": "≈",
    "unknown": "?",
    "skipped": "–",
    "missed": "○",
    "failing": "✗",
    "passing": "✓",
    "waiting": "…",
    "paused": "‖",
}
"""A sign beside every colour: outcomes and states."""


def duration(ms: float | None) -> str:
    """`850 µs`, `12 ms`, `1.25 s`, `3 min 5 s`; `–` of none."""
    if ms is None:
        return "–"
    if 0 < ms < 1:
        return f"{ms * 1000:.0f} µs"
    if ms < 1000:
        return f"{ms:.0f} ms" if ms >= 10 or ms == int(ms) else f"{ms:.1f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.2f} s" if ms < 10_000 else f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def ago(instant: datetime | None, now: datetime) -> str:
    """`12 s ago`, `in 40 s`; a day and more as days."""
    if instant is None:
        return "–"
    seconds = (now - instant).total_seconds()
    text = _span(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def age(instant: datetime | None, now: datetime) -> str:
    """`12 s`, `3 min`."""
    return _span(max(0.0, (now - instant).total_seconds())) if instant else "–"


def clock(instant: datetime | None) -> str:
    """`2026-03-01 12:00:05 UTC`."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if instant else "–"


def reason(word: Reason | str) -> str:
    """A reason as words."""
    return str(word).replace("_", " ")


def symbol(word: Outcome | str) -> str:
    """The sign of an outcome or a state."""
    return SYMBOLS.get(str(word), "·")


def due(instant: datetime | None, now: datetime) -> str:
    """`in 40 s`, `now`: of what is to come."""
    return ago(instant, now) if instant is None or instant - now >= timedelta(seconds=1) else "now"


def spaced(message: str) -> str:
    """A message with its parts apart: blanks in a row, as a terminal shows them, are one on a page."""
    return re.sub(r" {2,}", " · ", message)


def file(place: str) -> str:
    """`order.yaml:12` of a place that may have a long path before it."""
    return place.rpartition("/")[2]


def _span(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

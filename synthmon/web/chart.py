"""The latencies of a journey's last runs as points over time, drawn on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.web.words import clock, duration, reason

WIDTH, HEIGHT = 1000.0, 220.0
_TOP, _FOOT = 14.0, 26.0


@dataclass(frozen=True, slots=True)
class Point:
    """One run; `y` of a run without a latency is the foot."""

    x: float
    y: float
    outcome: str
    run_id: str
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """A level: of the scale, or what was promised."""

    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Points oldest first; `path` joins the good ones."""

    points: Sequence[Point]
    path: str
    levels: Sequence[Line]
    promised: Line | None
    begin: str
    end: str


def chart(records: Sequence[Record], promised_ms: float | None = None) -> Chart | None:
    """Lay out records given newest first; None when there is nothing to draw."""
    shown = [record for record in reversed(records) if record.run_id]
    if not shown:
        return None
    values = [record.outcome_ms for record in shown if record.outcome_ms is not None]
    # a promise far above everything would flatten the points
    near = promised_ms if promised_ms is not None and promised_ms <= 2 * max(values, default=1.0) else None
    top_ms = _round_up(max([*values, near or 0.0, 1.0]))
    first, last = shown[0].slot.timestamp(), shown[-1].slot.timestamp()
    points = []
    for record in shown:
        x = (record.slot.timestamp() - first) / (last - first) * (WIDTH - 20) + 10 if last > first else WIDTH / 2
        points.append(
            Point(round(x, 1), _y(record.outcome_ms, top_ms), record.outcome.value, record.run_id, _told(record))
        )
    good = [f"{p.x} {p.y}" for p, r in zip(points, shown, strict=True) if r.outcome_ms is not None and _is_good(r)]
    return Chart(
        points,
        f"M{' L'.join(good)}" if len(good) > 1 else "",
        [Line(_y(top_ms * share, top_ms), duration(top_ms * share)) for share in (0.0, 0.5, 1.0)],
        Line(_y(near, top_ms), f"promised {duration(near)}") if near else None,
        clock(shown[0].slot),
        clock(shown[-1].slot),
    )


def _is_good(record: Record) -> bool:
    return record.outcome in (Outcome.PASSED, Outcome.FLAKY)


def _y(ms: float | None, top_ms: float) -> float:
    height = HEIGHT - _TOP - _FOOT
    return round(_TOP + height * (1 - (ms or 0.0) / top_ms), 1)


def _told(record: Record) -> str:
    why = f" ({reason(record.reason)})" if record.reason else ""
    return f"{clock(record.slot)} · {record.outcome.value}{why} · {duration(record.outcome_ms)}"


def _round_up(ms: float) -> float:
    """The next of 1, 2, 5 times a power of ten, halves included, so that the scale reads easily."""
    power = 10.0 ** (ceil(log10(ms)) - 1)
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= ms)

"""Where a run spent its time: bars on one scale, from the start of the run to its last act."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synthmon.core.run import Attempt, Record, StepRecord
from synthmon.web.words import duration

WIDTH = 1000.0
"""The bars' own units; pages stretch them."""

PHASES = ("dns", "connect", "tls", "wait", "read")
_TICKS = 5
_MOST_BARS = 60  # polls may look hundreds of times


@dataclass(frozen=True, slots=True)
class Bar:
    """One coloured piece: `kind` is a phase, `ours`, `span` or `trouble`."""

    kind: str
    x: float
    width: float
    told: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step (or one act of the clean-up) and its bars; either `step` or `attempt` says more."""

    name: str
    outcome: str
    took: str
    bars: Sequence[Bar]
    step: StepRecord | None = None
    attempt: Attempt | None = None


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Rows on one scale; `ticks` are (x in percent, text)."""

    rows: Sequence[Row]
    undo: Sequence[Row]
    ticks: Sequence[tuple[float, str]]
    phases: Sequence[str]


def waterfall(record: Record) -> Waterfall:
    """Lay out a run."""
    ends = [attempt.at_ms + attempt.took_ms for attempt in _attempts(record)]
    ends += [step.at_ms + (step.latency_ms or 0) for step in record.steps]
    whole_ms = max([record.took_ms, *ends, 1.0])
    scale = WIDTH / whole_ms
    return Waterfall(
        tuple(_step_row(step, scale) for step in record.steps),
        tuple(_undo_row(attempt, scale) for attempt in record.undo),
        tuple((100 * i / _TICKS, duration(round(whole_ms * i / _TICKS, 1))) for i in range(_TICKS + 1)),
        tuple(kind for kind in (*PHASES, "ours") if any(getattr(a.timing, f"{kind}_ms") for a in _attempts(record))),
    )


def attempt_bars(attempt: Attempt, beside: Sequence[Attempt]) -> Sequence[Bar]:
    """One attempt from its own start, on the scale of the longest of those beside it."""
    longest_ms = max(max(other.took_ms, other.timing.total_ms + other.timing.ours_ms) for other in beside)
    return tuple(_attempt_bars(attempt, WIDTH / max(longest_ms, 0.001), attempt.at_ms))


def _attempts(record: Record) -> Sequence[Attempt]:
    return (*(attempt for step in record.steps for attempt in step.attempts), *record.undo)


def _step_row(step: StepRecord, scale: float) -> Row:
    ends = [attempt.at_ms + attempt.took_ms for attempt in step.attempts]
    span_ms = max([step.at_ms + (step.latency_ms or 0), *ends]) - step.at_ms
    bars = []
    if span_ms > 0:
        bars.append(Bar("span", step.at_ms * scale, _wide(span_ms, scale), f"{step.id}: {duration(span_ms)}"))
    for attempt in step.attempts[-_MOST_BARS:]:
        bars += _attempt_bars(attempt, scale)
    return Row(step.id, step.outcome.value, _took(step, span_ms), tuple(bars), step)


def _took(step: StepRecord, span_ms: float) -> str:
    if step.latency_ms is None:
        return duration(span_ms) if span_ms > 0 else "–"
    if step.latency_low_ms is not None and step.latency_low_ms < step.latency_ms:
        return f"{duration(step.latency_low_ms)} – {duration(step.latency_ms)}"
    return duration(step.latency_ms)


def _undo_row(attempt: Attempt, scale: float) -> Row:
    outcome = "failed" if attempt.reason else "passed"
    bars = tuple(_attempt_bars(attempt, scale))
    return Row(attempt.what, outcome, duration(attempt.took_ms), bars, attempt=attempt)


def _attempt_bars(attempt: Attempt, scale: float, from_ms: float = 0.0) -> Iterator[Bar]:
    at_ms = attempt.at_ms - from_ms
    timing = attempt.timing
    spent = [("ours", timing.ours_ms), *((phase, getattr(timing, f"{phase}_ms")) for phase in PHASES)]
    for kind, ms in spent:
        if ms > 0:
            yield Bar(kind, at_ms * scale, _wide(ms, scale), f"{attempt.what} · {kind} {duration(ms)}")
            at_ms += ms
    rest_ms = attempt.at_ms - from_ms + attempt.took_ms - at_ms
    if attempt.reason:
        told = f"{attempt.what} · {attempt.reason}"
        yield Bar("trouble", at_ms * scale, _wide(max(rest_ms, 0), scale), told)
    elif not any(ms for _, ms in spent):
        yield Bar("wait", at_ms * scale, _wide(rest_ms, scale), f"{attempt.what} · {duration(attempt.took_ms)}")


def _wide(ms: float, scale: float) -> float:
    return round(max(ms * scale, 2.0), 2)

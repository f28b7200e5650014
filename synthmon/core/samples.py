"""Which series of a journey stand at 0 before its first run, and what each record adds to them.

Rules: a counter exists at 0 from the moment its journey is loaded, so that `rate()` sees the first failure; a gauge
that tells of a run (`last_…`, `consecutive_…`) does not exist before there was one. A journey has at most 64 series in
each location: where the latencies of its steps do not fit, they lose their buckets first and then go altogether.
Manual and replayed runs are counted in `runs` and the latencies, never in promises, clauses, failures or alerts; a
replay is no sign that the schedule goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from synthmon.core.families import (
    ALERT_AFTER,
    ALERT_LOCATIONS,
    ATTEMPTS,
    BAD,
    CLAUSES,
    CONSECUTIVE,
    DURATION,
    FAILURES,
    GOOD,
    INFO,
    INTERVAL,
    LAGGED,
    LAST_RUN,
    LAST_SUCCESS,
    LATENCY,
    LATER,
    OBJECTIVE,
    ODD,
    OTHER,
    PAUSED,
    PHASES,
    REASONS,
    RUNS,
    SLO_LATENCY,
    SLOW,
    STEP_FAILURES,
    STEP_LATENCY,
    TLS_EXPIRES,
    Family,
    Form,
)
from synthmon.core.journey import Journey, Slo
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import ODD_ORDER, Attempt, Record
from synthmon.core.sequence.judgement import Verdict
from synthmon.core.slots import longest_interval_s

MOST_SERIES = 64
"""For one journey in one location, the journey's own constants included."""

_PHASE_NAMES = ("dns", "connect", "tls", "wait", "read")
_RAN = frozenset({Outcome.PASSED, Outcome.FLAKY, Outcome.FAILED, Outcome.UNKNOWN})
_GOOD = frozenset({Outcome.PASSED, Outcome.FLAKY})

Labels = tuple[str, ...]
"""Label values in the order of a family's `labels`."""


@dataclass(frozen=True, slots=True)
class Detail:
    """How much is told of each run; what is off exists for no journey."""

    steps: bool = True
    duration: bool = False
    phases: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """A sample that holds as long as its journey is loaded; `labels` are pairs, for INFO names vary."""

    family: Family
    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """A series that stands at 0 before the first run; `buckets` of a histogram, `+Inf` left out."""

    family: Family
    labels: Labels = ()
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Add:
    """A counter (or a gauge that counts) grows."""

    family: Family
    labels: Labels = ()
    by: float = 1


@dataclass(frozen=True, slots=True)
class Put:
    """A gauge has a new value."""

    family: Family
    value: float
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Observe:
    """A histogram saw a value."""

    family: Family
    value: float
    labels: Labels = ()


Update = Add | Put | Observe


def constants(journey: Journey, paused: bool = False) -> tuple[Constant, ...]:
    """What a journey is, as samples."""
    return tuple(_constants(journey, paused))


def starts(journey: Journey, detail: Detail = Detail()) -> tuple[Start, ...]:
    """The series that a journey has at 0 in each of its locations, at most 64 with its constants and its reasons."""
    whole = (*_plain_starts(journey, detail), *_step_starts(journey, detail, STEP_LATENCY.buckets))
    if _cost(whole) + _constant_cost(journey) <= MOST_SERIES:
        return whole
    coarse = (*_plain_starts(journey, detail), *_step_starts(journey, detail, ()))
    if _cost(coarse) + _constant_cost(journey) <= MOST_SERIES:
        return coarse
    return tuple(_plain_starts(journey, detail))


def series(journey: Journey, detail: Detail = Detail()) -> int:
    """How many series a journey can have in one location; past `MOST_SERIES` it has too many steps or blames."""
    return _cost(starts(journey, detail)) + _constant_cost(journey)


def after(record: Record, journey: Journey, detail: Detail = Detail()) -> tuple[Update, ...]:
    """What one record adds; an update of a series that neither started nor is one of `LATER` is to be dropped."""
    return tuple(_after(record, journey, detail))


def _constants(journey: Journey, paused: bool) -> Iterator[Constant]:
    names = {
        "case": journey.case_name,
        "base": journey.base_name if journey.case_name else "",
        "title": journey.title,
        "owner": journey.owner,
        "system": journey.system,
        "severity": journey.alert.severity,
        "runbook": journey.runbook,
        "version": journey.digest[:12],
    }
    own = {_label_name(name): text for name, text in journey.labels.items()}
    yield Constant(INFO, 1, tuple((name, text) for name, text in (own | names).items() if text))
    yield Constant(INTERVAL, longest_interval_s(journey.schedule))
    yield Constant(PAUSED, int(paused))
    yield Constant(ALERT_AFTER, journey.alert.after)
    yield Constant(ALERT_LOCATIONS, journey.alert.locations)
    if journey.slo:
        yield Constant(OBJECTIVE, journey.slo.objective)
        for quantile, limit_s in journey.slo.latency.items():
            yield Constant(SLO_LATENCY, limit_s, (("percentile", quantile),))


def _label_name(text: str) -> str:
    # https://prometheus.io/docs/concepts/data_model: [a-zA-Z_][a-zA-Z0-9_]*, no leading `__`
    name = re.sub(r"[^a-zA-Z0-9_]", "_", text)
    return name if name[:1].isalpha() and name not in ("journey", "location") else f"label_{name.lstrip('_')}"


def _plain_starts(journey: Journey, detail: Detail) -> Iterator[Start]:
    yield from (Start(RUNS, (outcome.value,)) for outcome in Outcome)
    yield Start(FAILURES, (journey.system, "true"))
    yield from (Start(FAILURES, (system, "false")) for system in _blamed(journey))
    yield from (Start(STEP_FAILURES, (name,)) for name in _deciders(journey))
    texts = dict.fromkeys(clause.text for clause in journey.promises.clauses)
    yield from (Start(CLAUSES, (text, verdict.value)) for text in texts for verdict in Verdict)
    if journey.promises.sources:
        yield Start(ODD)
    yield from (Start(family) for family in (GOOD, BAD, LAGGED))
    yield from (Start(SLOW, (quantile,)) for quantile in (journey.slo.latency if journey.slo else ()))
    yield Start(LATENCY, (), LATENCY.buckets)
    if detail.duration:
        yield Start(DURATION, (), DURATION.buckets)
    if detail.phases:
        yield from (Start(PHASES, (phase,)) for phase in _PHASE_NAMES)
        yield from (Start(ATTEMPTS, (answered,)) for answered in ("true", "false"))


def _step_starts(journey: Journey, detail: Detail, buckets: tuple[float, ...]) -> Iterator[Start]:
    if detail.steps:
        yield from (Start(STEP_LATENCY, (step.id,), buckets) for step in journey.flat if step.pause_s is None)


def _blamed(journey: Journey) -> tuple[str, ...]:
    systems = {system: None for step in journey.flat for system, _ in step.blame}
    return tuple(system for system in systems if system != journey.system)


def _deciders(journey: Journey) -> tuple[str, ...]:
    steps = (step.id for step in journey.flat if step.pause_s is None)
    return (*steps, *(("verify",) if _verifies(journey) else ()))


def _verifies(journey: Journey) -> bool:
    return bool(journey.verify or journey.promises.clauses)


def _cost(begun: tuple[Start, ...]) -> int:
    # a histogram is its buckets, +Inf, the sum and the count; reasons and four gauges come with the first runs
    held = sum(len(start.buckets) + 3 if start.family.form is Form.HISTOGRAM else 1 for start in begun)
    return held + sum(family.most or 1 for family in LATER)


def _constant_cost(journey: Journey) -> int:
    return sum(1 for _ in _constants(journey, False))


def _after(record: Record, journey: Journey, detail: Detail) -> Iterator[Update]:
    outcome = record.outcome
    yield Add(RUNS, _OUTCOME_LABELS[outcome], record.slots)
    if record.reason is not Reason.NONE:
        yield Add(REASONS, (outcome.value, record.reason.value), record.slots)
    if outcome not in _RAN:
        return
    at_s = (record.ended or record.started or record.slot).timestamp()
    if record.cause != "replay":
        yield Put(LAST_RUN, at_s)
    if record.cause == "schedule":
        yield from _promises(record, journey, at_s)
        yield from (Add(CLAUSES, (clause.text, clause.verdict)) for clause in record.clauses)
    if any(note.startswith(ODD_ORDER) for note in record.notes):
        yield Add(ODD)
    if record.lagged:
        yield Add(LAGGED)
    elif outcome in _GOOD and record.outcome_ms is not None:
        yield Observe(LATENCY, record.outcome_ms / 1000)
    if detail.duration:
        yield Observe(DURATION, record.took_ms / 1000)
    if (expires_s := _earliest_expiry_s(record)) is not None:
        yield Put(TLS_EXPIRES, expires_s)
    for step in record.steps:
        if detail.steps and step.latency_ms is not None and step.outcome in _GOOD and not step.lagged:
            yield Observe(STEP_LATENCY, step.latency_ms / 1000, (step.id,))
        if detail.phases:
            yield from (update for attempt in step.attempts for update in _of_attempt(attempt))


def _promises(record: Record, journey: Journey, at_s: float) -> Iterator[Update]:
    if record.outcome in _GOOD:
        yield Add(GOOD)
        yield Put(CONSECUTIVE, 0)
        yield Put(LAST_SUCCESS, at_s)
        if journey.slo:
            yield from _slow(record, journey.slo)
    elif record.outcome is Outcome.FAILED:
        booked = record.system or journey.system
        own = booked == journey.system
        yield Add(BAD)
        yield Add(FAILURES, (booked, "true" if own else "false"))
        yield Add(STEP_FAILURES, (record.step or ("verify" if _verifies(journey) else OTHER),))
        yield Add(CONSECUTIVE, by=int(own))  # by 0 it is there, and neither grows nor falls


def _earliest_expiry_s(record: Record) -> float | None:
    """Unix time of the first certificate to expire; to 100 s, for a run does not tell when it looked."""
    left = [
        attempt.timing.tls_expires_in_s
        for step in record.steps
        for attempt in step.attempts
        if attempt.timing.tls_expires_in_s is not None
    ]
    return round((record.started or record.slot).timestamp() + min(left), -2) if left else None


def _slow(record: Record, slo: Slo) -> Iterator[Update]:
    if record.outcome_ms is not None and not record.lagged:
        yield from (Add(SLOW, (name,)) for name, limit_s in slo.latency.items() if record.outcome_ms > limit_s * 1000)


def _of_attempt(attempt: Attempt) -> Iterator[Update]:
    yield Add(ATTEMPTS, ("true" if attempt.timing.first_byte_at_s is not None else "false",))
    timing = attempt.timing
    spent = (timing.dns_ms, timing.connect_ms, timing.tls_ms, timing.wait_ms, timing.read_ms)
    yield from (Add(PHASES, (name,), ms / 1000) for name, ms in zip(_PHASE_NAMES, spent, strict=True) if ms)


_OUTCOME_LABELS = {outcome: (outcome.value,) for outcome in Outcome}

"""One line of time for a run: what synthmon did, and what other systems report that happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synthmon.core.evidence import Evidence
from synthmon.core.run import Record

OWN = "synthmon"


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry. `at_ms` counts from the start of the run, by the clock of whoever told it.

    `source` is `synthmon` for our own acts, else the name of the source of evidence; `decides` are the clauses that
    it decided, each with its verdict. `via` says why a record is this run's: a field, a link, a trace; `also` are other
    sources that tell of the same.
    """

    at_ms: float
    source: str
    who: str
    what: str
    status: str = ""
    attempt: int = 1
    took_ms: float | None = None
    detail: str = ""
    decides: tuple[tuple[str, str], ...] = ()
    via: str = ""
    also: tuple[str, ...] = ()


def timeline(record: Record) -> tuple[Moment, ...]:
    """Everything that is known of a run, in order of time."""
    moments = list(own_moments(record))
    if record.started is not None:
        moments += [told_moment(evidence, record) for evidence in record.evidence]
    return tuple(sorted(moments, key=lambda moment: moment.at_ms))


def own_moments(record: Record) -> Iterator[Moment]:
    """What we did: steps, then clean-up."""
    yield from (
        Moment(a.at_ms, OWN, step.id, a.what, str(a.reason), took_ms=a.took_ms or None, detail=a.detail)
        for step in record.steps
        for a in step.attempts
    )
    yield from (
        Moment(a.at_ms, OWN, "clean-up", a.what, str(a.reason), took_ms=a.took_ms, detail=a.detail) for a in record.undo
    )


def told_moment(evidence: Evidence, record: Record) -> Moment:
    """One record of evidence of a run that began."""
    begin_ns = round(record.started.timestamp() * 1e9) if record.started is not None else evidence.at_ns
    decides = tuple(
        (clause.text, clause.verdict) for clause in record.clauses if evidence.happening in clause.decided_by
    )
    return Moment(
        at_ms=(evidence.at_ns - begin_ns) / 1e6,
        source=evidence.source,
        who=evidence.clock,
        what=f"holds {evidence.attrs.get('count', '?')}" if evidence.is_count else evidence.step,
        status=evidence.status,
        attempt=evidence.attempt,
        took_ms=evidence.duration_ms,
        detail=evidence.dependency,
        decides=decides,
        via=evidence.matched_by,
    )

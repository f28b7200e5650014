"""One run against good ones: what came in another order, what is missing, extra, repeated or slow, and what was first.

Where the time went is told by the records: between the end of what came before and a begin lies waiting, between begin
and end lies work, and what was tried again lost its earlier attempts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median

from synthmon.core.evidence import Evidence
from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import Form, Predicate, Sequenced, holding, usual
from synthmon.core.finding.shown import Shown
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import TRUSTED, Clocks

RARE_BELOW = 0.2  # a difference is what fewer of the good runs show


class Turn(StrEnum):
    """How a run can differ."""

    ORDER = "order"
    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    RETRY = "retry"
    SLOW = "slow"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which the run is unlike the good ones. `names` are two of an order (the first came first), else one.

    `at_ms` counts from the start of the run to when it showed; `good_with` of `good` runs show it too, of those that
    could tell.
    """

    turn: Turn
    names: tuple[str, ...]
    said: str
    at_ms: float
    good_with: int
    good: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of one name went, in milliseconds: waiting since what came before it ended, its own work, and
    attempts that were in vain. `usual_…` are medians of the good runs; None where nobody can tell."""

    name: str
    wait_ms: float | None
    work_ms: float | None
    retry_ms: float
    usual_wait_ms: float | None
    usual_work_ms: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What makes a run different from `good` others, in order of time: the first is where it diverged."""

    run_id: str
    good: int
    differences: tuple[Difference, ...]
    spent: tuple[Spent, ...]

    @property
    def first(self) -> Difference | None:
        """The first divergence."""
        return self.differences[0] if self.differences else None


def compare(record: Record, good: Sequence[Record], clocks: Clocks = TRUSTED) -> Comparison:
    """A run against good runs (of the same journey), of which at least one is needed for anything to differ."""
    run, others = happened(record), [happened(other) for other in good]
    found = sorted(_differences(record, run, others, good, clocks), key=lambda one: (one.at_ms, one.turn, one.names))
    return Comparison(record.run_id, len(good), tuple(found), _spent(record, good, others) if good else ())


def _differences(
    record: Record, run: Sequenced, others: Sequence[Sequenced], good: Sequence[Record], clocks: Clocks
) -> list[Difference]:
    if not others:
        return []
    expected = usual(others)
    usually = Shown(others, expected, clocks)
    found = []
    for predicate in holding(run, expected, clocks):
        told, with_it = usually.told(predicate), usually.held[predicate]
        if with_it < RARE_BELOW * told:
            found.append(
                Difference(
                    _TURNS[predicate.form],
                    predicate.names,
                    predicate.said,
                    _shown_ms(record, predicate, run, others),
                    with_it,
                    told,
                )
            )
    for name in run:
        with_it = sum(name in other for other in others)
        if with_it < RARE_BELOW * len(others):
            said = f"{name} happened, and usually does not"
            at_ms = _since_ms(record, run[name].first)
            found.append(Difference(Turn.EXTRA, (name,), said, at_ms, with_it, len(others)))
    return [*found, *_statuses(record, run, others, good)]


def _statuses(record: Record, run: Sequenced, others: Sequence[Sequenced], good: Sequence[Record]) -> list[Difference]:
    """What somebody said of a name that good runs do not hear said of it: `error`, `skipped`."""
    usually = [_said(other) for other in good]
    found = []
    for (name, status), evidence in _said(record).items():
        if name not in run or run[name].attempts > 1:
            continue  # that it was tried again is told already
        told = [said for said, other in zip(usually, others, strict=True) if name in other]
        with_it = sum((name, status) in said for said in told)
        if told and with_it < RARE_BELOW * len(told):
            said = f"{name} ended as {status}"
            found.append(Difference(Turn.STATUS, (name,), said, _since_ms(record, evidence), with_it, len(told)))
    return found


def _said(record: Record) -> Mapping[tuple[str, str], Evidence]:
    """(name, status) → the first record that says so."""
    found: dict[tuple[str, str], Evidence] = {}
    for evidence in record.evidence:
        if evidence.step and evidence.status:
            found.setdefault((evidence.step, evidence.status), evidence)
    return found


_TURNS = {
    Form.BEFORE: Turn.ORDER,
    Form.RETRY: Turn.RETRY,
    Form.DUPLICATE: Turn.DUPLICATE,
    Form.SLOW: Turn.SLOW,
    Form.MISSING: Turn.MISSING,
}


def _shown_ms(record: Record, predicate: Predicate, run: Sequenced, others: Sequence[Sequenced]) -> float:
    """When a difference showed: with the first of two, with the record itself; what is missing when it was due."""
    present = [run[name].first for name in predicate.names if name in run]
    if present:
        return _since_ms(record, present[0])
    before = _before(predicate.names[0], others)
    due = [run[name].first for name in before if name in run]
    missing = len(before - run.keys())  # of several that are missing, the one that good runs have first comes first
    return max((_since_ms(record, one) for one in due), default=0.0) + 0.001 * (1 + missing)


def _before(name: str, others: Sequence[Sequenced]) -> frozenset[str]:
    """What comes before a name in the first good run that has it."""
    for other in others:
        names = list(other)
        if name in other:
            return frozenset(names[: names.index(name)])
    return frozenset()


def _spent(record: Record, good: Sequence[Record], others: Sequence[Sequenced]) -> tuple[Spent, ...]:
    before = _usually_before(others)
    times = _times(record, before)
    usually: dict[str, list[tuple[float | None, float | None, float]]] = {}
    for other in good:
        for name, spent in _times(other, before).items():
            usually.setdefault(name, []).append(spent)
    return tuple(
        Spent(
            name,
            wait_ms,
            work_ms,
            retry_ms,
            _median([wait for wait, _, _ in usually.get(name, ())]),
            _median([work for _, work, _ in usually.get(name, ())]),
        )
        for name, (wait_ms, work_ms, retry_ms) in times.items()
    )


def _usually_before(others: Sequence[Sequenced]) -> Mapping[str, str]:
    """Name → what comes right before it in most good runs."""
    count: dict[str, Counter[str]] = {}
    for other in others:
        for before, name in pairwise(other):
            count.setdefault(name, Counter())[before] += 1
    return {name: max(found, key=lambda one: (found[one], one)) for name, found in count.items()}


def _times(record: Record, before: Mapping[str, str]) -> Mapping[str, tuple[float | None, float | None, float]]:
    """Name → (wait, work, in vain), in order of time. The wait counts from the end of what caused it; where no record
    names a cause, of what comes right `before` it in good runs, by their clocks as they are."""
    found: dict[str, tuple[float | None, float | None, float]] = {}
    run = happened(record)
    by_id = {name: evidence for evidence in record.evidence for name in (evidence.id, evidence.span_id) if name}
    attempts: dict[tuple[str, str], list[Evidence]] = {}
    for evidence in record.evidence:
        attempts.setdefault((evidence.step, evidence.identity), []).append(evidence)
    for name, happening in run.items():
        last = happening.first
        tries = sorted(attempts[name, last.identity], key=lambda one: one.at_ns)
        began_ns = last.start_ns or None
        causes = [by_id[cause] for cause in tries[0].causes if cause in by_id]
        if not causes and before.get(name) in run:
            causes = [run[before[name]].first]
        first_began_ns = tries[0].start_ns or tries[0].at_ns
        wait_ms = (first_began_ns - max(cause.at_ns for cause in causes)) / 1e6 if causes else None
        retry_ms = (began_ns - first_began_ns) / 1e6 if began_ns is not None and len(tries) > 1 else 0.0
        found[name] = (wait_ms, happening.took_ms, max(0.0, retry_ms))
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _since_ms(record: Record, evidence: Evidence) -> float:
    begin_ns = round(record.started.timestamp() * 1e9) if record.started is not None else evidence.at_ns
    return (evidence.at_ns - begin_ns) / 1e6

"""The faults of what other systems report: each named event lost, late or there twice, two that change places; and a
count that grew, or that nobody can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from synthmon.core.evidence import Evidence
from synthmon.core.journey import Journey
from synthmon.core.proof.faults import COUNT, Fault, Finding, Good, Injection, Trial
from synthmon.core.sequence.clauses import Word


def of_events(journey: Journey, good: Good) -> Iterator[Trial]:
    """Every named event that happened in the good run, and every two of them that came one right after the other, or
    whose order is promised."""
    skews = {source.name: source.skew_s for source in journey.promises.sources}
    happened: list[tuple[Evidence, str]] = []
    reported: set[str] = set()
    for event in journey.promises.events:
        records = [record for record in good.evidence if event.matches(record)]
        if not records:
            continue
        at = f"{event.source}/{event.name}"
        for fault in (Fault.DROP, Fault.DELAY, Fault.DUPLICATE):
            yield Trial(Injection(at, fault))
        if event.source not in reported:
            reported.add(event.source)
            yield Trial(Injection(at, Fault.ERROR))
        if len(records) == 1:
            happened.append((records[0], event.name))
    happened.sort(key=lambda one: (one[0].source, one[0].at_ns, one[0].seq))
    by_name = {name: record for record, name in happened}
    for first, second in dict.fromkeys([*pairwise(by_name), *_promised(journey, by_name)]):
        before, after = by_name[first], by_name[second]
        if before.source == after.source:
            yield _of_pair(f"{before.source}/{first}", second, after.at_ns - before.at_ns, skews[before.source])


def of_counts(journey: Journey, good: Good) -> Iterator[Trial]:
    """Every place that has to be empty and was counted: one more waits there, and it cannot be counted."""
    counted = {record.source for record in good.evidence if record.is_count}
    promised = (clause.events[0] for clause in journey.promises.clauses if clause.word is Word.EMPTY)
    for source in dict.fromkeys(promised):
        if source in counted:
            yield Trial(Injection(f"{source}/{COUNT}", Fault.BODY))
            yield Trial(Injection(f"{source}/{COUNT}", Fault.ERROR))


def _promised(journey: Journey, by_name: Mapping[str, Evidence]) -> Iterator[tuple[str, str]]:
    """The pairs of `before` and `order`, as they came. `by_name` is in the order in which they came."""
    place = {name: i for i, name in enumerate(by_name)}
    for clause in journey.promises.clauses:
        if clause.word is Word.BEFORE and all(name in place for name in clause.events):
            first, second = sorted(clause.events, key=place.__getitem__)
            yield first, second


def _of_pair(at: str, second: str, apart_ns: int, skew_s: float) -> Trial:
    injection = Injection(at, Fault.REORDER, other=second)
    if apart_ns > skew_s * 1e9:
        return Trial(injection)
    return Trial(injection, Finding.EQUIVALENT, "they are closer than their clocks can tell", by_rule=True)

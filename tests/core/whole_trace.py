"""A naive judge of clauses, who sees the whole trace of a run at once and knows the definitions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synthmon.core.errors import Place
from synthmon.core.evidence import Evidence
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Order
from synthmon.core.sequence.judgement import Verdict

PLACE = Place("probe.yaml", 1, 1)
NAMES, SOURCES = ("a", "b", "c", "d"), ("logs", "spans", "queue")
EVENTS = (
    *(EventSpec(name, SOURCES[i % 2], {"step": name}) for i, name in enumerate(NAMES)),
    EventSpec("bad", "logs", {"status": "bad"}),  # some of a, some of c
)
SOURCE_OF = {spec.name: spec.source for spec in EVENTS} | {"queue": "queue"}
CLOCK_OF = {"a": "x", "b": "y", "c": "x", "d": "z"}
END_NS = 100


@dataclass(frozen=True)
class Trouble:
    """From when on a source is blind, and until when; without an end nothing that it did not tell is ever told."""

    source: str
    since_ns: int
    until_ns: int | None


@dataclass(frozen=True)
class Trace:
    """What happened in one run; times are small numbers of nanoseconds, so that they collide often."""

    records: tuple[Evidence, ...]
    sent: Mapping[str, int]
    clocks: Clocks = TRUSTED
    troubles: tuple[Trouble, ...] = ()


def _happened(name: str, trace: Trace) -> list[Evidence]:
    """What bears a name, in order of time: of each happening the earliest attempt."""
    earliest: dict[tuple[str, str], Evidence] = {}
    for one in trace.records:
        if one.step == name or (name == "bad" and one.source == "logs" and one.status == "bad"):
            known = earliest.setdefault((one.step, one.id), one)
            if (one.at_ns, one.seq) < (known.at_ns, known.seq):
                earliest[one.step, one.id] = one
    return sorted(earliest.values(), key=lambda one: (one.at_ns, one.seq))


def oracle(clause: Clause, trace: Trace) -> Verdict:
    """The verdict by the definitions, from the whole trace; the run began at 0, and every source told everything."""
    alive = {one.source for one in trace.records}
    limit = END_NS
    if clause.within_s is not None and clause.word is not Word.FOLLOWS:
        if clause.after and clause.after not in trace.sent:
            return Verdict.UNKNOWN
        limit = trace.sent.get(clause.after, 0) + round(clause.within_s * 1e9)
    first, second = (
        [one for one in _happened(name, trace) if one.at_ns <= limit] for name in (clause.events[0], clause.events[-1])
    )
    told = all(SOURCE_OF[name] in alive for name in clause.events)
    match clause.word:
        case Word.HAPPENS:
            return Verdict.PASS if first else Verdict.FAIL
        case Word.ONCE:
            return Verdict.PASS if len(first) == 1 else Verdict.FAIL
        case Word.NEVER | Word.AT_MOST:
            most = clause.limit if clause.word is Word.AT_MOST else 0
            return Verdict.FAIL if len(first) > most else Verdict.PASS if told else Verdict.UNKNOWN
        case Word.NOT_BOTH:
            return Verdict.FAIL if first and second else Verdict.PASS if told else Verdict.UNKNOWN
        case Word.BEFORE:
            if first and second:
                order = trace.clocks.order
                if any(all(order(a, b) is Order.BEFORE for b in second) for a in first):
                    return Verdict.PASS
                known_late = any(all(order(a, b) is Order.AFTER for a in first) for b in second)
                return Verdict.FAIL if known_late else Verdict.UNKNOWN
            return _of(bool(first))
        case Word.FOLLOWS:
            lasting = END_NS if clause.within_s is None else round(clause.within_s * 1e9)
            served = [
                any(
                    answer.at_ns <= min(cause.at_ns + lasting, END_NS)
                    and trace.clocks.order(answer, cause) is not Order.BEFORE
                    for answer in _happened(clause.events[1], trace)
                )
                for cause in first
            ]
            return _of(bool(first) and all(served))
        case Word.EMPTY:
            if not first:
                return Verdict.UNKNOWN
            before, now = (int(one.attrs["count"]) for one in (first[0], first[-1]))
            if now == 0 or now <= before:
                return Verdict.PASS
            return Verdict.FAIL if clause.limit else Verdict.UNKNOWN


def _of(held: bool) -> Verdict:
    return Verdict.PASS if held else Verdict.FAIL


def is_right(verdict: Verdict, clause: Clause, trace: Trace) -> bool:
    """Whether it is what the oracle says. Where a source was blind to the end, nobody may know; and where nobody can
    tell the order of the first two by their clocks, one that names the other as its cause may have told it before."""
    truth = oracle(clause, trace)
    lost = {trouble.source for trouble in trace.troubles if trouble.until_ns is None}
    if verdict is Verdict.UNKNOWN and any(SOURCE_OF[name] in lost for name in clause.events):
        return True
    if truth is Verdict.UNKNOWN and clause.word is Word.BEFORE and any(one.causes for one in trace.records):
        return True
    return verdict is truth

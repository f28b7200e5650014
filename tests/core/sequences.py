"""A naive judge of clauses that sees the whole trace at once, and traces: `python -m tests.core.sequences`.

Prints how many clauses were judged, how many differ, how many were decided early, and what an event costs.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from synthmon.core.clauses import Clause, EventSpec, Word
from synthmon.core.clocks import TRUSTED, Clocks
from synthmon.core.errors import Place
from synthmon.core.evidence import Evidence, Watermark
from synthmon.core.sequence import Judgement, Monitor, Verdict

PLACE = Place("probe.yaml", 1, 1)
NAMES, SOURCES = ("a", "b", "c", "d"), ("logs", "spans")
EVENTS = tuple(EventSpec(name, SOURCES[i % 2], {"step": name}) for i, name in enumerate(NAMES))
SOURCE_OF = {spec.name: spec.source for spec in EVENTS}
END_NS = 100


@dataclass(frozen=True)
class Trace:
    """What happened in one run; times are small numbers of nanoseconds, so that they collide often."""

    records: tuple[Evidence, ...]
    sent: Mapping[str, int]


times = st.integers(0, 130)
record = st.builds(
    lambda name, at, id, attempt, seq: Evidence(SOURCE_OF[name], name, at, id=id, attempt=attempt, seq=seq),
    st.sampled_from(NAMES),
    times,
    st.sampled_from("1234"),
    st.integers(1, 2),
    st.integers(0, 1),
)
traces = st.builds(
    Trace,
    st.lists(record, max_size=9).map(tuple),
    st.dictionaries(st.sampled_from(("s", "t")), st.integers(0, 60), max_size=2),
)
_within = st.one_of(st.none(), st.integers(0, 60).map(lambda n: n / 1e9))


def _clause(word: Word, events: Sequence[str], limit: int, within: float | None, after: str) -> Clause:
    return Clause(word, tuple(events), PLACE, limit=limit, within_s=within, after=after if within is not None else "")


_one = st.lists(st.sampled_from(NAMES), min_size=1, max_size=1)
_two = st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True)
_afters = st.sampled_from(("", "s", "t"))
clauses = st.one_of(
    st.builds(_clause, st.sampled_from((Word.HAPPENS, Word.NEVER, Word.ONCE)), _one, st.just(0), _within, _afters),
    st.builds(_clause, st.just(Word.AT_MOST), _one, st.integers(0, 3), _within, _afters),
    st.builds(_clause, st.sampled_from((Word.BEFORE, Word.NOT_BOTH)), _two, st.just(0), _within, _afters),
    st.builds(_clause, st.just(Word.FOLLOWS), _two, st.just(0), _within, st.just("")),
)


def oracle(clause: Clause, trace: Trace) -> Verdict:
    """The verdict by the definitions, from the whole trace; the run began at 0, every clock is right."""
    happened: dict[str, list[tuple[int, int]]] = {name: [] for name in NAMES}
    earliest: dict[tuple[str, str], tuple[int, int]] = {}
    for one in trace.records:
        key = (one.step, one.id)
        earliest[key] = min((one.at_ns, one.seq), earliest.get(key, (1000, 0)))
    for (name, _), when in earliest.items():
        happened[name].append(when)
    for found in happened.values():
        found.sort()
    alive = {one.source for one in trace.records}
    limit = END_NS
    if clause.within_s is not None and clause.word is not Word.FOLLOWS:
        if clause.after and clause.after not in trace.sent:
            return Verdict.UNKNOWN
        limit = trace.sent.get(clause.after, 0) + round(clause.within_s * 1e9)
    first = [when for when in happened[clause.events[0]] if when[0] <= limit]
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
            second = [when for when in happened[clause.events[1]] if when[0] <= limit]
            return Verdict.FAIL if first and second else Verdict.PASS if told else Verdict.UNKNOWN
        case Word.BEFORE:
            second = [when for when in happened[clause.events[1]] if when[0] <= limit]
            if first and second:
                return Verdict.UNKNOWN if first[0] == second[0] else _of(first[0] < second[0])
            return _of(bool(first))
        case Word.FOLLOWS:
            answers = happened[clause.events[1]]
            lasting = END_NS if clause.within_s is None else round(clause.within_s * 1e9)
            served = [
                any(cause <= answer and answer[0] <= min(cause[0] + lasting, END_NS) for answer in answers)
                for cause in first
            ]
            return _of(bool(first) and all(served))


def _of(held: bool) -> Verdict:
    return Verdict.PASS if held else Verdict.FAIL


def judge(
    judged: Sequence[Clause], trace: Trace, chance: random.Random, clocks: Clocks = TRUSTED
) -> tuple[dict[int, Judgement], int]:
    """What the monitor says when the records come in some order that the watermarks allow, and how many verdicts came
    before the end. Fails if a verdict is ever given twice."""
    monitor = Monitor(EVENTS, judged, 0, clocks)
    told: list[Judgement] = []
    left = sorted(trace.records, key=lambda one: (one.at_ns + chance.randint(0, 30), chance.random()))
    sent = dict(trace.sent)
    ended, early = False, 0
    for now in range(0, 400, 5):
        for step, at in [(step, at) for step, at in sent.items() if at <= now]:
            told += monitor.sent(step, at)
            del sent[step]
        while left and left[0].at_ns <= now and chance.random() < 0.8:
            told += monitor.feed(left.pop(0))
        for source in SOURCES:
            waiting = [one.at_ns for one in left if one.source == source]
            mark = min([now, *(at - 1 for at in waiting)])
            told += monitor.feed(Watermark(source, mark))
        if now >= 70 and not ended:
            ended, early = True, len(told)
            told += monitor.end(END_NS)
    assert not left
    told += monitor.close("it is over")
    found = {id(one.clause): one for one in told}
    assert len(found) == len(told) == len(judged)
    return {i: found[id(clause)] for i, clause in enumerate(judged)}, early


def copies(judged: Sequence[Clause]) -> list[Clause]:
    """Equal clauses as different objects."""
    return [replace(clause) for clause in judged]


def main() -> None:
    """Judge as many clauses as asked for and print the figures."""
    from hypothesis import HealthCheck, given, settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clauses", type=int, default=100_000)
    wanted = parser.parse_args().clauses
    count = differ = early = 0

    @settings(max_examples=max(wanted // 20, 1), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
    def compare(some: list[Clause], trace: Trace, seed: int) -> None:
        nonlocal count, differ, early
        judged = copies(some)
        found, before = judge(judged, trace, random.Random(seed))
        count, early = count + len(judged), early + before
        differ += sum(found[i].verdict is not oracle(clause, trace) for i, clause in enumerate(judged))

    compare()
    print(f"{count} clauses: {differ} differ from the oracle, 0 revised, {early / count:.1%} decided before the end")
    print(f"{cost_us():.1f} us an event, with 10 clauses and 5000 events")


def cost_us(events: int = 5000) -> float:
    """Microseconds for one event of a long run."""
    some = [
        *(_clause(word, ["a"], 5000, None, "") for word in (Word.HAPPENS, Word.AT_MOST)),
        *(_clause(Word.BEFORE, pair, 0, None, "") for pair in (["a", "b"], ["c", "d"], ["b", "c"], ["a", "d"])),
        *(_clause(Word.AT_MOST, [name], 5000, None, "") for name in NAMES),
    ]
    monitor = Monitor(EVENTS, some, 0)
    began = time.perf_counter()
    for n in range(events):
        name = NAMES[n % 4]
        monitor.feed(Evidence(SOURCE_OF[name], name, n, id=str(n)))
    return (time.perf_counter() - began) / events * 1e6


if __name__ == "__main__":
    main()

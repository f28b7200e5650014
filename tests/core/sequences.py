"""Traces, and what the monitor makes of them as they come in: `python -m tests.core.sequences`.

Prints how many clauses were judged, how many differ, how many were decided early, and what an event costs.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from synthmon.core.evidence import COUNTED, Blind, Evidence, Watermark
from synthmon.core.outcomes import Reason
from synthmon.core.sequence.clauses import Clause, Word
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Order
from synthmon.core.sequence.judgement import Judgement
from synthmon.core.sequence.monitor import Monitor
from tests.core.whole_trace import CLOCK_OF, END_NS, EVENTS, NAMES, PLACE, SOURCE_OF, SOURCES, Trace, Trouble, is_right


def _clock(name: str, id: str) -> str:
    """One event may be told by several machines, one happening of it by one."""
    return {"3": "x", "4": "y"}.get(id, CLOCK_OF[name])


times = st.one_of(st.integers(0, 130), st.integers(40, 43))  # many at once, on several clocks
record = st.builds(
    lambda name, at, id, attempt, seq, status, causes: Evidence(
        SOURCE_OF[name], name, at, status, id=id, attempt=attempt, seq=seq, clock=_clock(name, id), causes=causes
    ),
    st.sampled_from(NAMES),
    times,
    st.sampled_from("1234"),
    st.integers(1, 2),
    st.integers(0, 1),
    st.sampled_from(("ok", "ok", "bad")),
    st.sampled_from(((), (), (), (), ("1",), ("2", "3"))),
)
count = st.builds(
    lambda at, seq, waiting: Evidence(
        "queue", "queue", at, seq=seq, id=f"{at}.{seq}", attrs={"count": str(waiting)}, matched_by=COUNTED
    ),
    st.integers(0, END_NS),
    st.integers(0, 1),
    st.integers(0, 2),
)
_pairs = (("x", "y"), ("y", "z"), ("x", "z"))


def _off(off: tuple[int, ...], widths: tuple[int, ...], skew_ns: int) -> Clocks:
    """Clocks that are off by so much, known to so much."""
    apart = {pair: by + width for pair, by, width in zip(_pairs, off, widths, strict=True)}
    apart |= {(b, a): width - by for (a, b), by, width in zip(_pairs, off, widths, strict=True)}
    return Clocks(apart, skew_ns)


_three = st.tuples(*[st.integers(0, 15)] * 3)
clocks = st.one_of(
    st.just(TRUSTED),
    st.builds(Clocks, st.just({}), st.integers(1, 30)),
    st.builds(_off, st.tuples(*[st.integers(-20, 20)] * 3), _three, st.integers(0, 10)),
)
troubles = st.lists(
    st.builds(
        Trouble,
        st.sampled_from(SOURCES),
        st.integers(0, 150),
        st.one_of(st.none(), st.integers(20, 200)),
    ),
    max_size=2,
    unique_by=lambda trouble: trouble.source,
).map(tuple)


def _plausible(records: tuple[Evidence, ...], clocks: Clocks) -> tuple[Evidence, ...]:
    """Without what names a cause that, by the clocks, came after it."""
    shown = [replace(one, causes=()) for one in records]
    return tuple(
        bare if any(other.id in one.causes and clocks.order(other, bare) is Order.AFTER for other in shown) else one
        for one, bare in zip(records, shown, strict=True)
    )


traces = st.builds(
    lambda records, counts, sent, clocks, troubles: Trace(
        (*_plausible(tuple(records), clocks), *counts), sent, clocks, troubles
    ),
    # Of two attempts of one happening one is the earlier.
    st.lists(record, max_size=9, unique_by=lambda one: (one.step, one.id, one.at_ns, one.seq)),
    st.lists(count, max_size=3, unique_by=lambda one: one.id),
    st.dictionaries(st.sampled_from(("s", "t")), st.integers(0, 60), max_size=2),
    clocks,
    st.one_of(st.just(()), troubles),
)
_within = st.one_of(st.none(), st.integers(0, 60).map(lambda n: n / 1e9))


def _clause(word: Word, events: Sequence[str], limit: int, within: float | None, after: str) -> Clause:
    return Clause(word, tuple(events), PLACE, limit=limit, within_s=within, after=after if within is not None else "")


_names = st.sampled_from((*NAMES, *NAMES, "bad"))
_one = st.lists(_names, min_size=1, max_size=1)
_two = st.lists(_names, min_size=2, max_size=2, unique=True)
_afters = st.sampled_from(("", "s", "t"))
clauses = st.one_of(
    st.builds(_clause, st.sampled_from((Word.HAPPENS, Word.NEVER, Word.ONCE)), _one, st.just(0), _within, _afters),
    st.builds(_clause, st.just(Word.AT_MOST), _one, st.integers(0, 3), _within, _afters),
    st.builds(_clause, st.sampled_from((Word.BEFORE, Word.NOT_BOTH)), _two, st.just(0), _within, _afters),
    st.builds(_clause, st.just(Word.FOLLOWS), _two, st.just(0), _within, st.just("")),
    st.builds(_clause, st.just(Word.EMPTY), st.just(["queue"]), st.integers(0, 1), st.none(), st.just("")),
)


def judge(judged: Sequence[Clause], trace: Trace, chance: random.Random) -> tuple[dict[int, Judgement], int]:
    """What the monitor says when the records come in some order that the watermarks allow, and how many verdicts came
    before the end; some clauses are dropped on the way. Fails if a verdict is ever given twice."""
    monitor = Monitor(EVENTS, judged, 0, trace.clocks)
    told: list[Judgement] = []
    left = sorted(trace.records, key=lambda one: (one.at_ns + chance.randint(0, 30), chance.random()))
    sent = dict(trace.sent)
    meant = [clause for clause in judged if chance.random() < 0.95]
    ended, early = False, 0
    for now in range(0, 400, 5):
        for step, at in [(step, at) for step, at in sent.items() if at <= now]:
            told += monitor.sent(step, at)
            del sent[step]
        blind = {t.source for t in trace.troubles if t.since_ns <= now and (t.until_ns is None or now < t.until_ns)}
        for source in sorted(blind):
            told += monitor.feed(Blind(source, Reason.CONNECTION, "it is down"))
        while left and left[0].at_ns <= now and chance.random() < 0.8:
            one = left.pop(0)
            if one.source not in blind or chance.random() < 0.3:
                told += monitor.feed(one)
            elif any(t.source == one.source and t.until_ns is not None for t in trace.troubles):
                left.append(one)  # it is told when the source sees again
        for source in (source for source in SOURCES if source not in blind):
            waiting = [one.at_ns for one in left if one.source == source]
            told += monitor.feed(Watermark(source, min([now, *(at - 1 for at in waiting)])))
        if now >= 70 and not ended:
            ended, early = True, len(told)
            monitor.drop(clause for clause in judged if not any(clause is one for one in meant))
            told += monitor.end(END_NS)
    assert not left
    told += monitor.close("it is over")
    found = {id(one.clause): one for one in told}
    assert len(found) == len(told)
    assert {id(clause) for clause in meant} <= found.keys()
    return {i: found[id(clause)] for i, clause in enumerate(judged) if id(clause) in found}, early


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

    @settings(max_examples=max(wanted // 18, 1), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
    def compare(some: list[Clause], trace: Trace, seed: int) -> None:
        nonlocal count, differ, early
        judged = copies(some)
        found, before = judge(judged, trace, random.Random(seed))
        count, early = count + len(found), early + before
        differ += sum(not is_right(one.verdict, judged[i], trace) for i, one in found.items())

    compare()
    print(f"{count} clauses: {differ} differ from the oracle, 0 revised, {early / count:.1%} decided before the end")
    cheap, dear = cost_us(orders_and_counts(), 5000), cost_us(answers(), 5000, marks_every=10)
    print(f"{cheap:.1f} us of CPU an event, with 10 clauses and 5000 events")
    print(f"{dear:.1f} us of CPU an event, with 10 clauses of which each asks for an answer to every event")


def cost_us(judged: Sequence[Clause], events: int, marks_every: int = 0) -> float:
    """Microseconds of CPU for one event of a long run, in which both sources tell every so often how far they are."""
    monitor = Monitor(EVENTS, judged, 0)
    records = [Evidence(SOURCE_OF[name], name, n, id=str(n)) for n in range(events) for name in (NAMES[n % 4],)]
    began_s = time.process_time()
    for n, one in enumerate(records, 1):
        monitor.feed(one)
        if marks_every and n % marks_every == 0:
            monitor.feed(Watermark("logs", one.at_ns))
            monitor.feed(Watermark("spans", one.at_ns))
    return (time.process_time() - began_s) / events * 1e6


def orders_and_counts() -> list[Clause]:
    """Ten clauses that a long run leaves open."""
    return [
        *(_clause(word, ["a"], 5000, None, "") for word in (Word.HAPPENS, Word.AT_MOST)),
        *(_clause(Word.BEFORE, pair, 0, None, "") for pair in (["a", "b"], ["c", "d"], ["b", "c"], ["a", "d"])),
        *(_clause(Word.AT_MOST, [name], 5000, None, "") for name in NAMES),
    ]


def answers() -> list[Clause]:
    """Ten clauses that each ask of every cause whether an answer came in time."""
    pairs = [["a", "b"], ["c", "d"], ["b", "c"], ["d", "a"], ["a", "d"]]
    return [_clause(Word.FOLLOWS, pair, 0, within_ns / 1e9, "") for pair in pairs for within_ns in (4, 400)]


if __name__ == "__main__":
    main()

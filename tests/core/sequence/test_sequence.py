"""The monitor of clauses against a judge that sees everything, and the sentences that it says."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthmon.core.evidence import Blind, Evidence, Watermark
from synthmon.core.outcomes import Reason
from synthmon.core.sequence.clauses import Clause, Word
from synthmon.core.sequence.clocks import Clocks, Order, edges, learn
from synthmon.core.sequence.judgement import Judgement, Verdict
from synthmon.core.sequence.monitor import Monitor
from synthmon.core.sequence.sightings import Sightings
from tests.core.sequences import clauses, copies, judge, traces
from tests.core.whole_trace import EVENTS, PLACE, Trace, is_right, oracle


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
def test_in_whatever_order_records_come_the_verdict_is_that_of_a_judge_who_sees_all(
    some: list[Clause], trace: Trace, seed: int
) -> None:
    judged = copies(some)

    found, _ = judge(judged, trace, random.Random(seed))

    for i, one in found.items():
        assert is_right(one.verdict, judged[i], trace), (one, oracle(judged[i], trace), trace)


@pytest.mark.torture
def test_a_hundred_thousand_clauses_agree_with_the_oracle() -> None:
    @settings(max_examples=5600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
    def compare(some: list[Clause], trace: Trace, seed: int) -> None:
        judged = copies(some)
        found, _ = judge(judged, trace, random.Random(seed))
        assert all(is_right(one.verdict, judged[i], trace) for i, one in found.items())

    compare()


def monitor(*judged: Clause, clocks: Clocks | None = None) -> Monitor:
    return Monitor(EVENTS, judged, 0, clocks or Clocks())


def clause(word: Word, *events: str, limit: int = 0, within_s: float | None = None, after: str = "") -> Clause:
    return Clause(word, events, PLACE, limit=limit, within_s=within_s, after=after)


def seen(step: str, at_s: float, id: str = "", clock: str = "", causes: tuple[str, ...] = ()) -> Evidence:
    source = next(spec.source for spec in EVENTS if spec.name == step)
    return Evidence(source, step, int(at_s * 1e9), id=id or f"{step}{at_s}", clock=clock, causes=causes)


def told(at_s: float) -> list[Watermark]:
    return [Watermark(source, int(at_s * 1e9)) for source in ("logs", "spans")]


def only(found: Monitor) -> Judgement:
    (judgement,) = found.judgements
    return judgement


def test_an_order_is_not_judged_before_both_sources_have_told_so_far() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"))

    watch.feed(seen("b", 2.0))
    assert watch.judgements == []
    watch.feed(seen("a", 1.0))
    assert watch.judgements == []  # an earlier b may still come
    for mark in told(1.0):
        watch.feed(mark)

    assert only(watch).verdict is Verdict.PASS


def test_a_wrong_order_is_said_with_both_instants() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"))

    for report in (seen("a", 2.0, clock="ledger"), seen("b", 1.5, clock="mailer"), *told(3.0)):
        watch.feed(report)

    assert only(watch).verdict is Verdict.FAIL
    assert only(watch).said == "b at +1.500s (mailer) came before a at +2.000s (ledger)"


def test_a_source_that_is_blind_leaves_the_clause_unknown_and_not_failed() -> None:
    watch = monitor(clause(Word.HAPPENS, "a"))

    watch.feed(Blind("logs", Reason.CONNECTION, "Loki is down"))
    watch.end(10**9)
    watch.close("the time is over")

    assert only(watch).verdict is Verdict.UNKNOWN
    assert "Loki is down" in only(watch).said


def test_a_source_that_sees_again_and_had_told_everything_before_is_believed_at_once() -> None:
    watch = monitor(clause(Word.NEVER, "a"))

    for report in (seen("c", 0.5), *told(2.0), Blind("logs", Reason.CONNECTION, "Loki is down")):
        watch.feed(report)
    watch.end(10**9)
    blind = watch.judgements.copy()
    watch.feed(told(2.0)[0])  # no further than it was

    assert not blind
    assert only(watch).verdict is Verdict.PASS


def test_an_answer_that_better_known_clocks_put_before_its_cause_is_none() -> None:
    clocks = Sightings(Clocks(skew_ns=10**9))
    watch = Monitor(EVENTS, [clause(Word.FOLLOWS, "a", "b", within_s=0.1)], 0, clocks)
    answer, cause = seen("b", 1.0000001, clock="y"), seen("a", 1.5000001, clock="x")

    watch.end(2 * 10**9)
    for report in (answer, cause, Watermark("spans", 3 * 10**9)):
        watch.feed(report)  # within a second nobody knows which came first: it may be answered
    clocks.see(replace(answer, received_ns=answer.at_ns + 10_000_000), 0)  # y was read 10 ms after it was written
    clocks.see(cause, cause.at_ns - 10_000_000)  # x shows 10 ms more than we did
    watch.feed(Watermark("logs", 3 * 10**9))

    assert only(watch).verdict is Verdict.FAIL
    assert only(watch).records == (cause,)


def test_an_earlier_attempt_of_an_answer_no_longer_answers_a_later_cause() -> None:
    watch = monitor(clause(Word.FOLLOWS, "a", "b", within_s=1.0))

    for report in (seen("a", 1.0), seen("b", 1.5, id="e1"), Watermark("spans", 3 * 10**9), seen("b", 0.5, id="e1")):
        watch.feed(report)
    watch.feed(Watermark("logs", 3 * 10**9))

    assert only(watch).verdict is Verdict.FAIL
    assert only(watch).said == "a at +1.000s was not followed by b"


def test_an_answer_whose_earlier_attempt_may_still_come_is_none_yet() -> None:
    watch = monitor(clause(Word.FOLLOWS, "a", "b"))
    watch.end(2 * 10**9)

    for report in (seen("a", 1.0), seen("b", 1.5, id="e1"), Watermark("logs", 3 * 10**9)):
        watch.feed(report)
    before = watch.judgements.copy()
    for report in (seen("b", 0.5, id="e1"), Watermark("spans", 3 * 10**9)):
        watch.feed(report)

    assert not before
    assert only(watch).verdict is Verdict.FAIL


def test_a_cause_whose_earlier_attempt_may_still_come_is_not_said_to_have_no_answer() -> None:
    watch = monitor(clause(Word.FOLLOWS, "a", "b"))
    watch.end(2 * 10**9)

    for report in (seen("b", 1.0), seen("a", 1.5, id="e1"), Watermark("spans", 3 * 10**9)):
        watch.feed(report)
    before = watch.judgements.copy()
    for report in (seen("a", 0.5, id="e1"), Watermark("logs", 3 * 10**9)):
        watch.feed(report)

    assert not before
    assert only(watch).verdict is Verdict.PASS


def test_of_records_of_one_instant_each_may_be_the_one_that_came_first() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"), clause(Word.BEFORE, "b", "a"))
    caused = seen("b", 1.0, id="b1", clock="y", causes=("a2",))

    for report in (seen("a", 1.0, id="a1", clock="x"), seen("a", 1.0, id="a2", clock="z"), caused, *told(3.0)):
        watch.feed(report)

    assert [judged.verdict for judged in watch.judgements] == [Verdict.PASS, Verdict.FAIL]


def test_a_record_may_be_several_events_and_counts_in_each() -> None:
    watch = monitor(clause(Word.HAPPENS, "a"), clause(Word.HAPPENS, "bad"), clause(Word.HAPPENS, "c"))

    decided = watch.feed(replace(seen("a", 1.0), status="bad"))

    assert [judged.clause.events for judged in decided] == [("a",), ("bad",)]


def test_what_was_dropped_gets_no_verdict() -> None:
    dropped, kept = clause(Word.HAPPENS, "a"), clause(Word.HAPPENS, "a")
    watch = monitor(dropped, kept)

    watch.drop([dropped])
    watch.feed(seen("a", 1.0))

    assert only(watch).clause is kept
    assert watch.done


def test_a_source_that_caught_up_after_it_was_blind_is_believed_again() -> None:
    watch = monitor(clause(Word.HAPPENS, "a"))

    watch.feed(Blind("logs", Reason.CONNECTION, "Loki is down"))
    watch.end(10**9)
    for mark in told(2.0):
        watch.feed(mark)

    assert only(watch).verdict is Verdict.FAIL


def test_never_needs_a_sign_of_life_of_the_run() -> None:
    quiet = monitor(clause(Word.NEVER, "a"))
    living = monitor(clause(Word.NEVER, "a"))

    living.feed(seen("c", 0.5))  # the same source
    for watch in (quiet, living):
        watch.end(10**9)
        for mark in told(2.0):
            watch.feed(mark)
        watch.close("the time is over")

    assert only(quiet).verdict is Verdict.UNKNOWN
    assert "no sign of this run" in only(quiet).said
    assert only(living).verdict is Verdict.PASS


def test_a_retry_of_the_same_event_is_no_second_one() -> None:
    watch = monitor(clause(Word.ONCE, "a"))

    for report in (seen("a", 0.1, id="e1"), seen("a", 0.3, id="e1")):
        watch.feed(report)
    watch.end(10**9)
    for mark in told(2.0):
        watch.feed(mark)

    assert only(watch).verdict is Verdict.PASS


def test_a_second_event_fails_once_as_soon_as_it_is_seen() -> None:
    watch = monitor(clause(Word.ONCE, "a"))

    watch.feed(seen("a", 0.1, id="e1"))
    (failed,) = watch.feed(seen("a", 0.3, id="e2"))

    assert failed.verdict is Verdict.FAIL
    assert "2 times" in failed.said


def test_clocks_that_may_differ_leave_a_close_order_unknown() -> None:
    clocks = Clocks({("x", "y"): 40_000_000, ("y", "x"): 40_000_000})
    near = monitor(clause(Word.BEFORE, "a", "b"), clocks=clocks)
    far = monitor(clause(Word.BEFORE, "a", "b"), clocks=clocks)

    for watch, apart_s in ((near, 0.03), (far, 0.05)):
        for report in (seen("a", 1.0, clock="x"), seen("b", 1.0 + apart_s, clock="y"), *told(3.0)):
            watch.feed(report)

    assert only(near).verdict is Verdict.UNKNOWN
    assert "their order is unknown" in only(near).said
    assert only(far).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        # by its own clock the first a came after b; the other a, on a clock that may be ahead, may have come before it
        ([("a", 1.02, "y"), ("a", 1.03, "x"), ("b", 1.0, "y")], Verdict.UNKNOWN),
        # nobody can tell of the first a; the second, on the clock of b, did come before it
        ([("a", 1.0, "x"), ("a", 1.01, "y"), ("b", 1.02, "y")], Verdict.PASS),
        # nobody can tell of the first b; the second, on the clock of a, did come before it
        ([("b", 1.0, "x"), ("b", 1.01, "y"), ("a", 1.02, "y")], Verdict.FAIL),
    ],
)
def test_an_event_told_by_several_clocks_is_before_another_if_one_of_its_records_is(records, verdict) -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"), clocks=Clocks({("x", "y"): 40_000_000, ("y", "x"): 40_000_000}))

    for step, at_s, clock in records:
        watch.feed(seen(step, at_s, clock=clock))
    for report in told(3.0):
        watch.feed(report)

    assert only(watch).verdict is verdict


def test_what_is_named_as_a_cause_came_first_whatever_the_clocks_say() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"))

    for report in (seen("a", 2.0, id="e1", clock="x"), seen("b", 1.9, clock="y", causes=("e1",)), *told(3.0)):
        watch.feed(report)

    assert only(watch).verdict is Verdict.PASS


def test_a_cause_counts_though_by_the_clocks_it_is_not_the_earliest_of_its_kind() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"), clause(Word.BEFORE, "b", "a"))

    for report in (seen("a", 2.0), seen("a", 2.5, id="e1"), seen("b", 1.9, causes=("e1",)), *told(3.0)):
        watch.feed(report)

    assert [judged.verdict for judged in watch.judgements] == [Verdict.PASS, Verdict.FAIL]


def test_bounds_between_clocks_are_learnt_from_causes_and_combine_along_a_chain() -> None:
    def pair(cause: str, effect: str, shown_ms: float, n: int) -> list[Evidence]:
        first = Evidence("logs", "a", 10**9, id=f"{cause}{effect}{n}", clock=cause)
        then = Evidence(
            "logs", "b", 10**9 + int(shown_ms * 1e6), id=f"e{cause}{effect}{n}", clock=effect, causes=(first.id,)
        )
        return [first, then]

    records = [*pair("x", "y", 130.0, 1), *pair("y", "x", -70.0, 1), *pair("y", "z", 30.0, 1), *pair("z", "y", 20.0, 1)]
    clocks = learn(edges(records))

    low_ns, high_ns = clocks.bounds("x", "y")  # y is ahead by 70 to 130 ms
    assert (low_ns, high_ns) == (70_000_000, 130_000_000)
    assert clocks.bounds("x", "z") == (50_000_000, 160_000_000)
    a = Evidence("logs", "a", 10**9, id="p", clock="x")
    b = Evidence("logs", "b", 10**9 + 60_000_000, id="q", clock="y")
    assert clocks.order(a, b) is Order.AFTER  # it shows later, and was earlier


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-50, 50),
    st.lists(st.tuples(st.booleans(), st.integers(0, 400)), min_size=2, max_size=8),
    st.integers(0, 99),
)
def test_an_order_that_is_told_despite_wrong_clocks_is_always_the_true_one(
    ahead: int, happened: list[tuple[bool, int]], seed: int
) -> None:
    chance = random.Random(seed)
    messages = []
    for n in range(chance.randint(0, 12)):
        at, took, forth = chance.randint(0, 1000), chance.randint(0, 30), chance.random() < 0.5
        one, two = ("x", "y") if forth else ("y", "x")
        messages.append(Evidence("logs", "m", at + (ahead if one == "y" else 0), id=f"m{n}", clock=one))
        arrived = at + took + (ahead if two == "y" else 0)
        messages.append(Evidence("logs", "n", arrived, id=f"n{n}", clock=two, causes=(f"m{n}",)))
    clocks = learn(edges(messages), skew_ns=60)
    records = [
        (at, Evidence("logs", "e", at + (ahead if on_y else 0), id=f"e{n}", clock="y" if on_y else "x"))
        for n, (on_y, at) in enumerate(happened)
    ]

    for at, one in records:
        for other_at, other in records:
            order = clocks.order(one, other)
            assert order is Order.UNKNOWN or (order is Order.BEFORE) == (at < other_at)

"""The monitor of clauses against a judge that sees everything, and the sentences that it says."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthmon.core.clauses import Clause, Word
from synthmon.core.clocks import Clocks, Order, edges, learn
from synthmon.core.evidence import Blind, Evidence, Wanted, Watermark, from_fields, instant_ns
from synthmon.core.outcomes import Reason
from synthmon.core.sequence import Judgement, Monitor, Verdict
from tests.core.sequences import EVENTS, PLACE, Trace, clauses, copies, judge, oracle, traces


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
def test_in_whatever_order_records_come_the_verdict_is_that_of_a_judge_who_sees_all(
    some: list[Clause], trace: Trace, seed: int
) -> None:
    judged = copies(some)

    found, _ = judge(judged, trace, random.Random(seed))

    for i, clause in enumerate(judged):
        assert found[i].verdict is oracle(clause, trace), (clause, trace, found[i])


@pytest.mark.torture
def test_a_hundred_thousand_clauses_agree_with_the_oracle() -> None:
    @settings(max_examples=5000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(clauses, min_size=20, max_size=20), traces, st.integers(0, 1 << 30))
    def compare(some: list[Clause], trace: Trace, seed: int) -> None:
        judged = copies(some)
        found, _ = judge(judged, trace, random.Random(seed))
        assert [found[i].verdict for i in range(20)] == [oracle(clause, trace) for clause in judged]

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


def test_what_is_named_as_a_cause_came_first_whatever_the_clocks_say() -> None:
    watch = monitor(clause(Word.BEFORE, "a", "b"))

    for report in (seen("a", 2.0, id="e1", clock="x"), seen("b", 1.9, clock="y", causes=("e1",)), *told(3.0)):
        watch.feed(report)

    assert only(watch).verdict is Verdict.PASS


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


WANTED = Wanted("ab" * 16, "syn-abababababababab", 0, keys=("tea@example.com",))


@pytest.mark.parametrize(
    ("fields", "step", "matched_by"),
    [
        ({"correlationId": "ab" * 16, "step": "posted", "time": "2026-01-01T00:00:00Z"}, "posted", "correlationId"),
        ({"a": {"b": "x syn-abababababababab"}, "event": "e", "ts": 1767225600}, "e", "a.b"),
        ({"to": "tea@example.com", "message": "mailed", "@timestamp": 1767225600123}, "mailed", "to (key)"),
    ],
)
def test_a_log_line_of_any_common_shape_is_understood(fields: dict[str, object], step: str, matched_by: str) -> None:
    record = from_fields("logs", fields, WANTED, 1, {})

    assert record is not None
    assert (record.step, record.matched_by) == (step, matched_by)
    assert record.at_ns // 10**9 == 1767225600


def test_a_line_of_another_run_or_without_a_time_is_no_evidence() -> None:
    assert from_fields("logs", {"correlationId": "cd" * 16, "time": 1767225600}, WANTED, 1, {}) is None
    assert from_fields("logs", {"correlationId": "ab" * 16}, WANTED, 1, {}) is None


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-01-01T00:00:00.123456789Z", 1767225600_123456789),
        ("2026-01-01T01:00:00+01:00", 1767225600_000000000),
        ("2026-01-01 00:00:00", 1767225600_000000000),
        ("1767225600", 1767225600_000000000),
        ("1767225600.5", 1767225600_500000000),
        ("1767225600123", 1767225600_123000000),
        ("1767225600123456", 1767225600_123456000),
        ("1767225600123456789", 1767225600_123456789),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_instants_in_every_common_form(text: str, ns: int) -> None:
    assert instant_ns(text) == ns

"""Why a run failed, in one sentence, and beside which runs that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthmon.core.finding.investigation import Investigation, investigate
from synthmon.core.finding.peers import Peers, clocks_of, peers, rank
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import ClauseRecord, Record, StepRecord
from synthmon.core.sequence.clocks import TRUSTED
from tests.core.told import at, run_of, told

GOOD = tuple(told("placed paid booked shipped mailed", run_id=f"{n:032x}") for n in range(30))
FAILED = Outcome.FAILED


def looked_into(run: Record, bad: Sequence[Record] = (), good: Sequence[Record] = GOOD) -> Investigation:
    return investigate(run, Peers(tuple(good), tuple(bad), "v1"), TRUSTED)


def test_a_lost_event_is_the_first_that_is_missing() -> None:
    run = told("placed paid", FAILED, "f" * 32)
    others = [told("placed paid booked", FAILED)] * 3

    found = looked_into(run, [run, *others])

    assert found.verdict.startswith(
        "booked (shop) did not happen, nor 2 more that come after it: the chain ends behind paid"
    )
    assert found.verdict.endswith("It is so in none of 30 good runs."), "one failing run is no support"
    assert found.next[-1] == "synthmon guardrail ffffffffffff --suspect 'missing(booked)'"


def test_a_duplicate_is_the_first_that_is_doubled() -> None:
    doubled = {"id": "second"}
    run = told("placed paid booked booked shipped shipped mailed", FAILED)
    run = replace(run, evidence=tuple(replace(e, **doubled) if n in (3, 5) else e for n, e in enumerate(run.evidence)))

    assert looked_into(run, [run, run]).verdict == (
        "booked (shop) happened 2 times, and paid (shop) before it once: "
        "what passes between them was sent or delivered more than once. "
        "It is so in none of 30 good runs, and in 2 of 2 failing ones (suspect 1)."
    )


def test_a_retry_that_most_systems_live_with_is_not_what_a_lost_event_is_blamed_on() -> None:
    run = told("placed paid", FAILED, "f" * 32, placed={"attempt": 2})
    run = replace(run, reason=Reason.LOST, message="booked did not happen")

    found = looked_into(run, [run, told("placed paid", FAILED)])

    assert found.comparison.differences[0].turn == "retry", "it came first"
    assert found.verdict.startswith("booked (shop) did not happen, nor 2 more that come after it")
    assert found.next[-1] == "synthmon guardrail ffffffffffff --suspect 'missing(booked)'"


def test_what_a_broken_clause_waited_for_is_known_from_good_runs() -> None:
    clause = ClauseRecord("happens: shipped", "x.yaml:1", "pass", "", (GOOD[0].evidence[3].happening,))
    good = [replace(run, clauses=(clause,)) for run in GOOD]
    run = told("placed paid booked mailed extra", FAILED, placed={"status": "error"})
    run = replace(run, clauses=(replace(clause, verdict="fail", decided_by=()),))

    assert looked_into(run, good=good).verdict.startswith("shipped (shop) did not happen")


def test_what_was_sent_twice_is_named_before_what_came_of_it() -> None:
    spans = [("paid", {}), ("send paid", {"kind": "producer"}), ("booked", {"kind": "consumer"})]
    good = run_of(*(at(name, 10 * n, id=f"{name}{n}", attrs=attrs) for n, (name, attrs) in enumerate(spans)))
    twice = [at(name, 10 * n, id=f"{name}{n}", attrs=attrs) for n, (name, attrs) in enumerate([*spans, *spans[1:]])]
    once = ClauseRecord("once: booked", "x.yaml:1", "fail", "twice", (twice[2].happening, twice[4].happening))
    run = replace(run_of(*twice, outcome=FAILED), reason=Reason.DUPLICATE, clauses=(once,))

    assert looked_into(run, good=[good] * 10).verdict == (
        "send paid (shop) happened 2 times, and paid (shop) before it once: the same was sent more than once. "
        "It is so in none of 10 good runs."
    )


def test_whether_nothing_was_sent_or_nobody_took_it_is_told_where_spans_tell() -> None:
    spans = [("paid", {}), ("send paid", {"kind": "producer"}), ("booked", {"kind": "consumer"})]
    good = run_of(*(at(name, 10 * n, id=name, attrs=attrs) for n, (name, attrs) in enumerate(spans)))
    never_sent = run_of(good.evidence[0], outcome=FAILED)
    not_taken = run_of(*good.evidence[:2], outcome=FAILED)

    first, second = (looked_into(run, good=[good] * 10).verdict for run in (never_sent, not_taken))

    assert "the chain ends behind paid (shop), which did its work and sent nothing. It" in first
    told = (
        "the chain ends behind send paid (shop): what it sent was not delivered, not taken, or went on without the id"
    )
    assert told in second


def test_a_run_that_only_our_own_steps_tell_of_says_what_it_lacks_and_how_to_look_for_more() -> None:
    steps = (StepRecord("order", "http", "", Outcome.PASSED), StepRecord("booked", "http", "", FAILED))
    run = replace(
        run_of(outcome=FAILED, run_id="f" * 32), reason=Reason.LOST, steps=steps, message="booked: body.count is 0"
    )

    found = looked_into(run)

    assert found.verdict == "Only our own steps tell of this run: booked: body.count is 0."
    assert found.next == (
        f"synthmon investigate {'f' * 32} --since 2026-01-01T11:59:55",
        "synthmon show ffffffffffff",
    )


def test_of_all_that_a_late_event_swaps_with_the_pair_that_goes_along_with_failure_is_named() -> None:
    good = [told("a b c d")] * 20 + [told("a c b d")] * 3
    late = told("a c d b", FAILED, "f" * 32)
    other = told("a b d c", FAILED)

    found = looked_into(late, [late, late, other, other], good)

    assert "d (shop) came 10 ms before b (shop)" in found.verdict
    assert "synthmon replay ffffffffffff --order 'd<b'" in found.next


def test_what_a_broken_clause_is_about_is_named_before_what_came_first() -> None:
    run = told("placed booked paid mailed shipped", FAILED)
    by = tuple(record.happening for record in run.evidence[3:5])
    run = replace(run, clauses=(ClauseRecord("before: [shipped, mailed]", "x.yaml:1", "fail", "no", by),))

    assert looked_into(run).verdict.startswith("mailed (shop) came 10 ms before shipped (shop)")


def test_a_delay_is_named_only_when_there_is_nothing_else() -> None:
    good = [replace(run, evidence=tuple(replace(e, duration_ms=5.0) for e in run.evidence)) for run in GOOD]
    slow = replace(good[0], outcome=FAILED, evidence=tuple(replace(e, duration_ms=500.0) for e in good[0].evidence))
    gone = replace(slow, evidence=slow.evidence[:3])

    assert looked_into(slow, good=good).verdict.startswith("placed took longer than in 95 % of the good runs")
    assert looked_into(gone, good=good).verdict.startswith("shipped (shop) did not happen")


def test_where_events_are_as_ever_the_message_of_the_run_is_the_verdict() -> None:
    run = replace(GOOD[0], outcome=FAILED, message="paid: status is 500, expected 201")

    assert looked_into(run).verdict == (
        "Its events are those of 30 good runs, in the same order: paid: status is 500, expected 201."
    )


def test_an_error_that_good_runs_do_not_have_is_named() -> None:
    run = told("placed paid booked shipped mailed", FAILED, paid={"status": "error"})

    assert looked_into(run).verdict == "paid (shop) ended as error. It is so in none of 30 good runs."


def test_that_somebody_says_he_failed_beats_what_it_led_to() -> None:
    run = told("placed call paid call booked shipped mailed", FAILED, call={"status": "error"})
    good = [told("placed call paid booked shipped mailed")] * 10

    assert looked_into(run, good=good).verdict.startswith("call (shop) ended as error.")


def test_without_good_runs_that_is_said() -> None:
    run = replace(told("placed", FAILED), message="it was red")

    assert looked_into(run, good=()).verdict == "There is no good run to compare with: it was red."


def test_what_could_not_be_seen_is_noted() -> None:
    traced = replace(at("span", 60), source="spans")
    both = replace(GOOD[0], evidence=(*GOOD[0].evidence, traced))
    clause = ClauseRecord("never: broken", "x.yaml:1", "unknown", "logs cannot tell: no file matches")
    run = replace(told("placed paid", FAILED), clauses=(clause,))

    notes = looked_into(run, good=[both] * 10).notes

    assert notes[0] == "never: broken: logs cannot tell: no file matches"
    assert notes[1].startswith("spans told nothing of this run, and tells of 10 of 10 good ones")


def test_runs_of_the_same_version_are_compared_if_there_are_ten() -> None:
    old = [replace(run, version="v0") for run in GOOD]

    assert peers([*GOOD[:10], *old], [], "v1").version == "v1"
    assert len(peers([*GOOD[:10], *old], [], "v1").good) == 10
    mixed = peers([*GOOD[:9], *old], [], "v1")
    assert (mixed.version, len(mixed.good), mixed.of) == ("", 39, "all versions")


def test_what_failed_in_the_version_before_is_suspected_still_until_the_new_one_has_failures_enough() -> None:
    swapped = told("placed booked paid shipped mailed", FAILED)
    bad = [replace(swapped, run_id=f"b{n}", version="v1") for n in range(3)]
    new = [replace(one, version="v2") for one in GOOD[:10]]
    again = replace(swapped, run_id="b9", version="v2")

    after = peers([*new, *GOOD], [again, *bad], "v2")
    ranking = rank("orders", after, TRUSTED)

    assert (len(after.good), after.bad, after.of) == (10, (again,), "version v2"), "they are what it is compared with"
    assert ranking.suspects[0].predicate.text == "booked<paid"
    assert ranking.said == "based on 4 failing runs and 40 good ones of all versions"
    assert rank("orders", peers([*new, *GOOD], [again, again, *bad], "v2"), TRUSTED).bad == 2
    assert not rank("orders", peers(new, bad, "v2"), TRUSTED).enough, "no good run of the version that failed is known"


def test_replays_and_runs_without_evidence_and_the_run_itself_are_no_sample() -> None:
    replayed, empty = replace(GOOD[1], cause="replay"), replace(GOOD[2], evidence=())

    known = peers([GOOD[0], replayed, empty, GOOD[3]], [], "v1", but=GOOD[0].run_id)

    assert known.good == (GOOD[3],)


def test_fewer_than_two_failing_runs_are_not_enough_to_suspect_anything() -> None:
    found = rank("orders", Peers(GOOD, (told("placed", FAILED),), "v1"), TRUSTED)

    assert (found.enough, found.suspects) == (False, ())
    assert found.said.startswith("not enough yet: 1 failing run and 30 good ones of version v1")


def test_what_holds_in_good_runs_as_often_is_no_suspect() -> None:
    bad = (told("placed paid", FAILED), told("placed paid", FAILED))

    found = rank("orders", Peers(GOOD, bad, "v1"), TRUSTED)

    assert {suspect.predicate.text for suspect in found.suspects} == {
        "missing(booked)",
        "missing(shipped)",
        "missing(mailed)",
    }


def test_clocks_are_learnt_from_causes_and_else_as_far_apart_as_was_said() -> None:
    cause, effect = at("a", 10, id="a1", clock="one"), at("b", 12, clock="two", causes=("a1",))
    back = at("c", 15, clock="one", causes=("b",))

    clocks = clocks_of([run_of(cause, replace(effect, id="b"), back)], 0.01)

    assert clocks.bounds("one", "two") == (-3_000_000, 2_000_000)
    assert clocks.bounds("one", "three") == (-10_000_000, 10_000_000)

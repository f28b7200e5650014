"""An order is forced where there is a control point, counted where evidence shows it, and judged by Fisher's test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from synthmon.core.evidence import Evidence
from synthmon.core.finding.order import (
    LONGEST_HOLD_MS,
    SHORTEST_HOLD_MS,
    UNKNOWN_HOLD_MS,
    CannotForce,
    Hold,
    Trial,
    find,
    forced,
    hold,
    shows,
)
from synthmon.core.journey import Promises
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, Record, StepRecord
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.system import System
from tests.core.scripted import START, Answer, World, journey, step, together

SYSTEMS = {"shop": System("shop", {"": "http://shop"}, ("shop",), replay=True)}
READ = journey(step("order", "POST /o"))
B_A, A_B = Hold("b", "a", 500), Hold("a", "b", 500)


def run(*events: tuple[str, float], outcome: Outcome = Outcome.PASSED, clock: str = "one") -> Record:
    """A run in which these happened, each so many milliseconds after the first byte."""
    began_ns = round(START.timestamp() * 1e9)
    told = (
        Evidence("logs", name, began_ns + round(at_ms * 1e6), clock=f"{clock}{name}" if clock else "", id=name)
        for name, at_ms in events
    )
    sent = StepRecord("order", "call", "", Outcome.PASSED, attempts=(Attempt("order#1", "POST /o", 0.0, 1.0),))
    return Record(
        "probe", START, outcome, Reason.NONE, run_id="ab" * 16, started=START, evidence=tuple(told), steps=(sent,)
    )


def test_a_consumer_is_held_for_longer_than_the_other_took_in_good_runs() -> None:
    good = [run(("a", 10), ("b", 800)), run(("a", 5), ("b", 20))]

    held = hold(READ, "b", "a", good, SYSTEMS)

    assert held.hold_ms == 2 * 790 + 300
    assert held.baggage == "a:1880"
    assert hold(READ, "a", "b", good, SYSTEMS).hold_ms == SHORTEST_HOLD_MS
    assert hold(READ, "a", "b", [], SYSTEMS).hold_ms == UNKNOWN_HOLD_MS
    assert hold(READ, "b", "a", [run(("a", 0), ("b", 60_000))], SYSTEMS).hold_ms == LONGEST_HOLD_MS


def test_a_system_that_is_sent_no_baggage_cannot_be_asked() -> None:
    deaf = {"shop": System("shop", {"": "http://shop"}, ("shop",), propagate=False)}

    with pytest.raises(CannotForce, match=r"shop is sent no baggage .* `propagate: false`"):
        hold(READ, "b", "a", [], deaf)


def test_steps_of_ours_are_put_in_order_only_where_they_stand_side_by_side() -> None:
    one, other = step("one", "POST /one"), step("other", "POST /other")

    with pytest.raises(CannotForce, match="together"):
        hold(journey(one, other), "other", "one", [], SYSTEMS)

    beside = journey(together("both", one, other))
    held = hold(beside, "other", "one", [], SYSTEMS)
    world = World(lambda request, now_s, act: Answer(201))
    record = world.record(forced(beside, held))

    assert (held.own, held.baggage) == (True, "")
    assert world.requests() == ["POST /other", "POST /one"]
    assert shows(record, held, TRUSTED)
    assert not shows(record, Hold("one", "other", 1, own=True), TRUSTED)


def test_a_forced_run_listens_until_both_must_have_come_even_behind_a_step_that_failed() -> None:
    long = forced(READ, Hold("b", "a", 3000))
    world = World(lambda request, now_s, act: Answer(500))

    record = world.record(long)

    assert long.promises == Promises(linger_s=3.5)
    assert record.outcome is Outcome.FAILED
    assert record.ended is not None
    assert record.ended - START >= timedelta(seconds=3.5)


@pytest.mark.parametrize(
    ("events", "clocks", "shown"),
    [
        ((("b", 10), ("a", 20)), TRUSTED, True),
        ((("a", 10), ("b", 20)), TRUSTED, False),
        ((("b", 10),), TRUSTED, None),  # perhaps the other did not come at all
        ((("b", 10), ("a", 20)), Clocks(skew_ns=50_000_000), None),  # the clocks leave it open
    ],
)
def test_an_order_counts_only_where_evidence_shows_it(
    events: Sequence[tuple[str, float]], clocks: Clocks, shown: bool | None
) -> None:
    assert shows(run(*events), B_A, clocks) is shown


def trials(*outcomes: tuple[Hold, Outcome, bool]) -> list[Trial]:
    return [Trial(what, run(("a", 600), ("b", 700), outcome=outcome), shown) for what, outcome, shown in outcomes]


def test_five_of_five_against_none_of_five_confirm_and_three_of_three_do_not() -> None:
    bad, good = (B_A, Outcome.FAILED, True), (A_B, Outcome.PASSED, True)

    five, three = find(B_A, A_B, trials(*[bad, good] * 5)), find(B_A, A_B, trials(*[bad, good] * 3))

    assert (five.verdict, three.verdict) == ("confirmed", "not confirmed")
    assert (five.p, three.p) == pytest.approx((1 / 252, 1 / 20))


def test_runs_in_which_the_order_was_another_one_or_that_are_our_fault_do_not_count() -> None:
    told = trials(
        (B_A, Outcome.FAILED, True),
        (B_A, Outcome.FAILED, False),
        (B_A, Outcome.UNKNOWN, True),
        (A_B, Outcome.FLAKY, True),
        (A_B, Outcome.PASSED, False),
    )

    finding = find(B_A, A_B, told)

    assert (finding.forced_bad, finding.forced_good, finding.reversed_bad, finding.reversed_good) == (1, 0, 0, 1)


def test_an_order_that_makes_it_better_is_not_confirmed_however_clear_that_is() -> None:
    told = trials(*[(B_A, Outcome.PASSED, True), (A_B, Outcome.FAILED, True)] * 9)

    finding = find(B_A, A_B, told)

    assert (finding.verdict, finding.p) == ("not confirmed", 1.0)


@pytest.mark.parametrize(
    ("record", "why", "shown"),
    [
        (run(("a", 600), ("b", 700)), "a was held for 500 ms in 1 of 1 run, and b came after it all the same", False),
        (run(("b", 600), ("a", 605)), "by clocks that may be too far apart to tell which was first", None),
        (run(("a", 5), ("b", 700)), "its consumer does not honour synthmon.hold in the baggage", False),
        (run(("b", 700)), "a was not seen in 1 run", None),
    ],
)
def test_why_an_order_did_not_come_about_is_said(record: Record, why: str, shown: bool | None) -> None:
    finding = find(B_A, A_B, [Trial(B_A, record, shown), *trials((A_B, Outcome.PASSED, True))])

    assert finding.verdict == "cannot force"
    assert why in finding.said

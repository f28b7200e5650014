"""When a place is left alone, who may ask all the same, and when a request is repeated."""

from __future__ import annotations

from itertools import pairwise

import pytest

from synthmon.core.circuit import LONGEST_REST_S, RUNS_IN_A_ROW, SILENCE, Circuit, Lane
from synthmon.core.outcomes import Reason, whose
from synthmon.core.retries import RetryTokens


def opened(journeys: int = 1) -> Circuit:
    """One that met silence, as a few runs of these journeys, at second 0."""
    circuit = Circuit()
    for n in range(RUNS_IN_A_ROW):
        ask(circuit, f"run{n}", f"journey{n % journeys}", Reason.REFUSED, 0.0)
    assert circuit.open_since_s == 0.0
    return circuit


def ask(circuit: Circuit, run_id: str, journey: str, reason: Reason | None, now_s: float) -> Lane | None:
    lane = circuit.admit(journey, now_s)
    if lane is not None:
        circuit.tell(lane, run_id, journey, reason, str(reason), now_s)
    return lane


def test_it_opens_after_runs_in_a_row_without_an_answer() -> None:
    circuit = Circuit()

    for n in range(RUNS_IN_A_ROW):
        assert circuit.open_since_s is None
        ask(circuit, f"run{n}", "a", Reason.TIMEOUT, float(n))

    assert circuit.open_since_s == RUNS_IN_A_ROW - 1


def test_the_many_looks_of_one_run_do_not_open_it() -> None:
    circuit = Circuit()

    for n in range(50):
        ask(circuit, "run", "a", Reason.REFUSED, float(n))

    assert circuit.open_since_s is None


def test_one_answer_in_between_begins_the_count_anew() -> None:
    circuit = Circuit()

    for n in range(4 * RUNS_IN_A_ROW):
        ask(circuit, f"run{n}", "a", Reason.NONE if n % 4 == 3 else Reason.REFUSED, float(n))

    assert circuit.open_since_s is None


@pytest.mark.parametrize(
    "reason", [Reason.SATURATED, Reason.RESOLVER, Reason.EGRESS_BLOCKED, Reason.LOOP_STALLED, None]
)
def test_what_is_our_own_fault_neither_opens_nor_closes_it(reason: Reason | None) -> None:
    fresh, open_one = Circuit(), opened()

    for n in range(50):
        ask(fresh, f"run{n}", "a", reason, float(n))
        ask(open_one, f"run{n}", "a", reason, float(n))

    assert fresh.open_since_s is None
    assert open_one.open_since_s == 0.0
    assert {whose(silent) for silent in SILENCE} == {"theirs"}


def test_a_journey_that_has_not_asked_may_ask_once_for_itself_one_at_a_time() -> None:
    circuit = opened()

    first, beside = circuit.admit("new", 0.0), circuit.admit("other", 0.0)
    circuit.tell(Lane.OWN, "r1", "new", Reason.TIMEOUT, "", 0.1)

    assert (first, beside) == (Lane.OWN, None)
    assert circuit.admit("other", 0.1) is Lane.OWN
    assert circuit.admit("new", 0.1) is None


def test_one_at_a_time_asks_for_all_after_rests_that_grow() -> None:
    circuit, tries = opened(), []

    for tick in range(60_00):
        now_s = tick / 100
        lane = circuit.admit("journey0", now_s)
        if lane is not None:
            assert circuit.admit("journey0", now_s) is None
            tries.append(now_s)
            circuit.tell(lane, f"r{tick}", "journey0", Reason.REFUSED, "", now_s)

    rests = [after - before for before, after in pairwise(tries)]
    assert tries[0] == pytest.approx(0.25, abs=0.02)
    assert rests == sorted(rests)
    assert rests[-1] == pytest.approx(LONGEST_REST_S, abs=0.02)


@pytest.mark.parametrize("lane", Lane)
def test_any_answer_closes_it_for_all(lane: Lane) -> None:
    circuit = opened()

    circuit.tell(lane, "r", "a", Reason.NONE, "", 1.0)

    assert circuit.admit("journey0", 1.0) is Lane.FREE


def test_a_try_that_was_dropped_makes_place_for_the_next() -> None:
    circuit = opened()

    assert ask(circuit, "r", "journey0", None, 1.0) is Lane.TRIAL

    assert circuit.admit("journey0", 1.0) is Lane.TRIAL


def test_retries_stop_when_most_fails_and_come_back_with_success() -> None:
    tokens = RetryTokens()

    allowed = 0
    while tokens.allowed:
        tokens.failed()
        allowed += 1
    for _ in range(11):
        tokens.succeeded()

    assert allowed == 10
    assert tokens.allowed


def test_now_and_then_a_failure_is_always_repeated() -> None:
    tokens = RetryTokens()

    for _ in range(1000):
        tokens.failed()
        assert tokens.allowed
        for _ in range(20):
            tokens.succeeded()

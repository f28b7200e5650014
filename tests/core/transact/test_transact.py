"""What a run means, told by feeding answers and looking at acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from synthmon.core.acts import Do
from synthmon.core.journey import Retry
from synthmon.core.outcomes import Outcome, Reason
from tests.core.scripted import Answer, World, check, journey, step, together


def says(*answers: Answer | None) -> Callable[[str, float, Do], Answer | None]:
    """A target that gives these answers in turn, the last one for ever."""
    left = list(answers)
    return lambda request, now_s, act: left.pop(0) if len(left) > 1 else left[0]


def test_a_run_whose_checks_hold_passes() -> None:
    probe = journey(step("order", "POST /orders", expect=('body.state == "open"',)))

    record = World(says(Answer(201, {"state": "open"}))).record(probe)

    assert (record.outcome, record.reason, record.step) == (Outcome.PASSED, Reason.NONE, "")
    assert record.outcome_ms == pytest.approx(10.0)


def test_a_failed_check_fails_the_run_and_shows_both_values() -> None:
    probe = journey(step("order", "POST /orders", expect=("body.amount == identity.email",)))

    record = World(says(Answer(200, {"amount": "12.00"}))).record(probe)

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.EXPECTATION, "order")
    assert 'body.amount is "12.00", identity.email is "a@example.com"' in record.message


def test_a_missing_key_fails_the_check_instead_of_passing_as_truthy() -> None:
    probe = journey(step("order", "GET /orders", expect=("body.missing == 1",)))

    record = World(says(Answer(200, {}))).record(probe)

    assert record.outcome is Outcome.FAILED
    assert "missing" in record.message


def test_a_check_that_is_not_a_boolean_fails() -> None:
    probe = journey(step("order", "GET /orders", expect=("body.n",)))

    record = World(says(Answer(200, {"n": 1}))).record(probe)

    assert record.outcome is Outcome.FAILED
    assert "not a boolean" in record.message


def test_the_first_failed_step_ends_the_steps() -> None:
    probe = journey(step("a", "GET /a"), step("b", "GET /b"))
    world = World(says(Answer(500)))

    record = world.record(probe)

    assert world.requests() == ["GET /a"]
    assert [(s.outcome, s.message) for s in record.steps][1] == (Outcome.SKIPPED, "not reached")


def test_what_a_step_saved_is_used_by_the_next() -> None:
    probe = journey(
        step("order", "POST /orders", save={"id": "body.id"}), step("read", "GET /o/${order.id}", knows=("order.id",))
    )
    world = World(says(Answer(201, {"id": "o-7"})))

    world.record(probe)

    assert world.requests()[1] == "GET /o/o-7"


def test_a_save_that_finds_nothing_fails_the_step() -> None:
    record = World(says(Answer(201, {}))).record(journey(step("order", "POST /orders", save={"id": "body.id"})))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION)


def test_a_value_that_cannot_be_rendered_stops_before_anything_leaves_and_is_ours() -> None:
    probe = journey(
        step("order", "GET /o", save={"id": "body.id"}), step("read", "GET /o/${order.id}", knows=("order.id",))
    )
    world = World(says(Answer(200, {"id": None})))

    record = world.record(probe)

    assert world.requests() == ["GET /o"]
    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EXPRESSION)


def test_a_poll_holds_when_the_world_has_caught_up_and_its_latency_is_an_interval() -> None:
    probe = journey(
        step("order", "POST /orders"),
        step("posted", "GET /ledger", expect=("body.n == 1",), within=5, after="order"),
    )
    world = World(lambda request, now_s, act: Answer(200, {"n": int(now_s >= 2.0)}))

    record = world.record(probe)

    posted = record.steps[1]
    assert record.outcome is Outcome.PASSED
    assert posted.latency_low_ms is not None
    assert posted.latency_ms is not None
    assert posted.latency_low_ms < 2000 <= posted.latency_ms


def test_what_never_comes_is_lost_and_the_last_look_is_shown() -> None:
    probe = journey(step("posted", "GET /ledger", expect=("body.n == 1",), within=3))

    record = World(says(Answer(200, {"n": 0}))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST)
    assert "not within 3s" in record.message
    assert "body.n is 0" in record.message


def test_a_poll_looks_once_more_just_before_its_time_is_over() -> None:
    probe = journey(step("posted", "GET /ledger", expect=("body.n == 1",), within=3))
    world = World(says(Answer(200, {"n": 0})))

    world.record(probe)

    looks = [at_s for at_s, seen in world.trace if seen.startswith("posted#") and "~" not in seen]
    assert 2.9 < looks[-1] < 3.0


def test_grace_tells_late_from_lost() -> None:
    probe = journey(step("posted", "GET /ledger", expect=("body.n == 1",), within=3, grace=4))

    record = World(lambda request, now_s, act: Answer(200, {"n": int(now_s >= 4.0)})).record(probe)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LATE)


def test_a_first_look_after_its_time_is_ours() -> None:
    probe = journey(
        step("order", "POST /orders"),
        step("slow", "GET /slow", timeout=20),
        step("posted", "GET /ledger", within=2, after="order"),
    )

    record = World(lambda r, now_s, act: Answer(200, delay_s=9.0 if "slow" in r else 0.01)).record(probe)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.LOOKED_TOO_LATE)


def test_trouble_while_within_lasts_means_not_yet() -> None:
    probe = journey(step("posted", "GET /ledger", within=5))
    trouble = Answer(trouble=Reason.REFUSED)

    record = World(says(trouble, Answer(503), trouble, Answer(200))).record(probe)

    assert record.outcome is Outcome.PASSED


def test_a_poll_that_ends_in_our_own_trouble_is_unknown() -> None:
    probe = journey(step("posted", "GET /ledger", within=2))

    record = World(says(Answer(200, trouble=Reason.DESCRIPTORS, sent=False))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.DESCRIPTORS)


@pytest.mark.parametrize(("reason", "outcome"), [(Reason.REFUSED, Outcome.FAILED), (Reason.RESOLVER, Outcome.UNKNOWN)])
def test_trouble_says_whose_fault_it_was(reason: Reason, outcome: Outcome) -> None:
    record = World(says(Answer(trouble=reason))).record(journey(step("order", "GET /orders")))

    assert (record.outcome, record.reason) == (outcome, reason)


def test_a_retry_that_helps_makes_the_run_flaky_and_keeps_the_key() -> None:
    probe = journey(step("order", "POST /orders", retry=Retry(2, frozenset({"5xx"})), repeatable=True))
    world = World(says(Answer(503), Answer(201)))

    record = world.record(probe)

    assert record.outcome is Outcome.FLAKY
    assert len({act.key for act in world.acts if isinstance(act, Do)}) == 1
    assert len(record.steps[0].attempts) == 2


def test_a_retry_is_only_for_the_words_it_names() -> None:
    probe = journey(step("order", "GET /orders", retry=Retry(2, frozenset({"timeout"}))))
    world = World(says(Answer(503)))

    record = world.record(probe)

    assert (record.outcome, len(world.requests())) == (Outcome.FAILED, 1)


def test_each_look_of_a_polled_write_has_a_new_key() -> None:
    probe = journey(step("close", "POST /close", within=3, repeatable=True))
    world = World(says(Answer(409), Answer(200)))

    world.record(probe)

    keys = [act.key for act in world.acts if isinstance(act, Do)]
    assert len(keys) == len(set(keys)) == 2


def test_a_run_in_which_every_check_was_skipped_is_skipped_never_passed() -> None:
    record = World(says(Answer(200))).record(journey(step("order", "GET /o", when="run.id == ''")))

    assert (record.outcome, record.reason) == (Outcome.SKIPPED, Reason.WHEN)


def test_a_poll_after_a_skipped_step_is_skipped() -> None:
    probe = journey(
        step("a", "GET /a"), step("b", "GET /b", when="run.id == ''"), step("c", "GET /c", within=2, after="b")
    )
    world = World(says(Answer(200)))

    record = world.record(probe)

    assert [s.outcome for s in record.steps] == [Outcome.PASSED, Outcome.SKIPPED, Outcome.SKIPPED]
    assert world.requests() == ["GET /a"]


def test_branches_run_side_by_side_and_finish_after_a_failure() -> None:
    probe = journey(together("both", step("a", "GET /a"), step("b", "GET /b")), step("c", "GET /c"))
    world = World(lambda r, now_s, act: Answer(500 if r == "GET /a" else 200, delay_s=0.1 if r == "GET /a" else 3.0))

    record = world.record(probe)

    assert world.requests() == ["GET /a", "GET /b"]
    assert [s.outcome for s in record.steps] == [Outcome.FAILED, Outcome.PASSED, Outcome.SKIPPED]


def test_a_failure_seen_outweighs_a_doubt_of_ours() -> None:
    probe = journey(together("both", step("a", "GET /a"), step("b", "GET /b")))
    world = World(lambda r, now_s, act: Answer(trouble=Reason.RESOLVER) if r == "GET /a" else Answer(500))

    record = world.record(probe)

    assert (record.outcome, record.step) == (Outcome.FAILED, "b")


def test_the_deadline_ends_what_goes_forward_and_says_where() -> None:
    probe = journey(step("posted", "GET /ledger", expect=("body.n == 1",), within=30), deadline_s=2.0)

    record = World(says(Answer(200, {"n": 0}))).record(probe)

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.DEADLINE, "posted")
    assert "body.n is 0" in record.message


def test_an_interrupt_is_ours() -> None:
    record = World(says(None)).record(journey(step("order", "GET /orders", timeout=9)), term_s=1.0)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.INTERRUPTED)


def test_blame_books_the_failure_on_another_system() -> None:
    probe = journey(step("pay", "POST /pay", blame={"psp": "status == 502"}))

    record = World(says(Answer(502))).record(probe)

    assert (record.outcome, record.system) == (Outcome.FAILED, "psp")


def test_verify_is_judged_over_what_the_run_saved() -> None:
    probe = journey(step("order", "POST /orders", save={"n": "body.n"}), verify=(check("order.n == 2", "order.n"),))

    record = World(says(Answer(201, {"n": 1}))).record(probe)

    assert (record.outcome, record.verify[0].ok) == (Outcome.FAILED, False)
    assert "order.n is 1" in record.message


def test_vars_are_filled_once_and_recorded() -> None:
    probe = journey(step("order", "GET /o/${vars.ref}"), vars={"ref": "r-${run.id}"})
    world = World(says(Answer(200)))

    record = world.record(probe)

    assert record.vars["ref"] == "r-" + "ab" * 16
    assert world.requests() == ["GET /o/r-" + "ab" * 16]


def test_the_same_world_gives_the_same_trace() -> None:
    probe = journey(step("a", "POST /a"), step("b", "GET /b", expect=("body.n == 1",), within=4, after="a"))

    def trace() -> list[tuple[float, str]]:
        world = World(lambda request, now_s, act: Answer(200, {"n": int(now_s > 2)}))
        world.run(probe)
        return world.trace

    assert trace() == trace()


CANNOT_ASK = Answer(trouble=Reason.RESOLVER, sent=False)


def until(*phases: tuple[float, Answer]) -> Callable[[str, float, Do], Answer | None]:
    """A target that gives each answer until an instant."""
    return lambda request, now_s, act: next(answer for end_s, answer in phases if now_s < end_s)


@pytest.mark.parametrize("first", [CANNOT_ASK, Answer(404)])
def test_what_held_late_may_have_held_in_time_where_we_could_not_ask_then(first: Answer) -> None:
    probe = journey(step("posted", "GET /ledger", within=3, grace=4))

    record = World(until((0.5, first), (3.5, CANNOT_ASK), (99, Answer(200)))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.RESOLVER)
    assert "it held, but only after" in record.message


def test_what_the_target_said_when_the_time_was_over_stands_though_we_cannot_ask_any_more() -> None:
    probe = journey(step("posted", "GET /ledger", within=3, grace=4))

    record = World(until((3.0, Answer(404)), (99, CANNOT_ASK))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST)
    assert "status is 404" in record.message


def test_a_target_that_was_not_asked_in_time_is_not_to_blame_for_what_it_says_later() -> None:
    probe = journey(step("posted", "GET /ledger", within=3, grace=4))

    record = World(until((3.2, CANNOT_ASK), (99, Answer(404)))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.RESOLVER)


def test_a_deadline_that_passes_while_we_cannot_ask_is_ours() -> None:
    probe = journey(step("posted", "GET /ledger", within=30), deadline_s=2.0)

    record = World(until((99, CANNOT_ASK))).record(probe)

    assert (record.outcome, record.reason, record.step) == (Outcome.UNKNOWN, Reason.RESOLVER, "posted")
    assert "the run's deadline of 2s passed, and nobody can tell how it stood" in record.message


def test_a_request_that_did_not_leave_by_the_deadline_is_ours_and_one_without_an_answer_is_theirs() -> None:
    probe = journey(step("order", "GET /orders", timeout=10), deadline_s=4.0)

    ours = World(lambda r, now_s, act: Answer(trouble=Reason.SATURATED, sent=False, delay_s=act.timeout_s)).record(
        probe
    )
    theirs = World(says(None)).record(probe)

    assert (ours.outcome, ours.reason) == (Outcome.UNKNOWN, Reason.SATURATED)
    assert (theirs.outcome, theirs.reason) == (Outcome.FAILED, Reason.DEADLINE)


def test_a_target_that_used_up_the_time_is_to_blame_though_the_last_request_did_not_leave() -> None:
    probe = journey(step("slow", "GET /slow", timeout=10), step("order", "GET /orders", timeout=10), deadline_s=4.0)
    waits = Answer(trouble=Reason.SATURATED, sent=False)

    record = World(
        lambda r, now_s, act: Answer(delay_s=3.5) if "slow" in r else replace(waits, delay_s=act.timeout_s)
    ).record(probe)

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.DEADLINE, "order")


def test_trouble_shortly_before_the_deadline_is_told_at_once() -> None:
    probe = journey(step("order", "GET /orders", timeout=10), deadline_s=4.0)

    record = World(says(Answer(trouble=Reason.REFUSED, delay_s=1.0))).record(probe)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.REFUSED)
    assert record.took_ms == pytest.approx(1000)


def test_a_look_of_which_nothing_is_known_is_no_bound_of_a_latency() -> None:
    probe = journey(step("posted", "GET /ledger", within=5))

    record = World(until((1.0, Answer(404)), (3.0, CANNOT_ASK), (99, Answer(200)))).record(probe)

    low_ms, high_ms = record.steps[0].latency_low_ms, record.steps[0].latency_ms
    assert low_ms is not None
    assert high_ms is not None
    assert low_ms < 1000 < 3000 <= high_ms

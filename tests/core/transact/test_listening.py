"""What a step that listens means: heard from the start, judged by its arrival, late, lost, twice, or not to be told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from synthmon.core.acts import Arm, Cancel, Do
from synthmon.core.door import Trouble
from synthmon.core.expressions import Compiler
from synthmon.core.inbound import MOST_REFUSED
from synthmon.core.journey import Within
from synthmon.core.messages import Declined, Gap, Message
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.templates import compile_template
from synthmon.core.transact.listen import MOST_MESSAGES
from tests.core.scripted import Answer, Bus, World, hears, journey, message, step, together

Came = tuple[float, Message | Gap | Trouble]


def bus(*came: Came) -> Bus:
    """Everybody who listens hears this."""
    return lambda at, now_s: came


def body(**values: Any) -> str:
    return json.dumps(values)


def run(probe: Any, *came: Came, **how: Any) -> tuple[World, Record]:
    world = World(lambda request, now_s, act: Answer(201, {"id": "o-1"}), bus(*came))
    return world, world.record(probe, **how)


def order_then(receipt: Any, **save: str) -> Any:
    return journey(step("order", "POST /orders", save=save or None), receipt)


def test_the_listener_is_armed_before_the_first_request_leaves() -> None:
    world, _ = run(order_then(hears("receipt", "events", after="order")), message(at_s=0.5))

    assert [type(act) for act in world.acts if isinstance(act, Arm | Do)] == [Arm, Do]


def test_a_message_of_this_run_that_came_in_time_passes_with_the_instant_of_its_arrival() -> None:
    _, record = run(order_then(hears("receipt", "events", after="order")), message(at_s=1.5))

    assert record.outcome is Outcome.PASSED
    assert record.steps[1].latency_ms == pytest.approx(1490.0, abs=11)
    assert record.steps[1].latency_low_ms == record.steps[1].latency_ms


def test_a_message_that_came_before_the_step_was_reached_is_not_missed() -> None:
    slow = journey(
        step("order", "POST /orders"), step("slow", "GET /slow", within=3.0, expect=("status == 999",), grace=0.0)
    )
    probe = journey(slow.steps[0], hears("first", "events", expect=("count == 1",)), hears("second", "events"))

    _, record = run(probe, message(at_s=0.02))

    assert record.outcome is Outcome.PASSED, record.message


def test_a_message_of_another_run_is_not_counted() -> None:
    _, record = run(order_then(hears("receipt", "events", after="order")), message(at_s=0.5, run="cd" * 16))

    assert (record.outcome, record.reason, record.step) == (Outcome.FAILED, Reason.LOST, "receipt")
    assert "nothing came within 5s" in record.message
    assert record.message.endswith("; 1 message came, none of this run")


def test_messages_for_which_where_does_not_hold_are_counted_and_told() -> None:
    receipt = hears(
        "receipt", "events", expect=("count == 2",), where="message.json.order == order.id", knows=("order.id",)
    )
    theirs = [message(body(order="o-2"), at_s=0.005 + i, run="") for i in range(3)]  # the first before the id is known

    _, none = run(order_then(receipt, id="body.id"), *theirs)
    _, one = run(order_then(receipt, id="body.id"), *theirs, message(body(order="o-1"), at_s=0.6, run=""))

    assert none.message.endswith("; 3 messages came for which `where` does not hold")
    assert "(1 came)" in one.message
    assert one.message.endswith("; 3 more messages came for which `where` does not hold")


def test_calls_that_were_refused_meanwhile_are_named_with_why_and_when() -> None:
    unsigned, wrong = Declined(Reason.NONE, "unsigned (bad signature)"), Declined(Reason.NONE, "PUT instead of POST")
    calls = [(1.2, unsigned), (3.4, wrong), *((1.5 + i / 10, unsigned) for i in range(5))]

    _, one = run(order_then(hears("told", "hook", addressed=True)), calls[0])
    _, many = run(order_then(hears("told", "hook", addressed=True)), *calls)

    assert (one.outcome, one.reason) == (Outcome.FAILED, Reason.LOST)
    assert one.message.endswith("; 1 call was refused: unsigned (bad signature) at +1.2s")
    told = "7 calls were refused: unsigned (bad signature) 6 times from +1.2s to +1.9s, PUT instead of POST at +3.4s"
    assert many.message.endswith(told)


def test_stale_calls_are_told_together_however_old_each_was_and_a_hundred_may_be_more() -> None:
    stale = [Declined(Reason.NONE, f"unsigned (stale: {age}s old)") for age in range(301, 301 + MOST_REFUSED)]

    _, record = run(
        order_then(hears("told", "hook", addressed=True)), *((0.1 + i / 100, s) for i, s in enumerate(stale))
    )

    told = "100 calls or more were refused: unsigned (stale: 301s old) 100 times from +0.1s to +1.1s"
    assert record.message.endswith(told)


def test_a_refused_call_is_no_gap_and_does_not_hurt_one_that_is_taken() -> None:
    _, record = run(
        order_then(hears("told", "hook", addressed=True)), (0.3, Declined(Reason.NONE, "unsigned")), message(at_s=0.9)
    )

    assert record.outcome is Outcome.PASSED, record.message


def test_what_was_refused_is_told_when_the_deadline_ends_the_step_too() -> None:
    probe = replace(order_then(hears("told", "hook", addressed=True, within=50.0)), deadline_s=3.0)

    _, record = run(probe, (0.5, Declined(Reason.NONE, "larger than 1 MiB")))

    assert record.reason is Reason.DEADLINE
    assert record.message.endswith("; 1 call was refused: larger than 1 MiB at +0.5s")


def test_where_decides_whose_message_it_is_once_the_value_it_reads_is_saved() -> None:
    receipt = hears("receipt", "events", where="message.json.order == order.id", knows=("order.id",), after="order")
    theirs = message(body(order="o-2"), at_s=0.005, run="")
    mine = message(body(order="o-1"), at_s=0.006, run="")

    _, record = run(order_then(receipt, id="body.id"), theirs, mine)

    assert record.outcome is Outcome.PASSED, record.message
    assert len(record.steps[1].attempts) == 1


def test_a_message_without_what_where_reads_is_somebody_elses() -> None:
    receipt = hears("receipt", "events", where="message.json.order == order.id", knows=("order.id",))

    _, record = run(order_then(receipt, id="body.id"), message("no json", at_s=0.5), message(body(x=1), at_s=0.6))

    assert record.reason is Reason.LOST


def test_a_second_message_while_it_settles_is_a_duplicate() -> None:
    _, record = run(
        order_then(hears("receipt", "events", after="order", settle=2.0)), message(at_s=0.5), message(at_s=2.0)
    )

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE)
    assert "count is 2" in record.message


def test_without_settle_the_step_ends_with_the_first_message_that_holds() -> None:
    _, record = run(order_then(hears("receipt", "events")), message(at_s=0.5), message(at_s=2.0))

    assert record.outcome is Outcome.PASSED
    assert record.took_ms < 1000


def test_the_broker_delivering_one_publication_twice_is_no_duplicate() -> None:
    _, record = run(
        order_then(hears("receipt", "events", settle=1.0)),
        message(at_s=0.5, id="orders:7"),
        message(at_s=0.6, id="orders:7"),
    )

    assert record.outcome is Outcome.PASSED


def test_a_message_in_the_grace_is_late_and_not_lost() -> None:
    _, record = run(order_then(hears("receipt", "events", within=1.0, grace=3.0)), message(at_s=2.0))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LATE)


def test_a_wrong_message_fails_with_its_values_when_the_time_is_over() -> None:
    _, record = run(
        order_then(hears("receipt", "events", expect=("message.json.amount == 3",))), message(body(amount=2), at_s=0.5)
    )

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION)
    assert "message.json.amount is 2" in record.message


def test_checks_may_hold_only_after_several_messages() -> None:
    _, record = run(
        order_then(hears("receipt", "events", expect=("count == 3",))), *(message(at_s=0.5 + i) for i in range(3))
    )

    assert record.outcome is Outcome.PASSED
    assert len(record.steps[1].attempts) == 3


def test_that_nothing_comes_holds_when_the_time_is_over_and_not_before() -> None:
    quiet = hears("quiet", "events", expect=("count == 0",), within=2.0)

    _, well = run(order_then(quiet))
    _, badly = run(order_then(quiet), message(at_s=1.0))

    assert well.outcome is Outcome.PASSED
    assert well.took_ms >= 2000
    assert badly.outcome is Outcome.FAILED


@pytest.mark.parametrize(("reason", "outcome"), [(Reason.CONNECTION, Outcome.UNKNOWN), (Reason.RESET, Outcome.FAILED)])
def test_what_may_have_been_missed_in_a_gap_is_not_called_lost(reason: Reason, outcome: Outcome) -> None:
    _, record = run(order_then(hears("receipt", "events")), (0.3, Gap(reason, "the connection bus was lost")))

    assert (record.outcome, record.reason) == (outcome, reason)
    assert "may have been missed" in record.message


def test_a_gap_does_not_hurt_a_message_that_came_all_the_same() -> None:
    _, record = run(order_then(hears("receipt", "events")), (0.3, Gap(Reason.CONNECTION, "lost")), message(at_s=0.9))

    assert record.outcome is Outcome.PASSED


def test_that_nothing_came_cannot_be_told_after_a_gap() -> None:
    quiet = hears("quiet", "events", expect=("count == 0",), within=2.0)

    _, record = run(order_then(quiet), (0.3, Gap(Reason.CONNECTION, "lost")))

    assert record.outcome is Outcome.UNKNOWN


def test_a_listener_that_cannot_begin_ends_the_run_before_anything_leaves() -> None:
    deaf = Trouble(Reason.CONNECTION, "the broker is down")

    world, record = run(order_then(hears("receipt", "events")), (0.0, deaf))

    assert (record.outcome, record.reason, record.step) == (Outcome.UNKNOWN, Reason.CONNECTION, "receipt")
    assert world.requests() == []


def test_a_place_that_reads_what_a_step_saves_is_armed_right_after_that_step() -> None:
    probe = journey(
        step("order", "POST /orders", save={"id": "body.id"}),
        step("close", "POST /close"),
        hears("receipt", "orders.${order.id}", knows=("order.id",), after="close"),
    )

    world, record = run(probe, message(at_s=0.5))

    assert record.outcome is Outcome.PASSED, record.message
    kinds = [(type(act).__name__, act.request) for act in world.acts if isinstance(act, Arm | Do)]
    assert kinds == [("Do", "POST /orders"), ("Arm", "orders.o-1"), ("Do", "POST /close")]


def test_listeners_side_by_side_hear_the_same_messages() -> None:
    probe = journey(step("order", "POST /orders"), together("both", hears("a", "events"), hears("b", "others")))

    _, record = run(probe, message(at_s=0.5))

    assert record.outcome is Outcome.PASSED, record.message


def test_every_listener_is_closed_when_the_run_goes_no_further() -> None:
    probe = journey(step("order", "POST /orders", expect=("status == 999",)), hears("receipt", "events"))

    world, record = run(probe)

    assert record.step == "order"
    assert [act.id for act in world.acts if isinstance(act, Cancel)].count("receipt~ear") == 1


def test_a_signal_while_it_listens_interrupts_the_run() -> None:
    world, record = run(order_then(hears("receipt", "events")), term_s=0.7)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.INTERRUPTED)
    assert [act.id for act in world.acts if isinstance(act, Cancel)].count("receipt~ear") == 1


def test_what_a_listener_saved_is_seen_by_later_steps() -> None:
    probe = journey(
        hears("receipt", "events", save={"n": "message.json.n"}),
        step("last", "GET /things/${receipt.n}", knows=("receipt.n",)),
    )

    world, _ = run(probe, message(body(n=7), at_s=0.5))

    assert world.requests() == ["GET /things/7"]


def test_time_may_count_from_the_arrival_of_a_message() -> None:
    probe = journey(hears("first", "events", within=9.0), hears("second", "others", after="first", within=1.0))

    def heard(at: str, now_s: float) -> Sequence[Came]:
        return [message(at_s=4.0)] if at == "events" else [message(at_s=4.5)]

    record = World(lambda request, now_s, act: Answer(), heard).record(probe)

    assert record.outcome is Outcome.PASSED, record.message
    assert record.steps[1].latency_ms == pytest.approx(500.0)


def test_a_flood_is_bounded_and_then_nobody_can_tell() -> None:
    flood = [message(body(n=n), at_s=0.1 + n * 1e-4, run="ab" * 16) for n in range(MOST_MESSAGES + 50)]

    _, record = run(order_then(hears("receipt", "events", expect=("count == 100000",), within=1.0)), *flood)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.TOO_MANY)


def test_a_skipped_listener_is_not_counted() -> None:
    probe = journey(step("order", "POST /orders"), hears("receipt", "events", when="run.seed < 0"))

    _, record = run(probe)

    assert record.outcome is Outcome.PASSED
    assert record.steps[1].outcome is Outcome.SKIPPED


def with_var(probe: Any, text: str, *knows: str) -> Any:
    template = compile_template(Compiler(), text, dict.fromkeys(("run.id", *knows), "string"))
    return replace(probe, vars=(("back", template),))


def test_what_a_listener_gives_is_known_to_vars_and_to_the_steps_before_it() -> None:
    ask = step("ask", "POST /orders?back=${vars.back}", knows=("vars.back",))
    told = hears("told", "events", addressed=True)

    world, record = run(with_var(journey(ask, told), "${ears.told.url}?a", "ears.told.url"), message(at_s=0.5))

    assert record.outcome is Outcome.PASSED, record.message
    assert world.requests() == ["POST /orders?back=http://here/told~ear?a"]


def test_a_listener_that_reads_a_var_and_one_that_reads_what_another_gives_are_opened_before_the_first_step() -> None:
    first, second = hears("first", "at ${vars.back}", knows=("vars.back",)), hears("second", "events")
    third = hears("third", "at ${ears.second.url}", knows=("ears.second.url",))
    probe = with_var(journey(step("ask", "POST /orders"), first, second, third), "${run.id}")

    world, _ = run(probe, message(at_s=0.5))

    opened = [act.id if isinstance(act, Arm) else "ask" for act in world.acts if isinstance(act, Arm | Do)]
    assert opened == ["second~ear", "third~ear", "first~ear", "ask"]


def test_without_listeners_nothing_is_opened_and_vars_are_filled() -> None:
    world, record = run(with_var(journey(step("ask", "POST /${vars.back}", knows=("vars.back",))), "${run.id}"))

    assert record.outcome is Outcome.PASSED
    assert world.requests() == ["POST /" + "ab" * 16]


def test_a_message_that_comes_late_after_a_gap_may_have_come_in_time() -> None:
    _, record = run(
        order_then(hears("receipt", "events", within=1.0, grace=3.0)),
        (0.3, Gap(Reason.CONNECTION, "lost")),
        message(at_s=2.0),
    )

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.CONNECTION)


@pytest.mark.parametrize("slow_s", [0.01, 6.0])
def test_that_nothing_came_in_time_holds_however_late_the_step_is_reached(slow_s: float) -> None:
    quiet = hears("quiet", "events", expect=("count == 0",), within=2.0, grace=5.0, after="order")
    probe = journey(step("order", "POST /orders"), step("slow", "GET /slow", timeout=20), quiet)
    world = World(lambda r, now_s, act: Answer(delay_s=slow_s if "slow" in r else 0.01), bus(message(at_s=4.0)))

    record = world.record(probe)

    assert record.outcome is Outcome.PASSED, record.message


@pytest.mark.parametrize("slow_s", [0.01, 6.0])
def test_what_comes_while_nothing_may_come_is_seen_however_late_the_step_is_reached(slow_s: float) -> None:
    quiet = replace(
        hears("quiet", "events", expect=("count == 0",), within=2.0, settle=3.0), within=Within(2.0, "order")
    )
    probe = journey(step("order", "POST /orders"), step("slow", "GET /slow", timeout=20), quiet)
    world = World(lambda r, now_s, act: Answer(delay_s=slow_s if "slow" in r else 0.01), bus(message(at_s=4.0)))

    record = world.record(probe)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE)


def test_whether_it_came_twice_cannot_be_told_after_a_gap() -> None:
    gap = (0.8, Gap(Reason.CONNECTION, "the link was lost"))
    receipt = hears("receipt", "events", settle=2.0)

    _, once = run(order_then(receipt), message(at_s=0.5), gap)
    _, twice = run(order_then(receipt), message(at_s=0.5), gap, message(at_s=1.5))

    assert (once.outcome, once.reason) == (Outcome.UNKNOWN, Reason.CONNECTION)
    assert "whether it came twice cannot be told" in once.message
    assert (twice.outcome, twice.reason) == (Outcome.FAILED, Reason.DUPLICATE)


def test_a_stream_that_the_target_ended_after_its_message_brings_no_second_one() -> None:
    closed = (0.6, Gap(Reason.RESET, "the target closed the session"))

    _, record = run(order_then(hears("receipt", "events", settle=2.0)), message(at_s=0.5), closed)

    assert record.outcome is Outcome.PASSED, record.message


def test_a_deadline_that_passes_after_a_gap_is_ours() -> None:
    probe = replace(order_then(hears("receipt", "events", within=50.0)), deadline_s=3.0)

    _, record = run(probe, (0.5, Gap(Reason.CONNECTION, "the link was lost")))

    assert (record.outcome, record.reason, record.step) == (Outcome.UNKNOWN, Reason.CONNECTION, "receipt")


def test_what_was_there_before_the_step_began_took_no_time() -> None:
    probe = journey(step("slow", "GET /slow"), hears("receipt", "events"))
    world = World(lambda r, now_s, act: Answer(delay_s=3.0), bus(message(at_s=0.5)))

    record = world.record(probe)

    assert record.steps[1].latency_ms == 0.0

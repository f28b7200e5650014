"""What a journey and its records come to as samples."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from synthmon.core import families as of
from synthmon.core.expressions import Compiler
from synthmon.core.journey import Cron, Promises, Slo, Step
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import ODD_ORDER, Attempt, ClauseRecord
from synthmon.core.samples import MOST_SERIES, Add, Detail, Observe, Put, after, constants, series, starts
from synthmon.core.sequence.clauses import Clause, Word
from synthmon.core.sources import Source
from synthmon.core.timing import Timing
from tests.metrics.some import NOON, PLACE, a_journey, a_record


def the(updates, family):
    return [update for update in updates if update.family is family]


def a_passed(journey, **more):
    return a_record(journey, Random(1), **({"outcome": Outcome.PASSED, "reason": Reason.NONE, "step": ""} | more))


def a_failed(journey, **more):
    fields = {"outcome": Outcome.FAILED, "reason": Reason.EXPECTATION, "step": "paid", "outcome_ms": None}
    return a_record(journey, Random(1), **(fields | more))


def test_every_family_has_a_name_that_prometheus_takes():
    for family in of.FAMILIES:
        assert re.fullmatch(r"synthmon_[a-z_]+", family.name)
        assert not family.name.endswith(("_total", "_info", "_count", "_sum", "_bucket", "_created"))
        assert family.help.endswith(".")
        assert not family.unit or family.name.endswith(f"_{family.unit}")
    assert len({family.name for family in of.FAMILIES}) == len(of.FAMILIES)


def test_before_the_first_run_nothing_claims_a_verdict():
    begun = starts(a_journey())

    assert {start.family for start in begun}.isdisjoint({of.LAST_RUN, of.LAST_SUCCESS, of.CONSECUTIVE, of.TLS_EXPIRES})
    assert [start.labels[0] for start in begun if start.family is of.RUNS] == list(Outcome)


def test_a_journey_of_any_length_keeps_to_64_series_in_a_location():
    told = {}
    for count in range(1, 20):
        journey = a_journey(steps=tuple(f"s{i}" for i in range(count)))
        told[count] = (series(journey), {len(s.buckets) for s in starts(journey) if s.family is of.STEP_LATENCY})

    assert all(held <= MOST_SERIES for held, _ in told.values())
    assert told[3][1] == {3}
    assert told[5][1] == {0}
    assert told[19][1] == set()


def test_a_journey_with_more_steps_than_series_is_counted_as_it_is():
    assert series(a_journey(steps=tuple(f"s{i}" for i in range(60)))) > MOST_SERIES


def test_a_good_run_adds_to_the_promise_and_the_latencies():
    journey = a_journey()
    record = a_passed(journey, outcome_ms=1500.0, ended=NOON + timedelta(seconds=2))

    updates = after(record, journey)

    assert the(updates, of.RUNS) == [Add(of.RUNS, ("passed",))]
    assert the(updates, of.GOOD) == [Add(of.GOOD)]
    assert the(updates, of.LATENCY) == [Observe(of.LATENCY, 1.5)]
    assert the(updates, of.CONSECUTIVE) == [Put(of.CONSECUTIVE, 0)]
    assert the(updates, of.LAST_SUCCESS) == [Put(of.LAST_SUCCESS, NOON.timestamp() + 2)]
    assert [update.labels for update in the(updates, of.STEP_LATENCY)] == [("create",), ("paid",), ("mailed",)]
    assert not the(updates, of.SLOW)


def test_a_good_run_beyond_the_promised_latency_is_good_and_slow():
    journey = a_journey(slo=Slo(0.99, 86_400, {"p50": 1, "p95": 8}))

    updates = after(a_passed(journey, outcome_ms=5000.0), journey)

    assert the(updates, of.SLOW) == [Add(of.SLOW, ("p50",))]
    assert the(updates, of.GOOD)


def test_a_failed_run_is_booked_on_the_journeys_own_system():
    journey = a_journey()

    updates = after(a_failed(journey, system="shop"), journey)

    assert the(updates, of.FAILURES) == [Add(of.FAILURES, ("shop", "true"))]
    assert the(updates, of.STEP_FAILURES) == [Add(of.STEP_FAILURES, ("paid",))]
    assert the(updates, of.CONSECUTIVE) == [Add(of.CONSECUTIVE)]
    assert the(updates, of.BAD)
    assert not the(updates, of.LATENCY)
    assert not the(updates, of.LAST_SUCCESS)


def test_a_blamed_failure_pages_nobody_of_this_journey():
    journey = a_journey(steps=())
    blame = (("psp", Compiler().compile("status == 502", {"status": "int"})),)
    journey = replace(journey, steps=(Step("paid", PLACE, None, blame=blame),))

    updates = after(a_failed(journey, system="psp"), journey)

    assert [start.labels for start in starts(journey) if start.family is of.FAILURES] == [
        ("shop", "true"),
        ("psp", "false"),
    ]
    assert the(updates, of.FAILURES) == [Add(of.FAILURES, ("psp", "false"))]
    assert the(updates, of.CONSECUTIVE) == [Add(of.CONSECUTIVE, by=0)]


def test_an_unknown_run_is_nobodys_success_or_failure():
    journey = a_journey()

    updates = after(a_failed(journey, outcome=Outcome.UNKNOWN, reason=Reason.LOOP_STALLED), journey)

    assert {update.family for update in updates} == {of.RUNS, of.REASONS, of.LAST_RUN, of.STEP_LATENCY}


def test_a_gap_counts_every_slot_that_it_stands_for():
    journey = a_journey()
    gap = a_failed(journey, outcome=Outcome.MISSED, reason=Reason.DOWN, slots=40, run_id="", steps=())

    assert after(gap, journey) == (Add(of.RUNS, ("missed",), 40), Add(of.REASONS, ("missed", "down"), 40))


@pytest.mark.parametrize("cause", ["manual", "replay"])
def test_a_run_by_hand_and_a_replay_burn_no_promise(cause):
    journey = a_journey()
    broken = (ClauseRecord("once: posted", "p:1", "fail"),)

    by_hand = {update.family for update in after(a_failed(journey, cause=cause, clauses=broken), journey)}

    assert of.RUNS in by_hand
    assert by_hand.isdisjoint({of.BAD, of.FAILURES, of.STEP_FAILURES, of.CONSECUTIVE, of.CLAUSES})
    assert (of.LAST_RUN in by_hand) is (cause == "manual")  # a replay is no sign that the schedule goes on


def test_what_was_measured_while_we_lagged_is_in_no_latency():
    journey = a_journey()

    updates = after(a_passed(journey, lagged=True), journey)

    assert the(updates, of.LAGGED)
    assert not the(updates, of.LATENCY)


def test_detail_decides_which_series_there_are():
    journey = a_journey(steps=("create",))
    attempt = Attempt("create", "GET /", 0, 9, timing=Timing(dns_ms=1, wait_ms=7, first_byte_at_s=0.1))
    record = a_passed(journey)
    record = replace(record, steps=(replace(record.steps[0], attempts=(attempt,)),))
    much, little = Detail(duration=True, phases=True), Detail(steps=False)

    told = {detail: {update.family for update in after(record, journey, detail)} for detail in (much, little)}

    assert {of.DURATION, of.PHASES, of.ATTEMPTS, of.STEP_LATENCY} <= told[much]
    assert told[little].isdisjoint({of.DURATION, of.PHASES, of.ATTEMPTS, of.STEP_LATENCY})
    assert {of.DURATION, of.PHASES, of.ATTEMPTS} <= {start.family for start in starts(journey, much)}
    assert Add(of.PHASES, ("wait",), 0.007) in after(record, journey, much)


def test_a_journeys_own_labels_never_hide_ours_nor_break_the_page():
    journey = a_journey(labels={"team": "orders", "owner": "nobody", "cost-centre": "7", "__name__": "x"})

    (info,) = (sample for sample in constants(journey) if sample.family is of.INFO)

    labels = dict(info.labels)
    assert labels["owner"] == "orders"
    assert labels["team"] == "orders"
    assert labels["cost_centre"] == "7"
    assert all(re.fullmatch("[a-z][a-z_]*", name) for name in labels)


def test_a_cron_journey_states_the_longest_time_between_two_slots():
    told = {sample.family: sample.value for sample in constants(a_journey(schedule=Cron("0 9-17 * * mon-fri")))}

    assert told[of.INTERVAL] == (48 + 16) * 3600  # from Friday at five to Monday at nine


def test_the_first_certificate_to_expire_is_told_as_an_instant():
    journey = a_journey()
    plain = a_passed(journey)
    looks = tuple(
        Attempt(f"a#{days}", "GET /", 0, 1.0, timing=Timing(tls_expires_in_s=days * 86400.0)) for days in (30, 9)
    )
    secured = replace(plain, steps=(replace(plain.steps[0], attempts=looks), *plain.steps[1:]))

    (told,) = the(after(secured, journey), of.TLS_EXPIRES)

    assert abs(told.value - NOON.timestamp() - 9 * 86400) <= 100
    assert not the(after(plain, journey), of.TLS_EXPIRES)


def test_every_clause_stands_at_zero_for_each_verdict_and_odd_orders_do_where_events_are_gathered():
    clauses = (Clause(Word.ONCE, ("a",), PLACE), Clause(Word.BEFORE, ("a", "b"), PLACE, name="a first"))
    promises = Promises((), clauses, (Source("logs", "jsonl", None),))
    journey = replace(a_journey(), promises=promises)

    begun = starts(journey)

    assert [start.labels for start in begun if start.family is of.CLAUSES] == [
        (text, verdict) for text in ("once: a", "a first") for verdict in ("pass", "fail", "unknown")
    ]
    assert [start.labels for start in begun if start.family is of.ODD] == [()]
    assert not [start for start in starts(a_journey()) if start.family is of.ODD]


def test_an_odd_run_counts_once_whatever_is_odd_in_it():
    odd = replace(a_passed(a_journey()), notes=(f"{ODD_ORDER}b came before a", f"{ODD_ORDER}c came before a"))

    assert the(after(odd, a_journey()), of.ODD) == [Add(of.ODD)]
    assert not the(after(replace(odd, notes=("something else",)), a_journey()), of.ODD)

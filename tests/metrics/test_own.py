"""synthmon's metrics about itself."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from synthmon.core.undo.debt_budget import DebtBudget
from synthmon.metrics.own import Own


def told(own, openmetrics=True):
    text = own.render(openmetrics).decode()
    families = (parse_openmetrics if openmetrics else parse_text)(text)
    return {sample.name: sample for family in families for sample in family.samples if sample.name[:5] == "synth"}


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_daemon_says_how_it_is(openmetrics):
    own = Own("1.2.3", "eu")
    own.beat(1_700_000_000)
    own.lagged(0.001, 0.2)
    own.scheduled(3)
    own.started(-0.001)
    own.owes(DebtBudget({"": 2, "shop": 2}, {"": 5, "shop": 1}), 30)
    own.paused(1)
    own.unsaved()
    own.watch_running(lambda: 7)

    samples = told(own, openmetrics)

    assert {
        name: samples[name].value
        for name in (
            "synthmon_up",
            "synthmon_heartbeat_timestamp_seconds",
            "synthmon_loop_lag_max_seconds",
            "synthmon_slots_scheduled_total",
            "synthmon_run_lateness_seconds_count",
            "synthmon_open_debts",
            "synthmon_oldest_debt_age_seconds",
            "synthmon_journeys_paused",
            "synthmon_history_write_failures_total",
            "synthmon_runs_in_progress",
        )
    } == {
        "synthmon_up": 1,
        "synthmon_heartbeat_timestamp_seconds": 1_700_000_000,
        "synthmon_loop_lag_max_seconds": 0.2,
        "synthmon_slots_scheduled_total": 3,
        "synthmon_run_lateness_seconds_count": 1,
        "synthmon_open_debts": 2,
        "synthmon_oldest_debt_age_seconds": 30,
        "synthmon_journeys_paused": 1,
        "synthmon_history_write_failures_total": 1,
        "synthmon_runs_in_progress": 7,
    }
    assert samples["synthmon_build_info"].labels["version"] == "1.2.3"


def test_too_many_debts_are_told_by_system_and_for_all_of_them():
    own = Own("1")
    own.owes(DebtBudget({"": 3, "shop": 3}, {"": 2, "shop": 5, "bank": 0, "gone": 1}), 0)
    own.owes(DebtBudget({"": 3, "shop": 3}, {"": 2, "shop": 2, "bank": 0}), 0)

    families = parse_text(own.render(False).decode())
    samples = [one for family in families for one in family.samples if one.name == "synthmon_debts_over_budget"]

    assert {one.labels["system"]: one.value for one in samples} == {"": 1, "shop": 1, "bank": 0}


def test_a_load_with_errors_is_no_success():
    own = Own("1")
    own.loaded(5, errors=0, warnings=1, at_s=100)
    own.loaded(4, errors=2, warnings=0, at_s=200)

    samples = told(own)

    assert samples["synthmon_config_last_reload_success_timestamp_seconds"].value == 100
    assert samples["synthmon_journeys"].value == 4


def test_two_of_them_do_not_get_in_each_others_way():
    first, second = Own("1"), Own("1")

    first.scheduled(5)

    assert told(second)["synthmon_slots_scheduled_total"].value == 0

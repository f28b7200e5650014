"""A restart neither resolves an alert that fires nor invents runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from synthmon.core.families import CONSECUTIVE, LAST_SUCCESS, RUNS
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.metrics.board import Board
from tests.core.scripted import journey, step

SLOT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROBE = journey(step("read", "GET /a"))


def record(minute: int, outcome: Outcome) -> Record:
    at = SLOT + timedelta(minutes=minute)
    reason = Reason.LOST if outcome is Outcome.FAILED else Reason.NONE
    return Record("probe", at, outcome, reason, run_id="a" * 32, started=at, ended=at, system="shop")


def test_failures_in_a_row_go_on_from_before_the_restart_and_counters_begin_at_0() -> None:
    board = Board()
    board.load([PROBE])

    for minute, outcome in enumerate([Outcome.PASSED, Outcome.FAILED, Outcome.FAILED]):
        board.recall(record(minute, outcome), PROBE)
    board.record(record(3, Outcome.FAILED), PROBE)

    assert board.value(CONSECUTIVE, "probe") == 3
    assert board.value(LAST_SUCCESS, "probe") == SLOT.timestamp()
    assert board.value(RUNS, "probe", labels=("failed",)) == 1


def test_a_journey_without_a_past_has_nothing_to_go_on_from() -> None:
    board = Board()
    board.load([replace(PROBE, name="other")])

    board.recall(record(0, Outcome.FAILED), PROBE)

    assert board.value(CONSECUTIVE, "other") is None

"""The account of a daemon's slots, read from its API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.acceptance.daemon import DaemonProcess

Told = dict[str, Any]


def all_runs(daemon: DaemonProcess) -> list[Told]:
    """Everything that history keeps, page by page, newest first."""
    runs: list[Told] = []
    before = ""
    while True:
        page = daemon.get(f"/api/v1/runs?limit=500{before}")
        runs += page["runs"]
        if page["next"] is None:
            return runs
        before = f"&before={page['next'].replace('+', '%2B')}"


def assert_each_slot_is_told_once(runs: Sequence[Told], journey: str, every_s: float = 1.0) -> None:
    """From the first slot to the last one without a hole and without a double."""
    told = [run for run in runs if run["journey"] == journey and run["cause"] == "schedule"]
    told.sort(key=lambda run: str(run["slot"]))
    slots = [run["slot"] for run in told]
    assert slots, f"{journey} had no slot"
    assert len(slots) == len(set(slots)), f"a slot of {journey} was told twice"
    span_s = instant_s(slots[-1]) - instant_s(slots[0])
    assert sum(int(run["slots"]) for run in told) == round(span_s / every_s) + int(told[0]["slots"]), (
        f"the history of {journey} has a hole: {[(run['slot'], run['outcome'], run['slots']) for run in told]}"
    )


def instant_s(text: str) -> float:
    """Seconds since 1970 of an instant of the API."""
    return datetime.fromisoformat(text).timestamp()

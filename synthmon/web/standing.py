"""How a journey stands, from its last records: what the list of journeys is sorted and coloured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.status import JourneyStatus


class State(StrEnum):
    """The worst first."""

    FAILING = "failing"
    UNKNOWN = "unknown"  # the newest slot measured nothing
    FLAKY = "flaky"
    PASSING = "passing"
    WAITING = "waiting"  # no slot yet
    PAUSED = "paused"


_STATES = {
    Outcome.FAILED: State.FAILING,
    Outcome.UNKNOWN: State.UNKNOWN,
    Outcome.SKIPPED: State.UNKNOWN,
    Outcome.MISSED: State.UNKNOWN,
    Outcome.FLAKY: State.FLAKY,
    Outcome.PASSED: State.PASSING,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """`since`: the slot from which on it has stood like this, as far as is remembered; `why`: the last bad message."""

    state: State
    p50_ms: float | None
    p95_ms: float | None
    since: datetime | None
    why: str


def state_of(status: JourneyStatus) -> State:
    """The state alone: cheap, for the lists."""
    if status.paused:
        return State.PAUSED
    return _STATES[status.recent[0].outcome] if status.recent else State.WAITING


def standing(status: JourneyStatus) -> Standing:
    """Everything that the list tells."""
    good = sorted(
        record.outcome_ms for record in status.recent if _is_measured(record) and record.outcome_ms is not None
    )
    newest = status.recent[0] if status.recent else None
    same = _same(status.recent)
    return Standing(
        state_of(status),
        percentile(good, 0.50),
        percentile(good, 0.95),
        same[-1].slot if same else None,
        (newest.message or newest.reason.replace("_", " ")) if newest and newest.outcome is not Outcome.PASSED else "",
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of ascending values; None of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


def _is_measured(record: Record) -> bool:
    return record.outcome in (Outcome.PASSED, Outcome.FLAKY) and not record.lagged


def _same(recent: Sequence[Record]) -> Sequence[Record]:
    """The newest records that came out alike."""
    differs = next((at for at, record in enumerate(recent) if record.outcome is not recent[0].outcome), len(recent))
    return recent[:differs]

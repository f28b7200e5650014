"""Runs as other systems tell them, for tests: `told("a b c")` is one in which a, b and c happened in this order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from synthmon.core.evidence import Evidence
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record

STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEGIN_NS = round(STARTED.timestamp() * 1e9)
MS = 1_000_000


def told(names: str, outcome: Outcome = Outcome.PASSED, run_id: str = "0" * 32, **changed: dict[str, object]) -> Record:
    """Each name 10 ms after the one before, on one clock; `b={"attempt": 2}` changes what is told of b."""
    records = []
    for number, name in enumerate(names.split(), 1):
        one = Evidence("logs", name, BEGIN_NS + number * 10 * MS, id=f"{name}{number}", status="ok", clock="shop")
        records.append(replace(one, **changed.get(name, {})))  # type: ignore[arg-type]
    return Record(
        "orders", STARTED, outcome, Reason.NONE, run_id=run_id, version="v1", started=STARTED, evidence=tuple(records)
    )


def at(name: str, at_ms: float, **more: object) -> Evidence:
    """One record so many milliseconds after the start."""
    known: dict[str, object] = {"id": name, "status": "ok", "clock": "shop", **more}
    return Evidence("logs", name, BEGIN_NS + round(at_ms * MS), **known)  # type: ignore[arg-type]


def run_of(*records: Evidence, outcome: Outcome = Outcome.PASSED, run_id: str = "0" * 32) -> Record:
    """A run with exactly these records."""
    return Record(
        "orders", STARTED, outcome, Reason.NONE, run_id=run_id, version="v1", started=STARTED, evidence=records
    )

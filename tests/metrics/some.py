"""Journeys and records to count."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from synthmon.core.errors import Place
from synthmon.core.journey import Alert, Every, Journey, Slo, Step
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record, StepRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = Place("probes/some.yaml")


def a_journey(name: str = "order", steps: tuple[str, ...] = ("create", "paid", "mailed"), **more: object) -> Journey:
    """A journey of a few steps; `more` replaces any of its fields."""
    fields: dict[str, object] = {
        "name": name,
        "place": PLACE,
        "digest": "d" * 64,
        "schedule": Every(60),
        "deadline_s": 30,
        "system": "shop",
        "steps": tuple(Step(step, PLACE, None) for step in steps),
        "case_name": name.partition("/")[2],
        "owner": "orders",
        "title": "An order is paid",
        "slo": Slo(0.995, 2_592_000, {"p95": 8}),
        "alert": Alert("page", 2),
    }
    return Journey(**(fields | more))  # type: ignore[arg-type]


def a_record(journey: Journey, draw: random.Random, **more: object) -> Record:
    """What a good run (one in fifty: a bad one) leaves."""
    bad = draw.random() < 0.02
    took_ms = draw.lognormvariate(7, 0.5)
    fields: dict[str, object] = {
        "journey": journey.name,
        "slot": NOON,
        "outcome": Outcome.FAILED if bad else Outcome.PASSED,
        "reason": Reason.EXPECTATION if bad else Reason.NONE,
        "run_id": f"{draw.getrandbits(128):032x}",
        "started": NOON,
        "ended": NOON + timedelta(milliseconds=took_ms),
        "took_ms": took_ms,
        "outcome_ms": took_ms * 0.9,
        "step": journey.steps[0].id if bad else "",
        "steps": tuple(
            StepRecord(step.id, "http", "", Outcome.PASSED, latency_ms=draw.lognormvariate(5, 1))
            for step in journey.steps
        ),
    }
    return Record(**(fields | more))  # type: ignore[arg-type]

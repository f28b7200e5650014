"""The nouns of the API: what a journey, a run and a problem look like as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthmon.core.errors import Problem
from synthmon.core.journey import Cron, Every, Journey
from synthmon.core.lengths import written
from synthmon.core.run import Record
from synthmon.core.status import JourneyStatus, Reloaded
from synthmon.core.timeline import timeline
from synthmon.core.undo.debt_budget import EVERYWHERE, DebtBudget
from synthmon.web.standing import Standing, standing


def journey_summary(status: JourneyStatus) -> Mapping[str, Any]:
    """One journey of the list."""
    journey = status.journey
    now: Standing = standing(status)
    return {
        "name": journey.name,
        "title": journey.title,
        "owner": journey.owner,
        "system": journey.system,
        "state": now.state,
        "paused": status.paused,
        "running": status.running,
        "next_slot": status.next_slot,
        "latency_ms": {"p50": now.p50_ms, "p95": now.p95_ms},
        "last": run_summary(status.recent[0]) if status.recent else None,
    }


def journey_detail(status: JourneyStatus) -> Mapping[str, Any]:
    """One journey, whole."""
    journey = status.journey
    return {
        **journey_summary(status),
        "version": journey.digest,
        "place": str(journey.place),
        "case": dict(journey.case),
        "schedule": schedule(journey),
        "deadline_s": journey.deadline_s,
        "locations": journey.locations,
        "labels": dict(journey.labels),
        "runbook": journey.runbook,
        "slo": journey.slo,
        "alert": journey.alert,
        "steps": [{"id": step.id, "title": step.title, "kind": _kind(step)} for step in journey.flat],
        "recent": [run_summary(record) for record in status.recent],
        "text": journey.text,
    }


def run_summary(record: Record) -> Mapping[str, Any]:
    """One run or one slot without a run."""
    return {
        "id": record.run_id or None,
        "journey": record.journey,
        "slot": record.slot,
        "location": record.location,
        "outcome": record.outcome,
        "reason": record.reason or None,
        "message": record.message,
        "step": record.step or None,
        "system": record.system or None,
        "started": record.started,
        "ended": record.ended,
        "took_ms": record.took_ms,
        "outcome_ms": record.outcome_ms,
        "lateness_ms": record.lateness_ms,
        "lagged": record.lagged,
        "slots": record.slots,
        "cause": record.cause,
    }


def run_detail(record: Record) -> Mapping[str, Any]:
    """One run, whole."""
    return {
        **run_summary(record),
        "version": record.version,
        "replay_of": record.replay_of or None,
        "steps": record.steps,
        "verify": record.verify,
        "clauses": record.clauses,
        "notes": record.notes,
        "timeline": timeline(record) if record.evidence else (),
        "evidence_forgotten": record.evidence_forgotten,
        "undo": record.undo,
        "debts": record.debts,
        "vars": dict(record.vars),
        "identity": dict(record.identity),
    }


def problem(told: Problem) -> Mapping[str, Any]:
    """One mistake in a file."""
    place = told.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "path": place.path,
        "level": told.level,
        "code": told.code,
        "fault": told.fault,
        "remedy": told.remedy,
    }


def debt_budget(budget: DebtBudget) -> Mapping[str, Any]:
    """How many debts are open and how many may be: in all, and in each system; `over` are those with too many."""
    told = {
        name: {"open": budget.open.get(name, 0), "limit": limit, "over": name in budget.over}
        for name, limit in budget.limits.items()
    }
    return {"all": told.pop(EVERYWHERE, None), "systems": told}


def reloaded(done: Reloaded) -> Mapping[str, Any]:
    """What a reload changed."""
    return {
        "added": list(done.added),
        "changed": list(done.changed),
        "removed": list(done.removed),
        "problems": [problem(told) for told in done.problems],
    }


def schedule(journey: Journey) -> str:
    """The schedule as it is written: `every 1m`, `cron */5 * * * * (Europe/Berlin)`."""
    match journey.schedule:
        case Every(interval_s):
            return f"every {written(interval_s)}"
        case Cron(text, timezone):
            return f"cron {text} ({timezone})"


def _kind(step: Any) -> str:
    return step.spec.kind if step.spec is not None else "pause"

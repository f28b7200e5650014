"""The record of a run that is over: its outcome, its reason, and the sentence for a person at 3 a.m."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from synthmon.core import secrets
from synthmon.core.evidence import Evidence
from synthmon.core.journey import Step
from synthmon.core.outcomes import Outcome, Reason, outcome_of
from synthmon.core.run import Attempt, CheckRecord, ClauseRecord, DebtRecord, Record, Run, StepRecord
from synthmon.core.secrets import Vault
from synthmon.core.sequence.clauses import Word
from synthmon.core.sequence.judgement import Judgement, Verdict
from synthmon.core.transact.course import Course, masked
from synthmon.core.transact.judge import say
from synthmon.core.transact.transaction import Transaction


def record(run: Transaction, identity: dict[str, object] | None = None) -> Record:
    """Everything kept of a run that is done."""
    outcome, reason, message, decided = _verdict(run)
    steps = tuple(_step_record(run, step) for step in run.journey.flat)
    forward_end_s = run.forward_end_s if run.forward_end_s is not None else run.now_s
    return Record(
        journey=run.journey.name,
        slot=run.run.slot,
        outcome=outcome,
        reason=reason,
        run_id=run.run.id,
        version=run.run.version,
        location=run.run.location,
        started=run.run.started,
        ended=run.now,
        took_ms=(forward_end_s - run.begin_s) * 1e3,
        outcome_ms=_outcome_ms(run),
        lateness_ms=(run.run.started - run.run.slot) / timedelta(milliseconds=1),
        message=secrets.masked(message),
        step=decided.step.id if decided else "",
        system=decided.blamed() if decided else run.journey.system,
        steps=steps,
        verify=run.verified,
        clauses=tuple(clause_record(judged) for judged in run.monitor.judgements),
        evidence=tuple(sorted(run.evidence.values(), key=lambda found: (found.at_ns, found.seq))),
        notes=tuple(map(secrets.masked, (*run.blindness.notes(run.begin_s), *run.ids.notes))),
        undo=tuple(sorted((a for debt in run.debts for a in debt.attempts), key=lambda a: a.at_ms)),
        debts=tuple(DebtRecord(debt.path, _undo_words(debt.path), debt.state) for debt in run.debts),
        vars={name: masked(value) for name, value in run.vars.items()},
        identity={name: masked(value) for name, value in (identity or {}).items()},
        lagged=any(step.lagged for step in steps),
        cause=run.run.cause,
        replay_of=run.run.replay_of,
    )


def unstarted(run: Run, outcome: Outcome, reason: Reason, message: str, ended: datetime | None = None) -> Record:
    """The record of a run that ended before its first act, or whose process did not live to tell."""
    return Record(
        journey=run.journey,
        slot=run.slot,
        outcome=outcome,
        reason=reason,
        run_id=run.id,
        version=run.version,
        location=run.location,
        started=run.started,
        ended=ended,
        lateness_ms=(run.started - run.slot) / timedelta(milliseconds=1),
        message=message,
        cause=run.cause,
        replay_of=run.replay_of,
    )


def redacted(record: Record, vault: Vault) -> Record:
    """The record without the secrets of its run. Nearly all hold none, which one look at all texts together tells."""
    if not vault.hides:
        return record
    text = "\n".join(_texts(record))
    found: Record = _redacted(record, vault.redact) if secrets.sealed(text) or vault.holds(text) else record
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every text in a record."""
    match value:
        case StrEnum():
            return
        case str():
            yield value
        case tuple() | list():
            for each in value:
                yield from _texts(each)
        case dict():
            for key, each in value.items():
                yield from _texts(key)
                yield from _texts(each)
        case Record() | StepRecord() | Attempt() | CheckRecord() | ClauseRecord() | DebtRecord() | Evidence():
            for name in value.__slots__:
                yield from _texts(getattr(value, name))


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    """A record, or a part of it, with every text in it redacted."""
    match value:
        case StrEnum():
            return value
        case str():
            return redact(value)
        case tuple():
            return tuple(_redacted(item, redact) for item in value)
        case list():
            return [_redacted(item, redact) for item in value]
        case dict():
            return {_redacted(key, redact): _redacted(item, redact) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _redacted(getattr(value, f.name), redact) for f in fields(value)})
    return value


def _verdict(run: Transaction) -> tuple[Outcome, Reason, str, Course | None]:
    """Theirs before ours, the first in order of writing; nothing checked is never passed."""
    courses = [run.courses[step.id] for step in run.journey.flat if step.id in run.courses]
    for outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        for course in courses:
            if course.outcome is outcome:
                return outcome, course.reason, f"{course.step.id}: {course.message}", course
    if run.trouble[0] is not Reason.NONE:
        return outcome_of(run.trouble[0]), *run.trouble, None
    if run.stopped is not Reason.NONE and not (run.stopped is Reason.DEADLINE and run.steps_held):
        said = (
            f"the deadline of {run.journey.deadline_s:g}s passed" if run.stopped is Reason.DEADLINE else "interrupted"
        )
        return outcome_of(run.stopped), run.stopped, said, None
    failed = next((check for check in run.verified if check.ok is False), None)
    if failed is not None:
        return Outcome.FAILED, Reason.EXPECTATION, f"verify: {say(failed)}", None
    as_written = sorted(run.monitor.judgements, key=lambda judged: judged.clause.place.line)
    for verdict, outcome in ((Verdict.FAIL, Outcome.FAILED), (Verdict.UNKNOWN, Outcome.UNKNOWN)):
        if verdict is Verdict.UNKNOWN and run.overdue:
            said = f"the deadline of {run.journey.deadline_s:g}s passed, and nothing was told of {run.overdue[0].text}"
            return Outcome.FAILED, Reason.DEADLINE, f"verify: {said}", None
        broken = next((judged for judged in as_written if judged.verdict is verdict), None)
        if broken is not None:
            place = broken.clause.place
            said = f"{place.file}:{place.line}  {broken.clause.text}: {broken.said}"
            return outcome, _reason_of(broken), f"verify: {said}", None
    held = sum(judged.verdict is Verdict.PASS for judged in as_written)
    evaluated = held + sum(course.judged.evaluated for course in courses) + sum(c.ok is not None for c in run.verified)
    if not evaluated:
        return Outcome.SKIPPED, Reason.WHEN, "every check was skipped by `when`", None
    if any(course.outcome is Outcome.FLAKY for course in courses):
        return Outcome.FLAKY, Reason.NONE, "passed after a retry", None
    return Outcome.PASSED, Reason.NONE, "", None


def _reason_of(judged: Judgement) -> Reason:
    """Why a run ends as it does because of one clause."""
    if judged.verdict is Verdict.UNKNOWN:
        return Reason.EVIDENCE
    match judged.clause.word:
        case Word.HAPPENS | Word.FOLLOWS:
            return Reason.LOST
        case Word.BEFORE:
            return Reason.ORDER if len(judged.records) > 1 else Reason.LOST
        case Word.ONCE:
            return Reason.DUPLICATE if judged.records else Reason.LOST
        case Word.AT_MOST:
            return Reason.DUPLICATE
    return Reason.EXPECTATION


def clause_record(judged: Judgement) -> ClauseRecord:
    """What is kept of the verdict of a clause."""
    place = judged.clause.place
    decided_by = tuple(record.happening for record in judged.records[:10])
    return ClauseRecord(judged.clause.text, f"{place.file}:{place.line}", judged.verdict, judged.said, decided_by)


def _step_record(run: Transaction, step: Step) -> StepRecord:
    course = run.courses.get(step.id)
    if course is not None:
        return course.record(run.begin_s)
    kind = step.spec.kind if step.spec else "pause"
    return StepRecord(step.id, kind, step.title, Outcome.SKIPPED, message="not reached", system=step.system)


def _outcome_ms(run: Transaction) -> float | None:
    """From the first byte that left to the last check that held; only for a run in which all held."""
    courses = run.courses.values()
    if any(c.outcome in (Outcome.FAILED, Outcome.UNKNOWN, None) for c in courses) or not run.sent_s:
        return None
    held = [course.held_s for course in courses if course.held_s is not None]
    return (max(held) - min(run.sent_s.values())) * 1e3 if held else None


def _undo_words(path: str) -> str:
    return f"what {path} made"

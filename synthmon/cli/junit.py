"""Runs as a JUnit report, for CI systems that read one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from junitparser.junitparser import FinalResult

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record, StepRecord


def write_junit(file: Path, records: Sequence[Record]) -> None:
    """A suite a run, a case a step: failed is a failure, unknown is an error."""
    report = JUnitXml("synthmon")
    for record in records:
        suite = TestSuite(record.journey)
        if record.started is not None:
            suite.timestamp = record.started.isoformat()
        suite.add_property("run", record.run_id)
        for step in record.steps:
            suite.add_testcase(_case(record, step))
        if not record.steps or not any(step.outcome is record.outcome for step in record.steps):
            case = TestCase("the run", record.journey, record.took_ms / 1e3)
            case.result = _result(record.outcome, str(record.reason), record.message)
            suite.add_testcase(case)
        report.add_testsuite(suite)
    report.write(str(file), pretty=True)


def _case(record: Record, step: StepRecord) -> TestCase:
    case = TestCase(step.title or step.id, record.journey, (step.latency_ms or 0.0) / 1e3)
    case.result = _result(step.outcome, str(step.reason), step.message)
    return case


def _result(outcome: Outcome, reason: str, message: str) -> list[FinalResult]:
    match outcome:
        case Outcome.FAILED:
            return [Failure(message, reason)]
        case Outcome.UNKNOWN:
            return [Error(message, reason)]
        case Outcome.SKIPPED | Outcome.MISSED:
            return [Skipped(message)]
    return []

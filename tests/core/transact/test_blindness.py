"""A source that could not tell for a part of a run is named in its record, whatever the run came to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synthmon.core.evidence import Blind, Evidence, Report, Watermark
from synthmon.core.finding.investigation import investigate
from synthmon.core.finding.peers import Peers
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.sequence.clauses import Word
from synthmon.core.sequence.clocks import TRUSTED
from synthmon.core.transact.blindness import Blindness
from tests.core.told import told
from tests.core.transact.test_gathering import clause, marks, promising, run, seen

DOWN = Blind("logs", Reason.CONNECTION, "Loki at logs:3100: connection refused")


def notes(*reports: tuple[float, Report]) -> tuple[str, ...]:
    """What is noted of reports at these instants, of a run that began at 100 s."""
    blindness = Blindness()
    for at_s, report in reports:
        blindness.take(report, at_s)
    return blindness.notes(100.0)


def test_a_run_whose_clauses_were_all_decided_says_that_a_source_was_down_meanwhile() -> None:
    reports = [*marks(4), (2.1, DOWN), seen("posted", 1.9, told_s=2.5), *marks(20)[8:]]

    _, record = run(promising(clause(Word.HAPPENS, "posted"), settle_s=3.0), sorted(reports, key=lambda one: one[0]))

    assert record.outcome is Outcome.PASSED, record.message
    assert record.notes == (
        "logs could not tell from +2.1s to +2.5s: Loki at logs:3100: connection refused (connection)",
    )


def test_a_run_whose_sources_all_told_has_no_note() -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), [*marks(2), seen("posted", 0.4), *marks(20)[4:]])

    assert record.outcome is Outcome.PASSED, record.message
    assert record.notes == ()


def test_more_records_than_are_kept_are_a_note_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthmon.core.transact.gather.MOST_RECORDS", 2)
    many = [seen("publish", at_s) for at_s in (0.2, 0.3, 0.4)]

    _, record = run(promising(clause(Word.HAPPENS, "posted")), [*many, *marks(20)])

    assert any(
        note.startswith("logs could not tell from +0.7s to the end: more than 2 records") for note in record.notes
    )


def test_a_source_that_is_down_to_the_end_is_told_from_when() -> None:
    assert notes((100.0, Watermark("logs", 1)), (102.1, DOWN), (103.0, DOWN)) == (
        "logs could not tell from +2.1s to the end: Loki at logs:3100: connection refused (connection)",
    )


def test_a_source_that_was_down_from_the_start_is_told_too() -> None:
    assert notes((100.2, DOWN))[0].startswith("logs could not tell from +0.2s to the end: ")


def test_several_times_are_one_note_with_the_first_why() -> None:
    again = Blind("logs", Reason.TIMEOUT, "no answer")

    noted = notes(*((100.0 + at_s, one) for at_s, one in ((0, MARK), (1, DOWN), (2, MARK), (3, again), (4, MARK))))

    assert noted == (
        "logs could not tell from +1.0s to +4.0s, 2 times: Loki at logs:3100: connection refused (connection)",
    )


def test_a_source_that_hears_nobody_until_the_first_reports_is_not_blind() -> None:
    deaf = Blind("spans", Reason.CONNECTION, "no system has reported anything by OTLP")
    span = Evidence("spans", "publish", 1)

    assert notes((100.0, deaf), (101.0, span), (101.1, Watermark("spans", 1))) == ()


MARK = Watermark("logs", 1)


def test_who_looks_into_the_run_is_told() -> None:
    record = replace(told("publish posted"), notes=notes((102.1, DOWN)))

    assert record.notes[0] in investigate(record, Peers(()), TRUSTED).notes

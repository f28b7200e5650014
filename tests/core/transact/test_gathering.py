"""A run that is judged by what other systems report: it waits as long as it must, and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from synthmon.core.acts import Cancel, Watch
from synthmon.core.evidence import MOST_RECORDS, Blind, Evidence, Report, Watermark
from synthmon.core.journey import Journey, Promises
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.secrets import Vault
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sources import Source
from synthmon.core.timeline import timeline
from synthmon.core.transact.verdict import redacted
from tests.core.scripted import PLACE, START, Answer, World, journey, step

BEGIN_NS = int(START.timestamp() * 1e9)
LOGS = Source("logs", "jsonl", None, lag_s=1.0)
EVENTS = (EventSpec("publish", "logs", {"step": "publish"}), EventSpec("posted", "logs", {"step": "posted"}))


def promising(*clauses: Clause, within_s: float = 5.0, settle_s: float = 0.0, **more: float) -> Journey:
    promises = Promises(EVENTS, clauses, (LOGS,), within_s, settle_s)
    return journey(step("order", "POST /orders"), promises=promises, **more)


def clause(word: Word, *events: str, within_s: float | None = None, after: str = "", limit: int = 0) -> Clause:
    return Clause(word, events, PLACE, within_s=within_s, after=after, limit=limit)


def seen(step: str, at_s: float, id: str = "", told_s: float | None = None) -> tuple[float, Report]:
    record = Evidence("logs", step, BEGIN_NS + int(at_s * 1e9), id=id or f"{step}{at_s}", clock="shop")
    return at_s + 0.3 if told_s is None else told_s, record


def marks(until_s: float, every_s: float = 0.5) -> list[tuple[float, Report]]:
    """A source that looks regularly, a second behind."""
    return [
        (n * every_s, Watermark("logs", BEGIN_NS + int((n * every_s - 1.0) * 1e9)))
        for n in range(int(until_s / every_s))
    ]


def run(probe: Journey, reports: Sequence[tuple[float, Report]], **how: float) -> tuple[World, Record]:
    world = World(lambda request, now_s, act: Answer(201), reports=lambda source: reports)
    return world, world.record(probe, **how)


def test_the_run_ends_as_soon_as_every_clause_is_decided() -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), [seen("posted", 0.4)])

    assert record.outcome is Outcome.PASSED, record.message
    assert record.took_ms == pytest.approx(700)
    assert [(c.text, c.verdict) for c in record.clauses] == [("happens: posted", "pass")]
    assert [e.step for e in record.evidence] == ["posted"]


def test_an_event_that_never_comes_fails_when_the_source_has_told_that_far() -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), marks(20))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.LOST)
    place = record.clauses[0].place
    assert record.message.startswith(f"verify: {place}  happens: posted: posted did not happen by")
    assert record.took_ms == pytest.approx(6500, abs=600)  # 5 s after the last step, and the lag


def test_a_wrong_order_is_named() -> None:
    late = [seen("posted", 0.2), seen("publish", 0.4), *marks(20)]

    _, record = run(promising(clause(Word.BEFORE, "publish", "posted")), late)

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.ORDER)
    assert "posted at +0.200s (shop) came before publish at +0.400s (shop)" in record.message


def test_two_services_that_take_one_event_are_two_happenings() -> None:
    both = [seen("publish", 0.2, id="e-1"), seen("posted", 0.4, id="e-1"), *marks(20)]

    _, record = run(promising(clause(Word.BEFORE, "publish", "posted")), both)

    assert record.outcome is Outcome.PASSED, record.message
    assert [e.step for e in record.evidence] == ["publish", "posted"]
    assert [[name for name, _ in moment.decides] for moment in timeline(record) if moment.source == "logs"] == [
        ["before: [publish, posted]"],
        ["before: [publish, posted]"],
    ]


def test_a_retry_and_what_came_of_it_are_both_kept() -> None:
    told = [("retry", 0.2), ("ok", 0.3)]
    lines = [Evidence("logs", "posted", BEGIN_NS + int(at_s * 1e9), status=status, id="e-1") for status, at_s in told]

    _, record = run(promising(clause(Word.ONCE, "posted")), [*((0.5, line) for line in lines), *marks(20)])

    assert record.outcome is Outcome.PASSED, record.message
    assert [e.status for e in record.evidence] == ["retry", "ok"]


def test_a_second_effect_is_a_duplicate() -> None:
    _, record = run(promising(clause(Word.ONCE, "posted")), [seen("posted", 0.2), seen("posted", 0.3), *marks(20)])

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DUPLICATE)


@pytest.mark.parametrize("reports", [[], [(0.1, Blind("logs", Reason.CONNECTION, "Loki is down"))]])
def test_a_source_that_says_nothing_or_is_blind_is_ours(reports: list[tuple[float, Report]]) -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), reports)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EVIDENCE)
    assert record.took_ms < 9000


def test_a_failure_that_is_seen_counts_before_what_is_unknown() -> None:
    never = clause(Word.NEVER, "publish")
    blind = [seen("publish", 0.2), (0.6, Blind("logs", Reason.CONNECTION, "down"))]

    _, record = run(promising(clause(Word.HAPPENS, "posted"), never), blind)

    assert record.outcome is Outcome.FAILED
    assert "never: publish" in record.message


def test_a_run_that_fails_in_its_steps_says_what_was_decided_and_what_was_not_reached() -> None:
    probe = promising(clause(Word.HAPPENS, "publish"), clause(Word.HAPPENS, "posted"))
    world = World(
        lambda request, now_s, act: Answer(500, delay_s=1.0), reports=lambda source: [seen("publish", 0.2), *marks(9)]
    )

    record = world.record(probe)

    assert record.step == "order"
    assert [(c.verdict, c.said) for c in record.clauses][1] == ("unknown", "not reached")
    assert record.clauses[0].verdict == "pass"


def test_within_may_count_from_the_first_byte_of_a_step() -> None:
    happens = clause(Word.HAPPENS, "posted", within_s=0.5, after="order")

    _, in_time = run(promising(happens), [seen("posted", 0.4), *marks(20)])
    _, late = run(promising(happens), [seen("posted", 0.8), *marks(20)])

    assert in_time.outcome is Outcome.PASSED, in_time.message
    assert late.outcome is Outcome.FAILED
    assert "too late" in late.message


def test_it_settles_for_the_record() -> None:
    _, record = run(
        promising(clause(Word.HAPPENS, "posted"), settle_s=3.0), [seen("posted", 0.4), seen("publish", 1.0)]
    )

    assert record.outcome is Outcome.PASSED
    assert [e.step for e in record.evidence] == ["posted", "publish"]


def test_sources_are_watched_before_anything_leaves_and_let_go_at_the_end() -> None:
    world, _ = run(promising(clause(Word.HAPPENS, "posted")), [seen("posted", 0.4)])

    acts = [act for act in world.acts if isinstance(act, Watch | Cancel) or act.id == "order#1"]
    assert isinstance(acts[0], Watch)
    assert acts[0].wanted.traces == ("ab" * 16,)
    assert any(isinstance(act, Cancel) and act.id == "~evidence/logs" for act in acts)


def test_a_flood_of_evidence_is_bounded_and_then_nobody_can_tell() -> None:
    flood = [seen("publish", 0.1 + n * 1e-5, id=str(n)) for n in range(MOST_RECORDS + 10)]

    _, record = run(promising(clause(Word.HAPPENS, "posted")), [*flood, *marks(20)])

    assert len(record.evidence) == MOST_RECORDS
    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EVIDENCE)


def test_a_signal_while_it_waits_interrupts_the_run() -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), marks(20), term_s=2.0)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.INTERRUPTED)


def test_a_run_that_failed_looks_on_for_as_long_as_its_sources_lag() -> None:
    late = [seen("publish", 0.2, told_s=0.3), seen("posted", 0.1, told_s=0.9), seen("posted", 3.0, told_s=3.3)]
    world = World(lambda request, now_s, act: Answer(500), reports=lambda source: late)

    record = world.record(promising(clause(Word.HAPPENS, "posted")))

    assert (record.outcome, record.step) == (Outcome.FAILED, "order")
    assert [e.step for e in record.evidence] == ["posted", "publish"]
    assert record.took_ms < 1500


def test_looking_on_ends_before_the_deadline() -> None:
    slow = [seen("publish", 0.2, told_s=0.3)]
    world = World(lambda request, now_s, act: Answer(500), reports=lambda source: slow)

    record = world.record(promising(clause(Word.HAPPENS, "posted"), deadline_s=0.6))

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.EXPECTATION)
    assert [e.step for e in record.evidence] == ["publish"]


def test_a_secret_in_evidence_is_redacted_even_if_it_stands_nowhere_else() -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted")), [seen("posted", 0.4)])
    leaking = replace(record.evidence[0], attrs={"text": "token s3cr3t-value-123"})
    vault = Vault({"token": "s3cr3t-value-123"})

    kept = redacted(replace(record, evidence=(leaking,)), vault)

    assert kept.evidence[0].attrs == {"text": "token •••"}


@pytest.mark.parametrize("reports", [[], [(0.1, Blind("logs", Reason.CONNECTION, "Loki is down"))]])
def test_a_deadline_that_passes_while_a_source_cannot_tell_is_ours(reports: list[tuple[float, Report]]) -> None:
    _, record = run(promising(clause(Word.HAPPENS, "posted"), within_s=30.0, deadline_s=30.0), reports)

    assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.EVIDENCE)


def test_a_deadline_that_passes_before_what_its_source_would_have_told_is_theirs() -> None:
    probe = promising(clause(Word.HAPPENS, "posted"), within_s=30.0, deadline_s=30.0)

    _, record = run(probe, [seen("publish", 0.2), *marks(60)])

    assert (record.outcome, record.reason) == (Outcome.FAILED, Reason.DEADLINE)
    assert "nothing was told of happens: posted" in record.message


def test_a_deadline_that_ends_the_watch_for_what_must_not_happen_tells_nothing_of_the_target() -> None:
    probe = promising(clause(Word.NEVER, "posted"), within_s=30.0, deadline_s=30.0)

    _, well = run(probe, [seen("publish", 0.2), *marks(60)])
    _, badly = run(probe, [seen("posted", 0.2), *marks(60)])

    assert (well.outcome, well.reason) == (Outcome.UNKNOWN, Reason.EVIDENCE)
    assert (badly.outcome, badly.reason) == (Outcome.FAILED, Reason.EXPECTATION)


@pytest.mark.parametrize(("settle_s", "linger_s"), [(20.0, 0.0), (0.0, 20.0)])
def test_a_deadline_that_passes_when_all_is_decided_changes_nothing(settle_s: float, linger_s: float) -> None:
    probe = promising(clause(Word.HAPPENS, "posted"), settle_s=settle_s, deadline_s=10.0)
    probe = replace(probe, promises=replace(probe.promises, linger_s=linger_s))

    _, record = run(probe, [seen("posted", 0.4), *marks(60)])

    assert record.outcome is Outcome.PASSED, record.message

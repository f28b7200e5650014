"""Somebody else's request is held to the clauses of a journey, as far as they are not about our own steps."""

from __future__ import annotations

from dataclasses import replace

from synthmon.core.evidence import Evidence
from synthmon.core.expressions import Compiler
from synthmon.core.journey import Promises
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sequence.clocks import TRUSTED
from synthmon.core.sequence.production import judged
from tests.core.scripted import check
from tests.core.transact.test_gathering import BEGIN_NS, EVENTS, LOGS, clause

BEFORE = clause(Word.BEFORE, "publish", "posted")
TOLD = {"logs": BEGIN_NS + 3600 * 10**9}


def seen(step: str, at_s: float) -> Evidence:
    return Evidence("logs", step, BEGIN_NS + int(at_s * 1e9), id=f"{step}{at_s}", clock="shop")


def promises(*clauses: Clause, events: tuple[EventSpec, ...] = EVENTS) -> Promises:
    return Promises(events, clauses, (LOGS,), within_s=5.0)


def verdicts(*clauses: Clause, told: tuple[Evidence, ...], until: dict[str, int] = TOLD) -> list[str]:
    found, _ = judged(promises(*clauses), told, until, TRUSTED)
    return [one.verdict for one in found]


def test_an_order_that_the_journey_forbids_would_have_failed_and_says_by_what() -> None:
    (found,), left_out = judged(promises(BEFORE), (seen("posted", 0.2), seen("publish", 0.4)), TOLD, TRUSTED)

    assert (found.text, found.verdict, left_out) == ("before: [publish, posted]", "fail", 0)
    assert found.said.startswith("would have failed: posted at +0.000s (shop) came before publish")
    assert found.decided_by == ("posted:posted0.2", "publish:publish0.4")


def test_the_order_of_a_good_run_holds() -> None:
    assert verdicts(BEFORE, told=(seen("publish", 0.2), seen("posted", 0.4))) == ["pass"]


def test_what_did_not_happen_is_a_failure_only_where_its_source_has_told_that_far() -> None:
    happens = clause(Word.HAPPENS, "posted")
    short = {"logs": BEGIN_NS + 2 * 10**9}

    assert verdicts(happens, told=(seen("publish", 0.2),)) == ["fail"]
    assert verdicts(happens, told=(seen("publish", 0.2),), until=short) == ["unknown"]
    assert verdicts(happens, told=(seen("publish", 0.2),), until={}) == ["unknown"]


def test_a_limit_counts_from_the_first_that_was_told() -> None:
    soon = clause(Word.HAPPENS, "posted", within_s=1.0)

    assert verdicts(soon, told=(seen("publish", 10.0), seen("posted", 10.5))) == ["pass"]
    assert verdicts(soon, told=(seen("publish", 10.0), seen("posted", 12.0))) == ["fail"]


def test_what_is_about_our_own_run_is_left_out_and_counted() -> None:
    compiler = Compiler()
    ours = EventSpec(
        "posted", "logs", {}, compiler.compile("event.step == run.id", {"event.step": "string", "run.id": "string"})
    )
    theirs = replace(ours, where=compiler.compile("event.step == 'posted'", {"event.step": "string"}))
    after = clause(Word.HAPPENS, "publish", within_s=1.0, after="order")
    sometimes = replace(BEFORE, when=check("run.id == 'a'", "run.id").expression)
    told = (seen("publish", 0.2), seen("posted", 0.4))

    assert judged(promises(after, sometimes, clause(Word.EMPTY, "dlq")), told, TOLD, TRUSTED) == ((), 3)
    assert judged(promises(BEFORE, events=(EVENTS[0], ours)), told, TOLD, TRUSTED) == ((), 1)
    (found,), left_out = judged(promises(BEFORE, events=(EVENTS[0], theirs)), told, TOLD, TRUSTED)
    assert (found.verdict, left_out) == ("pass", 0)


def test_of_a_request_of_which_nothing_was_told_nothing_is_judged() -> None:
    assert judged(promises(BEFORE), (), TOLD, TRUSTED) == ((), 0)

"""What is found out about runs, as JSON: a story, a comparison, suspects; for the API and for `--json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthmon.core.finding.compare import Comparison, Difference
from synthmon.core.finding.investigation import Investigation
from synthmon.core.finding.peers import Ranking
from synthmon.core.finding.story import Line, Missed, Silence, Told
from synthmon.core.finding.suspects import Suspect
from synthmon.core.finding.verdict import predicate_of
from synthmon.web.shapes import run_summary

MOST_LINES = 5000


def investigation(found: Investigation) -> Mapping[str, Any]:
    """One run, looked into."""
    return {
        "run": run_summary(found.record),
        "verdict": found.verdict,
        "notes": found.notes,
        "clauses": found.record.clauses,
        "story": [line(one) for one in found.lines[:MOST_LINES]],
        "comparison": comparison(found.comparison, found.of),
        "suspects": suspects(found.ranking),
        "next": found.next,
    }


def line(one: Line) -> Mapping[str, Any]:
    """One line of a story; `form` says which."""
    match one:
        case Told(moment, times, until_ms, unsure_ms):
            more = {"times": times, "until_ms": until_ms, "order_unknown_ms": unsure_ms}
            return {"form": "told", "at_ms": moment.at_ms, "moment": moment, **more}
        case Silence():
            return {"form": "silence", "at_ms": one.at_ms, "said": one.said}
        case Missed():
            return {"form": "missed", "at_ms": one.at_ms, "name": one.name, "said": one.said}


def comparison(found: Comparison, of: str) -> Mapping[str, Any]:
    """One run beside others: `of` says which version these are."""
    differences = [_difference(one) for one in found.differences]
    return {
        "run": found.run_id,
        "good": found.good,
        "of": of,
        "first": differences[0] if differences else None,
        "differences": differences,
        "spent": found.spent,
    }


def suspects(found: Ranking, limit: int | None = None) -> Mapping[str, Any]:
    """The suspects of a journey, and on how many runs they are based."""
    return {
        "journey": found.journey,
        "good": found.good,
        "bad": found.bad,
        "of": found.of,
        "enough": found.enough,
        "said": found.said,
        "suspects": [_suspect(one) for one in found.suspects[:limit]],
    }


def _difference(one: Difference) -> Mapping[str, Any]:
    predicate = predicate_of(one)
    return {
        "turn": one.turn,
        "names": one.names,
        "said": one.said,
        "at_ms": one.at_ms,
        "good_with": one.good_with,
        "good": one.good,
        "predicate": predicate.text if predicate is not None else None,
    }


def _suspect(one: Suspect) -> Mapping[str, Any]:
    return {
        "predicate": one.predicate.text,
        "said": one.predicate.said,
        "bad_with": one.bad_with,
        "bad": one.bad,
        "good_with": one.good_with,
        "good": one.good,
        "ochiai": one.ochiai,
        "increase": one.increase,
    }

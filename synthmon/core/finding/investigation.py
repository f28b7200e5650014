"""Why a run failed, as well as its evidence can tell: its story, what differs from good runs, who is suspected."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from synthmon.core.finding.compare import Comparison, Difference, compare
from synthmon.core.finding.peers import Peers, Ranking, rank
from synthmon.core.finding.predicates import Form
from synthmon.core.finding.story import Line, story
from synthmon.core.finding.verdict import guilty_of, predicate_of, verdict_of
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import Clocks

USUALLY = 0.8  # of the good runs
LEAD = timedelta(seconds=5)  # by how much the clocks of others may be behind ours


@dataclass(frozen=True, slots=True)
class Investigation:
    """Everything that can be said of one run. `verdict` names the cause as well as it can be told; `next` are commands
    that tell more or keep it from coming back; `notes` are what could not be seen. `ours`: it is a run of synthmon."""

    record: Record
    ours: bool
    lines: tuple[Line, ...]
    comparison: Comparison
    ranking: Ranking
    of: str  # which good runs it is compared with: `version 3f2a…`, `all versions`
    verdict: str
    notes: tuple[str, ...]
    next: tuple[str, ...]


def investigate(
    record: Record, known: Peers, clocks: Clocks, ours: bool = True, notes: Sequence[str] = ()
) -> Investigation:
    """Look into a run. `ours`: it is in history; else it is somebody's who is no synthmon, and cannot be sent again.

    Takes up to some hundred milliseconds beside 50 good runs of 60 names.
    """
    comparison = compare(record, known.good, clocks)
    ranking = rank(record.journey, known, clocks)
    guilty = guilty_of(record, known, comparison, ranking)
    lines = story(record, known.good, clocks)
    return Investigation(
        record,
        ours,
        lines,
        comparison,
        ranking,
        known.of,
        verdict_of(record, known, comparison, ranking, guilty, lines, ours),
        (*notes, *_notes(record, known)),
        tuple(_next(record, guilty)) if ours else (),
    )


def _notes(record: Record, known: Peers) -> Iterator[str]:
    """What could not be seen."""
    if record.evidence_forgotten:
        yield "the evidence of this run is no longer kept: only its own steps are told"
    yield from record.notes
    for clause in record.clauses:
        if clause.verdict == "unknown":
            yield f"{clause.text}: {clause.said}"
    here = {evidence.source for evidence in record.evidence}
    telling = [{evidence.source for evidence in other.evidence} for other in known.good]
    for source in sorted(set().union(*telling) - here):
        count = sum(source in sources for sources in telling)
        if count >= USUALLY * len(telling):
            beside = f"{source} told nothing of this run, and tells of {count} of {len(telling)} good ones"
            yield f"{beside}: it was blind, or nothing reached it"


def _next(record: Record, guilty: Difference | None) -> Iterator[str]:
    run = record.run_id[:12]
    if not record.evidence:
        if record.started is not None and not record.evidence_forgotten:
            # its id went with every request: what the journey does not ask for may be found all the same
            yield f"synthmon investigate {record.run_id} --since {record.started - LEAD:%Y-%m-%dT%H:%M:%S}"
        yield f"synthmon show {run}"
        return
    yield f"synthmon compare {run}"
    yield f"synthmon suspects {shlex.quote(record.journey)}"
    predicate = predicate_of(guilty) if guilty is not None else None
    if predicate is None or record.outcome in (Outcome.PASSED, Outcome.FLAKY):
        return
    if predicate.form is Form.BEFORE:
        yield f"synthmon replay {run} --order {shlex.quote(predicate.text)}"
    yield f"synthmon guardrail {run} --suspect {shlex.quote(predicate.text)}"

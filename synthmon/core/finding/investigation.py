"""Why a run failed, as well as its evidence can tell: its story, what differs from good runs, who is suspected."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from synthmon.core.clocks import Clocks
from synthmon.core.evidence import Evidence
from synthmon.core.finding.compare import Comparison, Difference, Turn, compare
from synthmon.core.finding.happened import happened
from synthmon.core.finding.peers import Peers, Ranking, rank
from synthmon.core.finding.predicates import Form, Predicate
from synthmon.core.finding.story import Line, Missed, Silence, story
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record

USUALLY = 0.8  # of the good runs

FORMS = {
    Turn.ORDER: Form.BEFORE,
    Turn.RETRY: Form.RETRY,
    Turn.DUPLICATE: Form.DUPLICATE,
    Turn.SLOW: Form.SLOW,
    Turn.MISSING: Form.MISSING,
}


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
    guilty = _guilty(record, comparison, ranking)
    lines = story(record, known.good, clocks)
    return Investigation(
        record,
        ours,
        lines,
        comparison,
        ranking,
        known.of,
        _verdict(record, known, comparison, ranking, guilty, lines, ours),
        (*notes, *_notes(record, known)),
        tuple(_next(record, guilty)) if ours else (),
    )


def predicate_of(difference: Difference) -> Predicate | None:
    """A difference as suspects and replays name it; None of one that they do not know."""
    form = FORMS.get(difference.turn)
    return Predicate(form, difference.names) if form is not None else None


def _guilty(record: Record, comparison: Comparison, ranking: Ranking) -> Difference | None:
    """The difference that most likely explains the failure: the first of those that a broken clause is about, else the
    first of all; delays only when there is nothing else."""
    blamed = {
        e.step
        for clause in record.clauses
        if clause.verdict == "fail"
        for e in record.evidence
        if e.happening in clause.decided_by
    }
    places: dict[Predicate | None, int] = {suspect.predicate: n for n, suspect in enumerate(ranking.suspects)}

    def rank_of(difference: Difference) -> tuple[bool, bool]:
        return not blamed.issuperset(difference.names), difference.turn in (Turn.SLOW, Turn.EXTRA)

    first = min(comparison.differences, key=lambda one: (*rank_of(one), one.at_ms), default=None)
    if first is None or first.turn is not Turn.ORDER:
        return first
    # what is late swaps with all that it passes on its way: the pair is meant that goes along with failure
    swapped = [one for one in comparison.differences if one.turn is Turn.ORDER and rank_of(one) == rank_of(first)]
    return min(swapped, key=lambda one: (places.get(predicate_of(one), len(places)), one.at_ms))


# in words ------------------------------------------------------------------------------------------------------------


def _verdict(
    record: Record,
    known: Peers,
    comparison: Comparison,
    ranking: Ranking,
    guilty: Difference | None,
    lines: Sequence[Line],
    ours: bool,
) -> str:
    if not record.evidence:
        return f"Nothing tells what happened inside: {record.message or 'no source reported anything of it'}."
    if not known.good and not ours:
        services = len({evidence.clock for evidence in record.evidence})
        told = f"{len(record.evidence)} records of {services} services tell of it"
        return f"{told}; `--like JOURNEY` shows what differs from the good runs of a journey."
    if not known.good:
        return f"There is no good run to compare with: {record.message or 'only its own story can be told'}."
    if guilty is None:
        beside = f"Its events are those of {comparison.good} good runs, in the same order"
        silences = [line for line in lines if isinstance(line, Silence)]
        if silences:
            beside += f", but for {max(silences, key=lambda one: one.lasted_ms).said}"
        return f"{beside}: {record.message}." if record.message else f"{beside}."
    return f"{_cause(record, guilty, lines)}. {_support(guilty, ranking)}"


def _cause(record: Record, difference: Difference, lines: Sequence[Line]) -> str:
    run, name = happened(record), difference.names[0]
    match difference.turn:
        case Turn.ORDER:
            first, second = (run[one].first for one in difference.names)
            apart_ms = (second.at_ns - first.at_ns) / 1e6
            return f"{_whose(first)} came {apart_ms:.0f} ms before {_whose(second)}: nothing made it wait"
        case Turn.MISSING:
            return _lost(name, lines)
        case Turn.DUPLICATE:
            told = f"{_whose(run[name].first)} happened {run[name].count} times"
            return f"{told}: what it follows from was sent or delivered more than once"
        case Turn.RETRY:
            return f"{_whose(run[name].first)} needed {run[name].attempts} attempts"
        case _:
            return difference.said


def _lost(name: str, lines: Sequence[Line]) -> str:
    missed = [line for line in lines if isinstance(line, Missed)]
    own = next((line for line in missed if line.name == name), None)
    if own is None:
        return f"{name} did not happen"
    rest = len(missed) - missed.index(own) - 1
    others = f", nor {rest} more that {'comes' if rest == 1 else 'come'} after it" if rest else ""
    who = f" ({own.who})" if own.who else ""
    told = f"{name}{who} did not happen{others}"
    if not own.after:
        return told
    return f"{told}: the chain ends behind {own.after}, so what should follow was not sent, not delivered or not taken"


def _support(difference: Difference, ranking: Ranking) -> str:
    """In how many runs it is so."""
    good = f"{difference.good_with or 'none'} of {difference.good} good runs"
    predicate = predicate_of(difference)
    for place, suspect in enumerate(ranking.suspects, 1):
        if suspect.predicate == predicate:
            return f"It is so in {good}, and in {suspect.bad_with} of {suspect.bad} failing ones (suspect {place})."
    return f"It is so in {good}."


def _whose(evidence: Evidence) -> str:
    return f"{evidence.step} ({evidence.clock})" if evidence.clock else evidence.step


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
    yield f"synthmon compare {run}"
    yield f"synthmon suspects {shlex.quote(record.journey)}"
    predicate = predicate_of(guilty) if guilty is not None else None
    if predicate is None or record.outcome in (Outcome.PASSED, Outcome.FLAKY):
        return
    if predicate.form is Form.BEFORE:
        yield f"synthmon replay {run} --order {shlex.quote(predicate.text)}"
    yield f"synthmon guardrail {run} --suspect {shlex.quote(predicate.text)}"

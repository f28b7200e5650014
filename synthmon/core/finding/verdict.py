"""What it comes to, in a sentence: which difference explains a failure, and in how many runs it is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthmon.core.evidence import Evidence
from synthmon.core.finding.compare import Comparison, Difference, Turn
from synthmon.core.finding.happened import happened
from synthmon.core.finding.peers import Peers, Ranking
from synthmon.core.finding.predicates import Form, Predicate, Sequenced
from synthmon.core.finding.story import Line, Missed, Silence, last_before
from synthmon.core.outcomes import Reason
from synthmon.core.run import Record

FORMS: Mapping[Turn, Form] = {
    Turn.ORDER: Form.BEFORE,
    Turn.RETRY: Form.RETRY,
    Turn.DUPLICATE: Form.DUPLICATE,
    Turn.SLOW: Form.SLOW,
    Turn.MISSING: Form.MISSING,
}

EXPLAINS: Mapping[Reason, tuple[Turn, ...]] = {
    Reason.LOST: (Turn.MISSING,),
    Reason.DUPLICATE: (Turn.DUPLICATE,),
    Reason.ORDER: (Turn.ORDER,),
}
"""What a run that failed for this reason shows, if anything shows it."""

WEAK = (Turn.SLOW, Turn.EXTRA, Turn.RETRY)
"""What most systems live with: it explains a failure only where nothing else does."""

ROOTED = (Turn.MISSING, Turn.DUPLICATE)
"""What brings about the same in all that comes after it."""


def predicate_of(difference: Difference) -> Predicate | None:
    """A difference as suspects and replays name it; None of one that they do not know."""
    form = FORMS.get(difference.turn)
    return Predicate(form, difference.names) if form is not None else None


def guilty_of(record: Record, known: Peers, comparison: Comparison, ranking: Ranking) -> Difference | None:
    """The difference that most likely explains the failure: of those that fit its reason the first that a broken clause
    is about, else the first of all; what most systems live with only when there is nothing else."""
    blamed = _blamed(record, known)
    places: dict[Predicate | None, int] = {suspect.predicate: n for n, suspect in enumerate(ranking.suspects)}
    fitting = EXPLAINS.get(record.reason, ())

    def rank_of(difference: Difference) -> tuple[bool, ...]:
        return (
            bool(fitting) and difference.turn not in fitting,
            not blamed.issuperset(difference.names),
            difference.turn in WEAK,
            difference.turn is not Turn.STATUS,  # that somebody says so himself beats what it led to
            ranking.enough and predicate_of(difference) not in places,
        )

    first = min(comparison.differences, key=lambda one: (*rank_of(one), one.at_ms), default=None)
    if first is None:
        return None
    if first.turn in ROOTED:
        # the first of its kind that is no more usual brought about the others
        alike = [d for d in comparison.differences if d.turn is first.turn and d.good_with <= first.good_with]
        return min(alike, key=lambda one: one.at_ms)
    if first.turn is not Turn.ORDER:
        return first
    # what is late swaps with all that it passes on its way: the pair is meant that goes along with failure
    swapped = [one for one in comparison.differences if one.turn is Turn.ORDER and rank_of(one) == rank_of(first)]
    return min(swapped, key=lambda one: (places.get(predicate_of(one), len(places)), one.at_ms))


def _blamed(record: Record, known: Peers) -> set[str]:
    """The names that broken clauses are about: by what decided them here, and in good runs."""
    broken = {clause.text for clause in record.clauses if clause.verdict == "fail"}
    blamed = {e.step for e in record.evidence if e.happening in _decided(record, broken)}
    for other in known.good[:1] if broken else ():
        blamed |= {e.step for e in other.evidence if e.happening in _decided(other, broken)}
    return blamed


def _decided(record: Record, clauses: set[str]) -> set[str]:
    return {happening for clause in record.clauses if clause.text in clauses for happening in clause.decided_by}


# in words ------------------------------------------------------------------------------------------------------------


def verdict_of(
    record: Record,
    known: Peers,
    comparison: Comparison,
    ranking: Ranking,
    guilty: Difference | None,
    lines: Sequence[Line],
    ours: bool,
) -> str:
    """A sentence or two for a person who was woken. `ours`: the run is in history."""
    if not record.evidence:
        return _from_outside(record)
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
    return f"{_cause(record, known, guilty, lines)}. {_support(guilty, ranking)}"


def _from_outside(record: Record) -> str:
    """All that our own steps tell."""
    if record.evidence_forgotten or not record.steps:
        return f"Nothing tells what happened inside: {record.message or 'no source reported anything of it'}."
    return f"Only our own steps tell of this run: {record.message or 'nothing went wrong'}."


def _cause(record: Record, known: Peers, difference: Difference, lines: Sequence[Line]) -> str:
    run, name = happened(record), difference.names[0]
    match difference.turn:
        case Turn.ORDER:
            first, second = (run[one].first for one in difference.names)
            apart_ms = (second.at_ns - first.at_ns) / 1e6
            return f"{_whose(first)} came {apart_ms:.0f} ms before {_whose(second)}: nothing made it wait"
        case Turn.MISSING:
            return _lost(name, run, known, lines)
        case Turn.DUPLICATE:
            return _doubled(name, run, known)
        case Turn.RETRY:
            return f"{_whose(run[name].first)} needed {run[name].attempts} attempts"
        case Turn.STATUS if name in run:
            return difference.said.replace(name, _whose(run[name].first), 1)
        case _:
            return difference.said


def _doubled(name: str, run: Sequenced, known: Peers) -> str:
    told = f"{_whose(run[name].first)} happened {run[name].count} times"
    before = last_before(name, run, [other for other in map(happened, known.good) if name in other])
    if not before or run[before].count > 1:
        return f"{told}: what it follows from was sent or delivered more than once"
    cause = _whose(run[before].first)
    if _is(run[name].first, "producer"):
        return f"{told}, and {cause} before it once: the same was sent more than once"
    return f"{told}, and {cause} before it once: what passes between them was sent or delivered more than once"


def _lost(name: str, run: Sequenced, known: Peers, lines: Sequence[Line]) -> str:
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
    told += f": the chain ends behind {_whose(run[own.after].first)}"
    usually = next((e for other in known.good for e in other.evidence if e.step == name), None)
    if usually is not None and _is(usually, "producer"):
        return f"{told}, which did its work and sent nothing"
    if _is(run[own.after].first, "producer"):
        return f"{told}: what it sent was not delivered, not taken, or went on without the id of the run"
    return f"{told}: what should follow was not sent, not delivered, not taken, or went on without the id of the run"


def _is(evidence: Evidence, kind: str) -> bool:
    """Whether a span is of this kind (`producer`: it sends a message); what is no span is of none."""
    return evidence.attrs.get("kind") == kind


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

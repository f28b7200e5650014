"""From a finding to a promise: the clause that would have caught a bad run, with names for the events that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from math import ceil, inf

from synthmon.core.errors import Place
from synthmon.core.evidence import Evidence
from synthmon.core.expressions import KEYWORDS
from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import Form, Predicate
from synthmon.core.run import Record
from synthmon.core.sequence.clauses import Clause, EventSpec, Word

SPARE = 1.5  # times the slowest good run: what is later than that is too late


@dataclass(frozen=True, slots=True)
class Guard:
    """A clause for a journey. `events` are those that the journey does not have yet, by the name that they get."""

    clause: Clause
    events: Mapping[str, EventSpec]

    def is_promised_by(self, other: Clause) -> bool:
        """Whether a clause that is there says the same, or more."""
        mine = self.clause
        same = other.word is mine.word and other.events == mine.events and not self.events and other.when is None
        if mine.word is Word.HAPPENS:
            in_time = mine.within_s is None or (other.within_s or inf) <= mine.within_s
        else:
            in_time = other.within_s is None
        return same and in_time and not other.after


def guard_of(
    predicate: Predicate, known: Sequence[EventSpec], bad: Record, good: Sequence[Record], name: str = ""
) -> Guard:
    """The promise that this predicate never holds: `c<b` becomes `before: [b, c]`.

    Raises `ValueError`, with words for a person, when no run tells of its names.
    """
    fresh: dict[str, EventSpec] = {}
    events = [_event(step, predicate, known, (bad, *good), fresh) for step in reversed(predicate.names)]
    clause = Clause(
        _WORDS[predicate.form],
        tuple(events),
        Place("guardrail"),
        name or default_name(predicate),
        within_s=_limit_s(predicate.names[0], good) if predicate.form is Form.SLOW else None,
    )
    return Guard(clause, fresh)


_WORDS = {
    Form.BEFORE: Word.BEFORE,
    Form.RETRY: Word.NEVER,
    Form.DUPLICATE: Word.ONCE,
    Form.SLOW: Word.HAPPENS,
    Form.MISSING: Word.HAPPENS,
}


def default_name(predicate: Predicate) -> str:
    """A name for a clause: it is a label of metrics, so it is short and plain."""
    match predicate.form:
        case Form.BEFORE:
            said = f"{predicate.names[1]} before {predicate.names[0]}"
        case Form.RETRY:
            said = f"{predicate.names[0]} at the first try"
        case Form.DUPLICATE:
            said = f"{predicate.names[0]} once"
        case Form.SLOW:
            said = f"{predicate.names[0]} in time"
        case Form.MISSING:
            said = f"{predicate.names[0]} happens"
    return slug(said)


def slug(text: str) -> str:
    """A text as lower-case words with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63] or "guard"


def _event(
    step: str, predicate: Predicate, known: Sequence[EventSpec], runs: Iterable[Record], fresh: dict[str, EventSpec]
) -> str:
    """The name of the event for a step: one that the journey has, or a new one."""
    seen = [found[step].first for run in runs if step in (found := happened(run))]
    if not seen:
        raise ValueError(f"no run tells of {step!r}; `synthmon investigate` lists the names of a run")
    status = _common_status(seen)
    retried = predicate.form is Form.RETRY
    for spec in known:
        if not retried and spec.where is None and all(map(spec.matches, seen)) and spec.fields.get("step") == step:
            return spec.name
    fields = {"step": step, **({"attempt": "2"} if retried else {"status": status} if status else {})}
    taken = {spec.name for spec in known} | fresh.keys()
    base = re.sub(r"[^a-z0-9]+", "_", step.lower()).strip("_") or "event"
    base = base if base[0].isalpha() and base not in KEYWORDS else f"event_{base}"
    base = f"{base}_again" if retried else base
    name = next(one for one in chain([base], (f"{base}_{n}" for n in count(2))) if one not in taken)
    fresh[name] = EventSpec(name, seen[0].source, fields)
    return name


def _common_status(seen: Sequence[Evidence]) -> str:
    statuses = {evidence.status for evidence in seen}
    return statuses.pop() if len(statuses) == 1 else ""


def _limit_s(step: str, good: Sequence[Record]) -> float:
    """How long after the start of a run it may happen, in seconds, by the slowest of the good runs."""
    took_ns = [
        found[step].first.at_ns - round(run.started.timestamp() * 1e9)
        for run in good
        if run.started is not None and step in (found := happened(run))
    ]
    if not took_ns:
        raise ValueError(f"no good run tells how long {step!r} takes")
    return max(1.0, float(ceil(max(took_ns) / 1e9 * SPARE)))

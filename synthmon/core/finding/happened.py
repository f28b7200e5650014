"""What happened in a run by the word of other systems, name by name: when first, how often, after how many attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from synthmon.core.evidence import Evidence
from synthmon.core.run import Record

MOST_NAMES = 60  # of one run; pairs grow with the square


@dataclass(frozen=True, slots=True)
class Happening:
    """One name of a run. `first` is the record of its earliest completion, which is what orders are judged by.

    `count` is how many different happenings bear the name (more than one: a duplicate effect); `attempts` is how often
    the most stubborn of them was tried.
    """

    name: str
    first: Evidence
    count: int = 1
    attempts: int = 1

    @property
    def took_ms(self) -> float | None:
        """How long the first one took, in milliseconds, if its record says so."""
        return self.first.duration_ms


def happened(record: Record) -> Mapping[str, Happening]:
    """Name → what is known of it, in order of time; what was refused or given back counts as an attempt.

    A name that several sources tell of is read from one, the first of them by name: the others corroborate.
    """
    told_by: dict[str, str] = {}
    for evidence in record.evidence:
        known = told_by.get(evidence.step)
        if _is_named(evidence) and (known is None or evidence.source < known):
            told_by[evidence.step] = evidence.source
    by_name: dict[str, dict[str, list[Evidence]]] = {}
    for evidence in record.evidence:
        if _is_named(evidence) and told_by[evidence.step] == evidence.source:
            by_name.setdefault(evidence.step, {}).setdefault(evidence.identity, []).append(evidence)
    found = sorted(
        (_happening(name, by_identity.values()) for name, by_identity in by_name.items()),
        key=lambda happening: (happening.first.at_ns, happening.name),
    )
    return {happening.name: happening for happening in found[:MOST_NAMES]}


def _is_named(evidence: Evidence) -> bool:
    """Whether it has a name; a count is of a place and not of this run."""
    return bool(evidence.step) and not evidence.is_count


def _happening(name: str, told: Iterable[list[Evidence]]) -> Happening:
    """Each list is one happening with its attempts."""
    completions, attempts = [], 1
    for records in told:
        if len(records) == 1:  # as most are
            completions.append(records[0])
            attempts = max(attempts, records[0].attempt)
            continue
        completions.append(max(records, key=lambda record: (record.attempt, record.at_ns)))
        attempts = max(attempts, len({record.attempt for record in records}), *(r.attempt for r in records))
    first = completions[0]
    if len(completions) > 1:
        first = min(completions, key=lambda record: (record.at_ns, record.seq))
    return Happening(name, first, len(completions), attempts)

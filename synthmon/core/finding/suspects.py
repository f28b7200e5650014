"""Which orders, retries, duplicates, delays and gaps go along with failure: ranked, over good runs and bad ones.

Each predicate is scored by the Ochiai coefficient (failing runs in which it held, over the geometric mean of all
failing runs and all runs in which it held); ties go to the larger Increase (Liblit et al., PLDI 2005): by how much
more often runs fail in which it holds than runs in which it could be told at all. Orders that are equal even so go by
how far apart the two are in good runs: what is late passes all that it meets, and meets first what was close behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

from synthmon.core.finding.predicates import Form, Predicate, Sequenced, usual
from synthmon.core.finding.shown import Shown
from synthmon.core.sequence.clocks import TRUSTED, Clocks

LEAST_SUPPORT = 2  # failing runs in which a suspect must have held
MOST_TIES_RESOLVED, MOST_APART = 200, 50


@dataclass(frozen=True, slots=True)
class Suspect:
    """One predicate: in how many of the failing runs it held, in how many of the good ones; both scores lie within
    0 … 1 and -1 … 1."""

    predicate: Predicate
    bad_with: int
    bad: int
    good_with: int
    good: int
    ochiai: float
    increase: float


def suspects(
    good: Sequence[Sequenced], bad: Sequence[Sequenced], clocks: Clocks = TRUSTED, support: int = LEAST_SUPPORT
) -> tuple[Suspect, ...]:
    """Every predicate that held in at least `support` failing runs, the most suspicious first."""
    expected = usual(good)
    in_bad, in_good = Shown(bad, expected, clocks), Shown(good, expected, clocks)
    scored = [
        (_ochiai(with_it, in_good.held[predicate], len(bad)), predicate)
        for predicate, with_it in in_bad.held.items()
        if with_it >= support
    ]
    scored.sort(key=lambda scored: -scored[0])
    found = [
        Suspect(
            predicate,
            in_bad.held[predicate],
            len(bad),
            in_good.held[predicate],
            len(good),
            score,
            _increase(predicate, in_bad, in_good),
        )
        for score, predicate in scored[:MOST_TIES_RESOLVED]
    ]
    apart_ns = {suspect.predicate: _usually_apart_ns(suspect.predicate, good) for suspect in found}
    return tuple(
        sorted(found, key=lambda s: (-s.ochiai, -s.increase, -apart_ns[s.predicate], s.predicate.text)),
    )


def _ochiai(bad_with: int, good_with: int, bad: int) -> float:
    return bad_with / sqrt(bad * (bad_with + good_with))


def _usually_apart_ns(predicate: Predicate, good: Sequence[Sequenced]) -> float:
    """By how much the first of an order usually comes after the second, in nanoseconds; 0 of what is no order."""
    if predicate.form is not Form.BEFORE:
        return 0.0
    a, b = predicate.names
    return median(
        [run[a].first.at_ns - run[b].first.at_ns for run in good[:MOST_APART] if a in run and b in run] or [0]
    )


def _increase(predicate: Predicate, bad: Shown, good: Shown) -> float:
    bad_with, good_with = bad.held[predicate], good.held[predicate]
    bad_told, good_told = bad.told(predicate), good.told(predicate)
    return bad_with / (bad_with + good_with) - bad_told / (bad_told + good_told)

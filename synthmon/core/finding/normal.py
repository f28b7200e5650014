"""The normal order of a journey, learnt from good runs; and what is odd in another run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from synthmon.core.finding.happened import MOST_NAMES
from synthmon.core.finding.predicates import Form, Predicate, Sequenced

FEWEST_RUNS = 100  # before which nothing is odd
ODD_BELOW = 0.01


@dataclass(slots=True)
class Normal:
    """How often each of two names came first, over the good runs of one journey version; at most 60 names."""

    runs: int = 0
    _first: Counter[tuple[str, str]] = field(default_factory=Counter)
    _names: set[str] = field(default_factory=set)

    def learn(self, run: Sequenced, told: Iterable[tuple[str, str]]) -> None:
        """Take in one good run, and which of two came first in it (`core.finding.predicates.orders`)."""
        self.runs += 1
        for name in run:
            if len(self._names) < MOST_NAMES:
                self._names.add(name)
        if not run.keys() <= self._names:
            told = [(a, b) for a, b in told if a in self._names and b in self._names]
        self._first.update(told)

    def share(self, a: str, b: str) -> tuple[int, int]:
        """In how many good runs `a` came before `b`, of how many in which their order could be told."""
        times = self._first.get((a, b), 0)
        return times, times + self._first.get((b, a), 0)

    def odd(self, told: Iterable[tuple[str, str]]) -> tuple[Predicate, ...]:
        """Those orders of a run that good runs have in less than one of a hundred ((k+1)/(n+2), Laplace's rule), the
        rarest first. Nothing is odd before 100 good runs told the order of that pair."""
        if self.runs < FEWEST_RUNS:
            return ()
        rare = []
        for a, b in told:
            times, seen = self.share(a, b)
            if seen >= FEWEST_RUNS and (times + 1) / (seen + 2) < ODD_BELOW:
                rare.append((times / seen, Predicate(Form.BEFORE, (a, b))))
        return tuple(predicate for _, predicate in sorted(rare, key=lambda one: (one[0], one[1].text)))

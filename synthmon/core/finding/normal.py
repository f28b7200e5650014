"""The normal order of a journey, learnt from good runs; and what is odd in another run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

from synthmon.core.clocks import TRUSTED, Order, Ordering
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

    def learn(self, run: Sequenced, clocks: Ordering = TRUSTED) -> None:
        """Take in one good run."""
        self.runs += 1
        for name in run:
            if len(self._names) < MOST_NAMES:
                self._names.add(name)
        self._first.update(_orders(run, clocks, self._names))

    def share(self, a: str, b: str) -> tuple[int, int]:
        """In how many good runs `a` came before `b`, of how many in which their order could be told."""
        times = self._first.get((a, b), 0)
        return times, times + self._first.get((b, a), 0)

    def odd(self, run: Sequenced, clocks: Ordering = TRUSTED) -> tuple[Predicate, ...]:
        """The orders of a run that good runs have in less than one of a hundred ((k+1)/(n+2), Laplace's rule), the
        rarest first. Nothing is odd before 100 good runs told the order of that pair."""
        rare = []
        for a, b in _orders(run, clocks, self._names):
            times, told = self.share(a, b)
            if told >= FEWEST_RUNS and (times + 1) / (told + 2) < ODD_BELOW:
                rare.append((times / told, Predicate(Form.BEFORE, (a, b))))
        return tuple(predicate for _, predicate in sorted(rare, key=lambda one: (one[0], one[1].text)))


def _orders(run: Sequenced, clocks: Ordering, names: set[str]) -> Iterable[tuple[str, str]]:
    for a, b in combinations((run[name] for name in run if name in names), 2):
        match clocks.order(a.first, b.first):
            case Order.BEFORE:
                yield a.name, b.name
            case Order.AFTER:
                yield b.name, a.name

"""How many of some runs show a predicate, and how many could have shown it: counted once, asked often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from synthmon.core.finding.predicates import Form, Predicate, Sequenced, Usual, orders, traits
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Orders


class Shown:
    """What runs show. `held`: predicate → in how many of them it is true, in the order in which they were met."""

    def __init__(self, runs: Sequence[Sequenced], expected: Usual, clocks: Clocks = TRUSTED) -> None:
        self._runs = len(runs)
        self._named = Counter(name for run in runs for name in run)
        known, held = Orders(clocks), Counter[Predicate | tuple[str, str]]()
        for run in runs:
            held.update(orders(run, known))  # by their names alone: of sixty there are 1,770 a run
            held.update(traits(run, expected))
        self.held = Counter(
            {one if isinstance(one, Predicate) else Predicate(Form.BEFORE, one): times for one, times in held.items()}
        )

    def told(self, predicate: Predicate) -> int:
        """How many could tell at all: an order needs both names and clocks that tell, `missing` needs nothing."""
        match predicate.form:
            case Form.MISSING:
                return self._runs
            case Form.BEFORE:
                return self.held[predicate] + self.held[Predicate(Form.BEFORE, predicate.names[::-1])]
        return self._named[predicate.names[0]]

"""What can be said of a run's sequence: which of two came first, what was tried again, doubled, slow or missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from synthmon.core.finding.happened import Happening
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Orders

Sequenced = Mapping[str, Happening]
"""A run as `core.finding.happened.happened` tells it."""

SLOW_QUANTILE = 0.95  # of the good runs
FEWEST_TIMES = 20  # below which nobody knows what is slow


class Form(StrEnum):
    """The forms of a predicate."""

    BEFORE = "before"
    RETRY = "retry"
    DUPLICATE = "dup"
    SLOW = "slow"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Predicate:
    """One statement about a run; `names` are two of an order, else one."""

    form: Form
    names: tuple[str, ...]

    @property
    def text(self) -> str:
        """As it is written on the command line: `b<a`, `retry(x)`."""
        return "<".join(self.names) if self.form is Form.BEFORE else f"{self.form}({self.names[0]})"

    @property
    def said(self) -> str:
        """In words for a person."""
        name = self.names[0]
        match self.form:
            case Form.BEFORE:
                return f"{name} came before {self.names[1]}"
            case Form.RETRY:
                return f"{name} was tried more than once"
            case Form.DUPLICATE:
                return f"{name} happened more than once"
            case Form.SLOW:
                return f"{name} took longer than in 95 % of the good runs"
            case Form.MISSING:
                return f"{name} did not happen"


_ORDER = re.compile(r"([^<>()]+)<([^<>()]+)")
_OTHER = re.compile(r"(retry|dup|slow|missing)\(([^<>()]+)\)")
LONGEST = 1000  # of a predicate that is repeated in words


def parse(text: str) -> Predicate:
    """A predicate as `Predicate.text` writes it. Raises `ValueError` with words for a person."""
    if len(text) > LONGEST:
        raise ValueError(f"{text[:40]!r}… has {len(text)} letters; a predicate has at most {LONGEST}: 'b<a'.")
    if found := _ORDER.fullmatch(text):
        first, later = found[1].strip(), found[2].strip()
        if first and first == later:
            raise ValueError(f"{text!r} names {first} twice; write two different names: 'b<a'.")
        if first and later:
            return Predicate(Form.BEFORE, (first, later))
    if (found := _OTHER.fullmatch(text.strip())) and (name := found[2].strip()):
        return Predicate(Form(found[1]), (name,))
    raise ValueError(f"{text!r} is no predicate; write 'b<a', 'retry(x)', 'dup(x)', 'slow(x)' or 'missing(x)'.")


@dataclass(frozen=True, slots=True)
class Usual:
    """What good runs show: their names, and above how many milliseconds each of them is slow."""

    names: frozenset[str]
    slow_ms: Mapping[str, float]


def usual(good: Sequence[Sequenced]) -> Usual:
    """Learnt from good runs. A name that fewer than half of them have is not expected of a run."""
    count: dict[str, int] = {}
    times: dict[str, list[float]] = {}
    for run in good:
        for name, happening in run.items():
            count[name] = count.get(name, 0) + 1
            if happening.took_ms is not None:
                times.setdefault(name, []).append(happening.took_ms)
    names = frozenset(name for name, times_seen in count.items() if times_seen * 2 >= len(good))
    slow_ms = {name: _quantile(found, SLOW_QUANTILE) for name, found in times.items() if len(found) >= FEWEST_TIMES}
    return Usual(names, slow_ms)


def orders(run: Sequenced, known: Orders) -> list[tuple[str, str]]:
    """The names of each two whose order the clocks can tell, the earlier first."""
    names = list(run)
    return [(names[i], names[j]) for i, j in known.told([happening.first for happening in run.values()])]


def holding(run: Sequenced, expected: Usual, clocks: Clocks = TRUSTED) -> Iterator[Predicate]:
    """Every predicate that is true of a run; an order that clocks cannot tell is none."""
    for pair in orders(run, Orders(clocks)):
        yield Predicate(Form.BEFORE, pair)
    yield from traits(run, expected)


def traits(run: Sequenced, expected: Usual) -> Iterator[Predicate]:
    """Every predicate that is true of a run, orders apart."""
    for name, happening in run.items():
        if happening.attempts > 1:
            yield Predicate(Form.RETRY, (name,))
        if happening.count > 1:
            yield Predicate(Form.DUPLICATE, (name,))
        limit_ms = expected.slow_ms.get(name)
        if limit_ms is not None and happening.took_ms is not None and happening.took_ms > limit_ms:
            yield Predicate(Form.SLOW, (name,))
    for name in sorted(expected.names - run.keys()):
        yield Predicate(Form.MISSING, (name,))


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

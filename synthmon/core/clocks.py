"""How far the clocks of services can be apart, learnt from what must have come before what; and orders that are sure.

If a record on one clock caused a record on another, the true instants are in that order, so the difference of what the
clocks showed bounds how far they are apart: from one side by each such edge, from both sides by edges in both
directions. Bounds combine along chains of clocks (Floyd and Warshall, over at most 20).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from synthmon.core.evidence import Evidence

MOST_CLOCKS = 20
MOST_SLACK_NS = 5_000_000_000
OURS = "~synthmon"
"""The clock of this process, among those of systems."""
MACHINES = (
    *("resource.host.name", "host.name", "host", "hostname", "resource.k8s.pod.name", "k8s.pod.name", "pod"),
    *("resource.service.instance.id", "service.instance.id", "instance"),
)
"""Attributes of a record that say on which machine or instance of its service it was written; the first counts."""
FAR_NS = 1 << 62


class Order(StrEnum):
    """How the first of two records stands to the second."""

    BEFORE = "before"
    AFTER = "after"
    UNKNOWN = "unknown"


class Ordering(Protocol):
    """What a judge of sequences asks of clocks."""

    @property
    def slack_ns(self) -> int:
        """By how much a record may have happened earlier than it says, as seen from another clock."""
        ...

    def order(self, a: Evidence, b: Evidence) -> Order:
        """Which of two came first, or that nobody can tell."""
        ...

    def doubt(self, a: Evidence, b: Evidence) -> str:
        """Why an order cannot be told."""
        ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """`apart[a, b]` is the most by which clock b can be ahead of clock a, in nanoseconds.

    `skew_ns` is by how much any two are apart at most. If somebody `vouched` for it, it holds beside what was learnt,
    until that refutes it; else it is an assumption for pairs of which too little was learnt: a side is missing, or one
    of them is `new`. `unsteady` clocks are none: several behind one name, or one that is set again and again.
    """

    apart: Mapping[tuple[str, str], int] = field(default_factory=dict)
    skew_ns: int = 0
    vouched: bool = False
    new: frozenset[str] = frozenset()
    unsteady: frozenset[str] = frozenset()

    @property
    def slack_ns(self) -> int:
        """As of `Ordering`; a look at what comes later than that helps nobody."""
        known = {name for pair in self.apart for name in pair if name != OURS}
        bounds = [abs(bound) for a in known for b in known if a != b for bound in self.bounds(a, b)]
        return max([self.skew_ns, *(min(bound, MOST_SLACK_NS) for bound in bounds)])

    def bounds(self, a: str, b: str) -> tuple[int, int]:
        """Between what and what clock b is ahead of clock a."""
        if a in self.unsteady or b in self.unsteady:
            return -FAR_NS, FAR_NS
        if a == b:
            return 0, 0
        low, high = -self.apart.get((b, a), FAR_NS), self.apart.get((a, b), FAR_NS)
        if OURS in (a, b):
            return low, high  # nobody vouches for ours
        taught = low > -FAR_NS and high < FAR_NS and a not in self.new and b not in self.new and not self.vouched
        if taught or low > self.skew_ns or high < -self.skew_ns:
            return low, high
        return max(low, -self.skew_ns), min(high, self.skew_ns)

    def order(self, a: Evidence, b: Evidence) -> Order:
        """As of `Ordering`."""
        return order_within(self.bounds(clock_of(a), clock_of(b)), a, b)

    def doubt(self, a: Evidence, b: Evidence) -> str:
        """As of `Ordering`."""
        return doubt_within(self.bounds(clock_of(a), clock_of(b)), a, b)


class Recalled:
    """An `Ordering` that asks another one once for each two records; for as long as these are there."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks, self.slack_ns = clocks, clocks.slack_ns
        self._names: dict[int, str] = {}
        self._bounds: dict[tuple[str, str], tuple[int, int]] = {}
        self._orders: dict[tuple[int, int], Order] = {}

    def order(self, a: Evidence, b: Evidence) -> Order:
        """As of `Ordering`."""
        both = id(a), id(b)
        found = self._orders.get(both)
        if found is None:
            names = self._name(a), self._name(b)
            bounds_ns = self._bounds.get(names)
            if bounds_ns is None:
                bounds_ns = self._bounds[names] = self._clocks.bounds(*names)
            found = self._orders[both] = order_within(bounds_ns, a, b)
        return found

    def doubt(self, a: Evidence, b: Evidence) -> str:
        """As of `Ordering`."""
        return self._clocks.doubt(a, b)

    def _name(self, record: Evidence) -> str:
        name = self._names.get(id(record))
        if name is None:
            name = self._names[id(record)] = clock_of(record)
        return name


def order_within(bounds_ns: tuple[int, int], a: Evidence, b: Evidence) -> Order:
    """Which of two came first if the clock of the second is so far ahead of that of the first. One that is named as a
    cause came first."""
    if b.causes and (a.id in b.causes or a.span_id in b.causes):
        return Order.BEFORE
    if a.causes and (b.id in a.causes or b.span_id in a.causes):
        return Order.AFTER
    low_ns, high_ns = bounds_ns
    shown_ns = b.at_ns - a.at_ns
    if shown_ns == low_ns == high_ns == 0 and a.clock == b.clock:
        return Order.UNKNOWN if a.seq == b.seq else Order.BEFORE if a.seq < b.seq else Order.AFTER
    if shown_ns > high_ns:
        return Order.BEFORE
    if shown_ns < low_ns:
        return Order.AFTER
    return Order.UNKNOWN


def doubt_within(bounds_ns: tuple[int, int], a: Evidence, b: Evidence) -> str:
    """Why an order cannot be told, for a person."""
    low_ns, high_ns = bounds_ns
    both = f"{a.step} ({clock_of(a)}) and {b.step} ({clock_of(b)})"
    if low_ns <= -FAR_NS // 2 or high_ns >= FAR_NS // 2:
        return f"the clocks of {both} disagree with what was known of them: their order is unknown"
    shown_ms = (b.at_ns - a.at_ns) / 1e6
    return (
        f"{both} are {abs(shown_ms):.1f} ms apart by their clocks, which "
        f"may differ by {low_ns / 1e6:.1f} to {high_ns / 1e6:.1f} ms: their order is unknown"
    )


def clock_of(record: Evidence) -> str:
    """Which clock a record was stamped by: that of its service, on the machine or instance that the record names, as
    one service may run on many. What names nobody is stamped by whoever writes for its source."""
    name = record.clock or record.source
    for attribute in MACHINES:
        if (machine := record.attrs.get(attribute)) and machine != name:
            return f"{name}@{machine}"
    return name


TRUSTED = Clocks()
"""Clocks that are all the same."""


Edge = tuple[str, str, int]
"""(clock of the cause, clock of the effect, what the effect's clock showed minus what the cause's did, in ns)."""


def edges(records: Iterable[Evidence]) -> list[Edge]:
    """Every pair of records of which one caused the other, on different clocks. A cause counts from its begin (a span
    calls while it lasts), an effect from its own, save that a consumer may have begun to wait before there was one."""
    known = list(records)
    by_id = {name: record for record in known for name in (record.id, record.span_id) if name}
    return [
        (clock_of(cause), clock_of(record), _taken_ns(record) - begin_ns(cause))
        for record in known
        for name in record.causes
        if (cause := by_id.get(name)) is not None and clock_of(cause) != clock_of(record)
    ]


def learn(found: Iterable[Edge], skew_ns: int = 0) -> Clocks:
    """Bounds from edges of many runs; clocks beyond the twenty with most edges are left to `skew_ns`."""
    count: dict[str, int] = {}
    smallest: dict[tuple[str, str], int] = {}
    for a, b, shown_ns in found:
        count[a], count[b] = count.get(a, 0) + 1, count.get(b, 0) + 1
        smallest[a, b] = min(shown_ns, smallest.get((a, b), FAR_NS))
    names = sorted(count, key=lambda name: (-count[name], name))[:MOST_CLOCKS]
    apart = closed({pair: bound for pair, bound in smallest.items() if pair[0] in names and pair[1] in names})
    return Clocks(apart, skew_ns)


def closed(direct: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Bounds along chains of clocks too. `found[a, a]` is below 0 where they contradict each other (a negative cycle),
    else it is not there."""
    apart = dict(direct)
    names = sorted({name for pair in direct for name in pair})
    for middle in names:
        into = [(a, apart[a, middle]) for a in names if (a, middle) in apart]
        out = [(b, apart[middle, b]) for b in names if (middle, b) in apart]
        for a, first in into:
            for b, second in out:
                through = first + second
                if through < apart.get((a, b), 0 if a == b else FAR_NS):
                    apart[a, b] = through
    return apart


def grain_ns(at_ns: int) -> int:
    """How coarse an instant may be: what is written in whole seconds or milliseconds was anywhere within."""
    return next((grain for grain in (1_000_000_000, 1_000_000, 1_000) if at_ns % grain == 0), 1)


def _taken_ns(record: Evidence) -> int:
    """The earliest instant that is sure to be after the cause."""
    return record.at_ns if "consumer" in record.attrs.get("kind", "").lower() else begin_ns(record)


def begin_ns(record: Evidence) -> int:
    """When what a record tells of began."""
    return record.start_ns or record.at_ns

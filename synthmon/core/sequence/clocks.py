"""How far the clocks of services can be apart, learnt from what must have come before what; and orders that are sure.

If a record on one clock caused a record on another, the true instants are in that order, so the difference of what the
clocks showed bounds how far they are apart: from one side by each such edge, from both sides by edges in both
directions. Bounds combine along chains of clocks (Floyd and Warshall, over at most 20).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Protocol

from synthmon.core.evidence import Evidence

MOST_CLOCKS = 20
MOST_REMEMBERED = 200  # clocks, of which bounds are kept at hand
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

    @property
    def changes(self) -> int:
        """Another number once an order may be told otherwise than before."""
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
    def changes(self) -> int:
        """As of `Ordering`: what is known stays as it is."""
        return 0

    @property
    def slack_ns(self) -> int:
        """As of `Ordering`; a look at what comes later than that helps nobody."""
        known = sorted({name for pair in self.apart for name in pair if name != OURS})
        worst_ns = self.skew_ns
        for a, b in combinations(known, 2):
            low, high = self.bounds(a, b)
            worst_ns = max(worst_ns, min(abs(low), MOST_SLACK_NS), min(abs(high), MOST_SLACK_NS))
        return worst_ns

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


class Orders:
    """The orders of many records at once: bounds are looked up once for each two clocks."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._bounds: dict[str, dict[str, tuple[int, int]]] = {}

    def told(self, records: Sequence[Evidence]) -> Iterator[tuple[int, int]]:
        """Of each two whose order can be told, where the earlier stands and where the later; in order of the pairs."""
        clocks, shown_ns = [clock_of(record) for record in records], [record.at_ns for record in records]
        linked = _linked(records)
        if len(self._bounds) > MOST_REMEMBERED:
            self._bounds.clear()
        for i, begin_ns in enumerate(shown_ns):
            known = self._bounds.setdefault(clocks[i], {})
            for j in range(i + 1, len(records)):
                bounds_ns = known.get(clocks[j])
                if bounds_ns is None:
                    bounds_ns = known[clocks[j]] = self._clocks.bounds(clocks[i], clocks[j])
                low_ns, high_ns = bounds_ns
                apart_ns = shown_ns[j] - begin_ns
                if low_ns == high_ns == apart_ns or (linked and (i, j) in linked):
                    match order_within(bounds_ns, records[i], records[j]):
                        case Order.BEFORE:
                            yield i, j
                        case Order.AFTER:
                            yield j, i
                elif apart_ns > high_ns:
                    yield i, j
                elif apart_ns < low_ns:
                    yield j, i


def _linked(records: Sequence[Evidence]) -> set[tuple[int, int]]:
    """Where two stand of which one names the other as its cause."""
    if not any(record.causes for record in records):
        return set()
    named: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        for name in {record.id, record.span_id}:
            named.setdefault(name, []).append(i)
    pairs = ((i, j) for j, record in enumerate(records) for cause in record.causes for i in named.get(cause, ()))
    return {(min(i, j), max(i, j)) for i, j in pairs}


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
    name, attrs = record.clock or record.source, record.attrs
    if not attrs:
        return name
    for attribute in MACHINES:
        if attribute in attrs and (machine := attrs[attribute]) and machine != name:
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
    if not any(record.causes for record in known):
        return []
    by_id = {name: record for record in known for name in (record.id, record.span_id) if name}
    found = []
    for record in known:
        for name in record.causes:
            if (cause := by_id.get(name)) is None:
                continue
            a, b = clock_of(cause), clock_of(record)
            if a != b:
                found.append((a, b, _taken_ns(record) - begin_ns(cause)))
    return found


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
    rows: dict[str, dict[str, int]] = {name: {} for name in sorted({name for pair in direct for name in pair})}
    for (a, b), bound in direct.items():
        rows[a][b] = bound
    for middle, beyond in rows.items():
        out = tuple(beyond.items())
        for a, row in rows.items():
            if (first := row.get(middle)) is None:
                continue
            for b, second in out:
                through = first + second
                if through < row.get(b, 0 if a == b else FAR_NS):
                    row[b] = through
    return {(a, b): bound for a, row in rows.items() for b, bound in row.items()}


def tightened(apart: dict[tuple[str, str], int], pair: tuple[str, str], bound: int) -> None:
    """Bounds that are closed already, closed again with one that became less: what `closed` finds of all of them, or,
    where they contradict each other, that they do."""
    a, b = pair
    into = [(name, first) for (name, end), first in apart.items() if end == a and name != a]
    out = [(name, second) for (begin, name), second in apart.items() if begin == b and name != b]
    for name, first in (*into, (a, 0)):
        for other, second in (*out, (b, 0)):
            through = first + bound + second
            if through < apart.get((name, other), 0 if name == other else FAR_NS):
                apart[name, other] = through


def grain_ns(at_ns: int) -> int:
    """How coarse an instant may be: what is written in whole seconds or milliseconds was anywhere within."""
    if at_ns % 1_000:
        return 1
    return 1_000_000_000 if at_ns % 1_000_000_000 == 0 else 1_000_000 if at_ns % 1_000_000 == 0 else 1_000


def _taken_ns(record: Evidence) -> int:
    """The earliest instant that is sure to be after the cause."""
    return record.at_ns if "consumer" in record.attrs.get("kind", "").lower() else begin_ns(record)


def begin_ns(record: Evidence) -> int:
    """When what a record tells of began."""
    return record.start_ns or record.at_ns

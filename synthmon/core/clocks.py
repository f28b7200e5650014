"""How far the clocks of services can be apart, learnt from what must have come before what; and orders that are sure.

If a record on one clock caused a record on another, the true instants are in that order, so the difference of what the
clocks showed bounds how far they are apart: from one side by each such edge, from both sides by edges in both
directions. Bounds combine along chains of clocks (Floyd and Warshall, over at most 20).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from synthmon.core.evidence import Evidence

MOST_CLOCKS = 20
FAR_NS = 1 << 62


class Order(StrEnum):
    """How the first of two records stands to the second."""

    BEFORE = "before"
    AFTER = "after"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Clocks:
    """`apart[a, b]` is the most by which clock b can be ahead of clock a, in nanoseconds; a pair that is not there is
    within `skew_ns` either way."""

    apart: Mapping[tuple[str, str], int] = field(default_factory=dict)
    skew_ns: int = 0

    @property
    def slack_ns(self) -> int:
        """By how much any record may have happened earlier than it says, as seen from another clock."""
        return max([self.skew_ns, *(abs(bound) for bound in self.apart.values() if abs(bound) < FAR_NS)])

    def bounds(self, a: str, b: str) -> tuple[int, int]:
        """Between what and what clock b is ahead of clock a."""
        if a == b:
            return 0, 0
        highest = self.apart.get((a, b))
        lowest = self.apart.get((b, a))
        low = -lowest if lowest is not None else -self.skew_ns if highest is None else min(-self.skew_ns, highest)
        high = highest if highest is not None else self.skew_ns if lowest is None else max(self.skew_ns, low)
        return low, max(low, high)

    def order(self, a: Evidence, b: Evidence) -> Order:
        """Which of two came first, or that nobody can tell. One that is named as a cause came first."""
        if b.causes and (a.id in b.causes or a.span_id in b.causes):
            return Order.BEFORE
        if a.causes and (b.id in a.causes or b.span_id in a.causes):
            return Order.AFTER
        if a.clock == b.clock and a.at_ns == b.at_ns:
            return Order.UNKNOWN if a.seq == b.seq else Order.BEFORE if a.seq < b.seq else Order.AFTER
        low_ns, high_ns = self.bounds(a.clock, b.clock)
        shown_ns = b.at_ns - a.at_ns
        if shown_ns > high_ns:
            return Order.BEFORE
        if shown_ns < low_ns:
            return Order.AFTER
        return Order.UNKNOWN

    def doubt(self, a: Evidence, b: Evidence) -> str:
        """Why an order cannot be told."""
        low_ns, high_ns = self.bounds(a.clock, b.clock)
        shown_ms = (b.at_ns - a.at_ns) / 1e6
        return (
            f"{a.step} ({a.clock}) and {b.step} ({b.clock}) are {abs(shown_ms):.1f} ms apart by their clocks, which "
            f"may differ by {low_ns / 1e6:.1f} to {high_ns / 1e6:.1f} ms: their order is unknown"
        )


TRUSTED = Clocks()
"""Clocks that are all the same."""


Edge = tuple[str, str, int]
"""(clock of the cause, clock of the effect, what the effect's clock showed minus what the cause's did, in ns)."""


def edges(records: Iterable[Evidence]) -> list[Edge]:
    """Every pair of records of which one caused the other, on different clocks. A cause counts from its begin (a span
    calls while it lasts), an effect from its own."""
    known = list(records)
    by_id = {name: record for record in known for name in (record.id, record.span_id) if name}
    return [
        (cause.clock, record.clock, _begin_ns(record) - _begin_ns(cause))
        for record in known
        for name in record.causes
        if (cause := by_id.get(name)) is not None and cause.clock != record.clock
    ]


def learn(found: Iterable[Edge], skew_ns: int = 0) -> Clocks:
    """Bounds from edges of many runs; clocks beyond the twenty with most edges are left to `skew_ns`."""
    count: dict[str, int] = {}
    smallest: dict[tuple[str, str], int] = {}
    for a, b, shown_ns in found:
        count[a], count[b] = count.get(a, 0) + 1, count.get(b, 0) + 1
        smallest[a, b] = min(shown_ns, smallest.get((a, b), FAR_NS))
    names = sorted(count, key=lambda name: (-count[name], name))[:MOST_CLOCKS]
    apart = {pair: bound for pair, bound in smallest.items() if pair[0] in names and pair[1] in names}
    for middle in names:
        for a in names:
            for b in names:
                if a != b and (a, middle) in apart and (middle, b) in apart:
                    through = apart[a, middle] + apart[middle, b]
                    apart[a, b] = min(through, apart.get((a, b), FAR_NS))
    return Clocks(apart, skew_ns)


def _begin_ns(record: Evidence) -> int:
    return record.start_ns or record.at_ns

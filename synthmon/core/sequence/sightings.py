"""What a run itself shows of the clocks of systems: its own first byte came before each record, our receipt after it.

That holds whatever the clocks did since the runs before. Where it contradicts what was learnt or assumed of a clock, it
counts alone: a clock that was set makes orders unknown, never wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from synthmon.core.evidence import Evidence
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import (
    FAR_NS,
    OURS,
    Clocks,
    Edge,
    Order,
    clock_of,
    doubt_within,
    edges,
    grain_ns,
    order_within,
)

COUNTED = "count"  # how records are matched that tell of a look of ours
_OWN_GRAIN_NS = 1_000_000  # our own clock is being disciplined while a run lasts

Least = Mapping[tuple[str, str], int]
"""(clock of a cause, clock of its effect) → the least that the second showed more than the first, in nanoseconds."""


class Sightings:
    """An `Ordering` that knows what was learnt before, and looks at each record of one run."""

    def __init__(self, known: Clocks) -> None:
        self._known, self.slack_ns = known, known.slack_ns
        self._least: dict[tuple[str, str], int] = {}
        self._found: dict[tuple[str, str], tuple[int, int]] = {}  # bounds, until a record moves one
        self.changes = 0

    def see(self, record: Evidence, sent_ns: int) -> None:
        """One more record; `sent_ns` is an instant not after our first byte left, 0 when nothing did."""
        for a, b, shown_ns in _ours(record, sent_ns):
            if shown_ns < self._least.get((a, b), FAR_NS):
                self._least[a, b] = shown_ns
                self.changes += 1
                self._found.clear()

    def order(self, a: Evidence, b: Evidence) -> Order:
        """As of `Ordering`."""
        return order_within(self._bounds(clock_of(a), clock_of(b)), a, b)

    def doubt(self, a: Evidence, b: Evidence) -> str:
        """As of `Ordering`."""
        return doubt_within(self._bounds(clock_of(a), clock_of(b)), a, b)

    def _bounds(self, a: str, b: str) -> tuple[int, int]:
        found = self._found.get((a, b))
        if found is None:
            found = self._found[a, b] = self._narrowed(a, b)
        return found

    def _narrowed(self, a: str, b: str) -> tuple[int, int]:
        """The known ones within those of this run, or those of this run alone."""
        known_low, known_high = self._known.bounds(a, b)
        low, high = -self._apart(b, a), self._apart(a, b)
        if low > high or a in self._known.unsteady or b in self._known.unsteady:
            return -FAR_NS, FAR_NS  # a clock was set within this run, or there are several behind its name
        if a == b:
            return known_low, known_high
        if self._moved(a) or self._moved(b) or known_low > high or known_high < low:
            return low, high
        return max(known_low, low), min(known_high, high)

    def _moved(self, clock: str) -> bool:
        """Whether it stands to ours as it never did."""
        known_low, known_high = self._known.bounds(OURS, clock)
        low, high = -self._least.get((clock, OURS), FAR_NS), self._least.get((OURS, clock), FAR_NS)
        return known_low > high or known_high < low

    def _apart(self, a: str, b: str) -> int:
        return min(FAR_NS, self._least.get((a, OURS), FAR_NS) + self._least.get((OURS, b), FAR_NS))


def least(record: Record) -> Least:
    """What a run that is over shows of clocks: by what caused what, by its own first byte and by our receipts."""
    found: dict[tuple[str, str], int] = {}
    for a, b, shown_ns in _all(record.evidence, _sent_ns(record)):
        found[a, b] = min(shown_ns, found.get((a, b), FAR_NS))
    return found


def _all(records: Iterable[Evidence], sent_ns: int) -> Iterator[Edge]:
    known = tuple(records)
    grain = max((grain_ns(record.at_ns) for record in known if record.causes), default=1)
    yield from ((a, b, shown_ns + 2 * grain) for a, b, shown_ns in edges(known))
    for record in known:
        yield from _ours(record, sent_ns)


def _ours(record: Evidence, sent_ns: int) -> Iterator[Edge]:
    """Our first byte before it began, its end before our receipt; what a key alone joins may be another's."""
    if record.matched_by == COUNTED:
        return  # it is we who looked
    clock, grain = clock_of(record), grain_ns(record.at_ns) + _OWN_GRAIN_NS
    if sent_ns and not record.matched_by.endswith("(key)"):
        yield OURS, clock, (record.start_ns or record.at_ns) + grain - sent_ns
    if record.received_ns:
        yield clock, OURS, record.received_ns + grain - record.at_ns


def _sent_ns(record: Record) -> int:
    """An instant not after our first byte left: when the first step asked for it; 0 when none did."""
    begun = [attempt.at_ms for step in record.steps for attempt in step.attempts]
    if record.started is None or not begun:
        return 0
    return round(record.started.timestamp() * 1e9) + int(min(begun) * 1e6)

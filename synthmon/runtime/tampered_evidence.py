"""What a source of evidence tells of a run, with one fault: a record is lost, late, there twice, or out of order; a
count has grown, or nobody can tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from synthmon.core.door import Door, OpenEar
from synthmon.core.evidence import Blind, Evidence, Report, Tell, Wanted
from synthmon.core.journey import Promises
from synthmon.core.outcomes import Reason
from synthmon.core.proof.faults import Fault, Injection
from synthmon.core.sequence.clauses import EventSpec
from synthmon.core.sources import Source
from synthmon.runtime.gathering import Gatherer

SOON_NS = 1_000_000  # between a record and its double
LATER_S = 1.0  # beyond the longest time that a promise has


@dataclass(frozen=True, slots=True)
class FaultyGatherer(Gatherer):
    """`gathering.Gatherer` with one fault in one of its sources; `count` is told of each record that it strikes."""

    injection: Injection = Injection("", Fault.DROP)
    promises: Promises = Promises()
    count: Callable[[], None] = lambda: None

    async def watch(self, source: Source, wanted: Wanted, door: Door, journey: str, tell: Tell) -> OpenEar:
        if self.injection.at.partition("/")[0] == source.name:
            told = _Counted if self.injection.of_count else _Told
            tell = told(self.injection, self.promises, tell, self.count).take
        return await Gatherer.watch(self, source, wanted, door, journey, tell)


class _Told:
    """Between a source and who hears of its records."""

    def __init__(self, injection: Injection, promises: Promises, tell: Tell, count: Callable[[], None]) -> None:
        self._fault, self._tell, self._count = injection.fault, tell, count
        events = {event.name: event for event in promises.events}
        self._event = events[injection.at.partition("/")[2]]
        self._other = events.get(injection.other)
        limits_s = [clause.within_s or 0.0 for clause in promises.clauses]
        self._late_ns = round((max([promises.within_s, *limits_s]) + LATER_S) * 1e9)
        self._waiting: list[Report] | None = None  # since the first of two that change places
        self._swapped = False

    def take(self, report: Report) -> None:
        if self._waiting is not None:
            self._wait_for_other(report)
        elif isinstance(report, Evidence) and self._event.matches(report):
            self._strike(report)
        elif isinstance(report, Evidence) and self._fault is Fault.REORDER and self._is(self._other, report):
            self._waiting = [report] if not self._swapped else None  # they may be told in either order
            if self._swapped:
                self._tell(report)
        else:
            self._tell(report)

    def _strike(self, record: Evidence) -> None:
        match self._fault:
            case Fault.DROP:
                self._count()
            case Fault.DELAY:
                self._count()
                self._tell(_moved(record, self._late_ns))
            case Fault.DUPLICATE:
                self._count()
                self._tell(record)
                self._tell(_another(record, "again"))
            case Fault.ERROR:
                self._count()
                self._tell(record)
                self._tell(replace(_another(record, "error"), status="error"))
            case Fault.REORDER if not self._swapped:
                self._waiting = [record]
            case _:
                self._tell(record)

    def _wait_for_other(self, report: Report) -> None:
        """What comes between the two waits, watermarks too: they would say that the second was told."""
        assert self._waiting is not None  # who calls has looked
        first = self._waiting[0]
        assert isinstance(first, Evidence)  # it began with one
        wanted = self._other if self._event.matches(first) else self._event
        if not isinstance(report, Evidence) or not self._is(wanted, report):
            self._waiting.append(report)
            return
        between, self._waiting, self._swapped = self._waiting[1:], None, True
        self._count()
        apart_ns = report.at_ns - first.at_ns
        for told in (_moved(report, -apart_ns), _moved(first, apart_ns), *between):
            self._tell(told)

    @staticmethod
    def _is(event: EventSpec | None, record: Evidence) -> bool:
        return event is not None and event.matches(record)


class _Counted:
    """Between a source that counts and who hears of it."""

    def __init__(self, injection: Injection, promises: Promises, tell: Tell, count: Callable[[], None]) -> None:
        self._fault, self._tell, self._count = injection.fault, tell, count
        self._first = True

    def take(self, report: Report) -> None:
        if self._fault is Fault.ERROR:
            self._count()
            self._tell(Blind(report.source, Reason.CONNECTION, "it cannot be counted (injected)"))
            return
        if not isinstance(report, Evidence) or self._first:
            self._tell(report)
        if isinstance(report, Evidence):
            self._first = False
            self._count()
            self._tell(_grown(report))


def _grown(record: Evidence) -> Evidence:
    """One more."""
    number = int(record.attrs.get("count", "0")) + 1
    return replace(_moved(record, SOON_NS), attrs={**record.attrs, "count": str(number)})


def _moved(record: Evidence, by_ns: int) -> Evidence:
    return replace(record, at_ns=record.at_ns + by_ns, start_ns=record.start_ns + by_ns if record.start_ns else 0)


def _another(record: Evidence, word: str) -> Evidence:
    """The same happening once more: what tells it apart is its id."""
    return replace(_moved(record, SOON_NS), id=f"{record.identity}-{word}", span_id="")

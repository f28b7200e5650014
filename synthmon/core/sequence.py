"""Judges clauses while evidence comes in: in event time, as early as can be, and never to be taken back.

Records come in any order; what counts is when they happened. A source's watermark says up to which instant it has told
everything: only then is a record's absence a fact. Nothing is true because nothing was seen, and what cannot be told
(a source that is blind or behind, clocks too uncertain for an order) is unknown, which is neither pass nor fail.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from synthmon.core.clauses import Clause, EventSpec, Word
from synthmon.core.clocks import TRUSTED, Order, Ordering
from synthmon.core.evidence import Blind, Evidence, Report, Watermark

NEVER_NS = -(1 << 62)


class Verdict(StrEnum):
    """What a clause comes to."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one clause: with the records that decided it, and a sentence for a person."""

    clause: Clause
    verdict: Verdict
    said: str
    records: tuple[Evidence, ...] = ()


@dataclass(slots=True)
class _Event:
    """What is known of one name: its records in order of time, and how many different happenings they are."""

    spec: EventSpec
    records: list[Evidence] = field(default_factory=list)
    ids: dict[str, Evidence] = field(default_factory=dict)

    def take(self, record: Evidence) -> bool:
        """Whether it is another happening; a retry of one that is known counts as the earlier of both."""
        known = self.ids.get(record.happening)
        if known is None:
            self.ids[record.happening] = record
            insort(self.records, record, key=_when)
            return True
        if _when(record) < _when(known):
            self.records.remove(known)
            self.ids[record.happening] = record
            insort(self.records, record, key=_when)
            return True
        return False

    def until(self, limit_ns: int | None) -> list[Evidence]:
        """Those that count: everything, or what happened by the limit."""
        if limit_ns is None or not self.records or self.records[-1].at_ns <= limit_ns:
            return self.records
        return [record for record in self.records if record.at_ns <= limit_ns]


class Monitor:
    """The clauses of one run. Feed it reports, and what the run itself did; read `judgements`."""

    def __init__(
        self, events: Iterable[EventSpec], clauses: Sequence[Clause], begin_ns: int, clocks: Ordering = TRUSTED
    ) -> None:
        counted = (EventSpec(c.events[0], c.events[0]) for c in clauses if c.word is Word.EMPTY)
        self._events = {spec.name: _Event(spec) for spec in (*events, *counted)}
        self._by_source: dict[str, list[_Event]] = {}
        for event in self._events.values():
            self._by_source.setdefault(event.spec.source, []).append(event)
        self._open = list(clauses)
        self._begin_ns, self._clocks, self._slack_ns = begin_ns, clocks, clocks.slack_ns
        self._end_ns: int | None = None
        self._sent_ns: dict[str, int] = {}
        self._marks: dict[str, int] = {}  # source → its watermark
        self._blind: dict[str, Blind] = {}
        self._alive: set[str] = set()  # sources that told something of this run
        self.judgements: list[Judgement] = []

    @property
    def done(self) -> bool:
        """Whether every clause has its verdict."""
        return not self._open

    def has_told(self, at_ns: int) -> bool:
        """Whether every source has told what happened by then, or by the end if that was earlier."""
        until_ns = at_ns if self._end_ns is None else min(at_ns, self._end_ns)
        return all(self._marks.get(source, NEVER_NS) >= until_ns for source in self._by_source)

    def feed(self, report: Report) -> tuple[Judgement, ...]:
        """Take one report; answers what it decided."""
        match report:
            case Evidence():
                return self._decide(self._take(report))
            case Watermark():
                self._blind.pop(report.source, None)
                if report.at_ns <= self._marks.get(report.source, NEVER_NS):
                    return ()
                self._marks[report.source] = report.at_ns
            case Blind():
                self._blind[report.source] = report
                return ()
        return self._decide({event.spec.name for event in self._by_source.get(report.source, ())})

    def sent(self, step: str, at_ns: int) -> tuple[Judgement, ...]:
        """A step's first byte left; clauses may count from it."""
        self._sent_ns.setdefault(step, at_ns)
        return self._decide(self._events.keys())

    def end(self, at_ns: int) -> tuple[Judgement, ...]:
        """The steps are over: what has not happened by this instant has not happened."""
        self._end_ns = at_ns
        return self._decide(self._events.keys())

    def close(self, why: str) -> tuple[Judgement, ...]:
        """Nobody waits any longer; what is open cannot be told."""
        found = tuple(Judgement(clause, Verdict.UNKNOWN, self._why_open(clause, why)) for clause in self._open)
        self._open = []
        self.judgements.extend(found)
        return found

    def drop(self, clauses: Iterable[Clause]) -> None:
        """These were not meant for this run."""
        dropped = set(map(id, clauses))
        self._open = [clause for clause in self._open if id(clause) not in dropped]

    # deciding ------------------------------------------------------------------------------------------------------

    def _take(self, record: Evidence) -> Collection[str]:
        """The events of which it is a new happening; with a source's first sign of life, all of its events."""
        concerned = self._by_source.get(record.source, ())
        taken = [event.spec.name for event in concerned if event.spec.matches(record) and event.take(record)]
        if record.source in self._alive:
            return taken
        self._alive.add(record.source)
        return [event.spec.name for event in concerned]

    def _decide(self, events: Collection[str]) -> tuple[Judgement, ...]:
        """Judge the clauses about these events."""
        if not events:
            return ()
        found: list[Judgement] = []
        for clause in self._open:
            if any(name in events for name in clause.events) and (judged := self._judge(clause)) is not None:
                found.append(judged)
        if found:
            decided = {id(judged.clause) for judged in found}
            self._open = [clause for clause in self._open if id(clause) not in decided]
            self.judgements.extend(found)
        return tuple(found)

    def _judge(self, clause: Clause) -> Judgement | None:
        if clause.after and clause.after not in self._sent_ns:
            return None  # it counts from a step that has not left
        match clause.word:
            case Word.HAPPENS:
                return self._happens(clause)
            case Word.NEVER:
                return self._at_most(clause, 0)
            case Word.AT_MOST:
                return self._at_most(clause, clause.limit)
            case Word.ONCE:
                return self._once(clause)
            case Word.BEFORE:
                return self._before(clause)
            case Word.FOLLOWS:
                return self._follows(clause)
            case Word.NOT_BOTH:
                return self._not_both(clause)
            case Word.EMPTY:
                return self._empty(clause)

    def _happens(self, clause: Clause) -> Judgement | None:
        limit_ns = self._limit_ns(clause)
        event = self._events[clause.events[0]]
        if found := event.until(limit_ns):
            return _pass(clause, f"{clause.events[0]} happened {self._at(found[0])}", found[0])
        if limit_ns is None or not self._told(event, limit_ns):
            return None
        if event.records:
            return _fail(
                clause, f"{clause.events[0]} happened too late, {self._at(event.records[0])}", event.records[0]
            )
        return _fail(clause, f"{clause.events[0]} did not happen by {self._since(limit_ns)}")

    def _at_most(self, clause: Clause, most: int) -> Judgement | None:
        event, limit_ns = self._events[clause.events[0]], self._limit_ns(clause)
        found = event.until(limit_ns)
        if len(found) > most:
            times = f"{len(found)} times, last" if most else ""
            return _fail(
                clause, f"{clause.events[0]} happened {times} {self._at(found[-1])}".replace("  ", " "), *found
            )
        if limit_ns is None or not self._told(event, limit_ns) or event.spec.source not in self._alive:
            return None
        return _pass(clause, f"{clause.events[0]} happened {_times(len(found))} by {self._since(limit_ns)}", *found)

    def _once(self, clause: Clause) -> Judgement | None:
        event, limit_ns = self._events[clause.events[0]], self._limit_ns(clause)
        found = event.until(limit_ns)
        if len(found) > 1:
            said = f"{clause.events[0]} happened {_times(len(found))}: {', '.join(map(self._at, found[:3]))}"
            return _fail(clause, said, *found)
        if limit_ns is None or not self._told(event, limit_ns):
            return None
        if found:
            return _pass(clause, f"{clause.events[0]} happened once, {self._at(found[0])}", found[0])
        return _fail(clause, f"{clause.events[0]} did not happen by {self._since(limit_ns)}")

    def _before(self, clause: Clause) -> Judgement | None:
        limit_ns = self._limit_ns(clause)
        first, second = (self._events[name] for name in clause.events)
        earlier, later = first.until(limit_ns)[:1], second.until(limit_ns)[:1]
        slack_ns = self._slack_ns
        if earlier and later:
            return self._ordered(clause, earlier[0], later[0])
        if earlier and self._told(second, earlier[0].at_ns + slack_ns):
            return _pass(
                clause,
                f"{clause.events[0]} {self._at(earlier[0])}, no earlier {clause.events[1]}",
                earlier[0],
            )
        if later and self._told(first, later[0].at_ns + slack_ns):
            said = f"{clause.events[1]} {self._at(later[0])}, and no {clause.events[0]} before it"
            return _fail(clause, said, later[0])
        if earlier or later or limit_ns is None:
            return None
        if self._told(first, limit_ns) and self._told(second, limit_ns):
            return _fail(clause, f"neither of both happened by {self._since(limit_ns)}")
        return None

    def _ordered(self, clause: Clause, a: Evidence, b: Evidence) -> Judgement | None:
        """Both were seen; an earlier one of either may still be on its way until its source has told so."""
        first, second = (self._events[name] for name in clause.events)
        slack_ns = self._slack_ns
        match self._clocks.order(a, b):
            case Order.BEFORE if self._told(second, a.at_ns + slack_ns):
                return _pass(clause, f"{clause.events[0]} {self._at(a)}, {clause.events[1]} {self._at(b)}", a, b)
            case Order.AFTER if self._told(first, b.at_ns + slack_ns):
                said = f"{clause.events[1]} {self._at(b)} came before {clause.events[0]} {self._at(a)}"
                return _fail(clause, said, b, a)
            case Order.UNKNOWN:
                last_ns = max(a.at_ns, b.at_ns) + slack_ns
                if self._told(first, last_ns) and self._told(second, last_ns):
                    return Judgement(clause, Verdict.UNKNOWN, self._clocks.doubt(a, b), (a, b))
        return None

    def _follows(self, clause: Clause) -> Judgement | None:
        first, second = (self._events[name] for name in clause.events)
        causes, answers = first.until(self._end_ns), second.records
        for cause in causes:
            limit_ns = self._answer_by(clause, cause)
            if any(self._answers(cause, answer, limit_ns) for answer in answers):
                continue
            if limit_ns is not None and self._told(second, limit_ns + self._slack_ns):
                said = f"{clause.events[0]} {self._at(cause)} was not followed by {clause.events[1]}"
                return _fail(clause, said, cause)
            return None
        if self._end_ns is None or not self._told(first, self._end_ns):
            return None
        if not causes:
            return _fail(clause, f"{clause.events[0]} did not happen by {self._since(self._end_ns)}")
        return _pass(clause, f"each of {len(causes)} {clause.events[0]} was followed by {clause.events[1]}", *causes)

    def _answers(self, cause: Evidence, answer: Evidence, limit_ns: int | None) -> bool:
        in_time = limit_ns is None or answer.at_ns <= limit_ns
        return in_time and self._clocks.order(answer, cause) is not Order.BEFORE

    def _answer_by(self, clause: Clause, cause: Evidence) -> int | None:
        if clause.within_s is None:
            return self._end_ns
        limit_ns = cause.at_ns + round(clause.within_s * 1e9)
        return limit_ns if self._end_ns is None else min(limit_ns, self._end_ns)

    def _not_both(self, clause: Clause) -> Judgement | None:
        limit_ns = self._limit_ns(clause)
        both = [self._events[name] for name in clause.events]
        found = [event.until(limit_ns)[:1] for event in both]
        if all(found):
            records = [records[0] for records in found]
            said = " and ".join(f"{name} {self._at(r)}" for name, r in zip(clause.events, records, strict=True))
            return _fail(clause, f"both happened: {said}", *records)
        if limit_ns is None or not all(self._told(e, limit_ns) and e.spec.source in self._alive for e in both):
            return None
        return _pass(clause, f"not both happened by {self._since(limit_ns)}")

    def _empty(self, clause: Clause) -> Judgement | None:
        """Nothing waits there at the end, or no more than before; more may be somebody else's."""
        event, limit_ns = self._events[clause.events[0]], self._limit_ns(clause)
        if limit_ns is None or not self._told(event, limit_ns) or not event.records:
            return None
        first, last = (int(record.attrs.get("count", "0")) for record in (event.records[0], event.records[-1]))
        if last == 0:
            return _pass(clause, f"{clause.events[0]} is empty", event.records[-1])
        if last <= first:
            return _pass(clause, f"{clause.events[0]} holds {last}, as before the run", event.records[-1])
        said = f"{clause.events[0]} grew from {first} to {last}"
        if clause.limit:
            return _fail(clause, said, event.records[-1])
        said += "; it may be somebody else's: `exclusive: true` would say that it is not"
        return Judgement(clause, Verdict.UNKNOWN, said, (event.records[-1],))

    # what is known ---------------------------------------------------------------------------------------------------

    def _limit_ns(self, clause: Clause) -> int | None:
        """Until when it counts; None: not known yet."""
        if clause.within_s is None or clause.word is Word.FOLLOWS:
            return self._end_ns
        base_ns = self._sent_ns[clause.after] if clause.after else self._begin_ns
        return base_ns + round(clause.within_s * 1e9)

    def _told(self, event: _Event, until_ns: int) -> bool:
        """Whether the source of an event has told everything until an instant."""
        source = event.spec.source
        return source not in self._blind and self._marks.get(source, NEVER_NS) >= until_ns

    def _why_open(self, clause: Clause, why: str) -> str:
        for source in dict.fromkeys(self._events[name].spec.source for name in clause.events):
            if blind := self._blind.get(source):
                return f"{source} cannot tell: {blind.detail}"
            if source not in self._alive:
                return f"{source} showed no sign of this run"
        if clause.after and clause.after not in self._sent_ns:
            return f"it counts from {clause.after}, which never left"
        return why

    def _at(self, record: Evidence) -> str:
        return f"at {self._since(record.at_ns)}{f' ({record.clock})' if record.clock else ''}"

    def _since(self, at_ns: int) -> str:
        return f"{(at_ns - self._begin_ns) / 1e9:+.3f}s"


def _when(record: Evidence) -> tuple[int, int]:
    return record.at_ns, record.seq


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number} times")


def _pass(clause: Clause, said: str, *records: Evidence) -> Judgement:
    return Judgement(clause, Verdict.PASS, said, records)


def _fail(clause: Clause, said: str, *records: Evidence) -> Judgement:
    return Judgement(clause, Verdict.FAIL, said, records)

"""Judges clauses while evidence comes in: in event time, as early as can be, and never to be taken back.

Records come in any order; what counts is when they happened. A source's watermark says up to which instant it has told
everything: only then is a record's absence a fact. Nothing is true because nothing was seen, and what cannot be told
(a source that is blind or behind, clocks too uncertain for an order) is unknown, which is neither pass nor fail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from synthmon.core.evidence import Blind, Evidence, Report, Watermark
from synthmon.core.sequence.asked import Asked, AtMost, Before, Empty, Happens, NotBoth, Once
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sequence.clocks import TRUSTED, Ordering
from synthmon.core.sequence.followed import Follows
from synthmon.core.sequence.judgement import Judgement
from synthmon.core.sequence.told import Happened, Known, Telling

_WORDS: Mapping[Word, type[Asked]] = {
    Word.HAPPENS: Happens,
    Word.NEVER: AtMost,
    Word.ONCE: Once,
    Word.AT_MOST: AtMost,
    Word.BEFORE: Before,
    Word.FOLLOWS: Follows,
    Word.NOT_BOTH: NotBoth,
    Word.EMPTY: Empty,
}


class Monitor:
    """The clauses of one run. Feed it reports, and what the run itself did; read `judgements`.

    A report has only those clauses judged that it concerns, and each looks only at what the report can have changed.
    """

    def __init__(
        self, events: Iterable[EventSpec], clauses: Sequence[Clause], begin_ns: int, clocks: Ordering = TRUSTED
    ) -> None:
        counted = (EventSpec(c.events[0], c.events[0]) for c in clauses if c.word is Word.EMPTY)
        specs = {spec.name: spec for spec in (*events, *counted)}
        self._sources = {spec.source: Telling(spec.source) for spec in specs.values()}
        happened = {name: Happened(spec, self._sources[spec.source]) for name, spec in specs.items()}
        for source in self._sources.values():
            source.tells_of([event for event in happened.values() if event.source is source])
        self._known = Known(begin_ns, clocks, clocks.slack_ns)
        self._open: dict[int, Asked] = {}  # in order of writing
        for number, clause in enumerate(clauses):
            asked = _WORDS[clause.word](clause, number, [happened[name] for name in clause.events], self._known)
            self._open[number] = asked
        self._about: dict[str, list[Asked]] = {name: [] for name in specs}  # event → the open ones that ask of it
        for asked in self._open.values():
            for name in dict.fromkeys(asked.clause.events):
                self._about[name].append(asked)
        self.judgements: list[Judgement] = []

    @property
    def done(self) -> bool:
        """Whether every clause has its verdict."""
        return not self._open

    def has_told(self, at_ns: int) -> bool:
        """Whether every source has told what happened by then, or by the end if that was earlier."""
        end_ns = self._known.end_ns
        until_ns = at_ns if end_ns is None else min(at_ns, end_ns)
        return all(source.mark_ns >= until_ns for source in self._sources.values())

    def feed(self, report: Report) -> tuple[Judgement, ...]:
        """Take one report; answers what it decided."""
        source = self._sources.get(report.source)
        if source is None:
            return ()
        match report:
            case Evidence():
                return self._decide(self._take(source, report))
            case Watermark():
                sees_again, source.blind = source.blind is not None, None
                if report.at_ns <= source.mark_ns and not sees_again:
                    return ()
                source.mark_ns = max(report.at_ns, source.mark_ns)
                return self._decide(self._concerned(source.events))
            case Blind():
                source.blind = report
                return ()

    def sent(self, step: str, at_ns: int) -> tuple[Judgement, ...]:
        """A step's first byte left; clauses may count from it."""
        self._known.sent_ns.setdefault(step, at_ns)
        return self._count_anew()

    def end(self, at_ns: int) -> tuple[Judgement, ...]:
        """The steps are over: what has not happened by this instant has not happened."""
        self._known.end_ns = at_ns
        return self._count_anew()

    def lacking(self, until_ns: int) -> tuple[Clause, ...]:
        """The clauses without a verdict that wait for what had not happened by an instant."""
        return tuple(asked.clause for asked in self._open.values() if asked.lacks(until_ns))

    def close(self, why: str) -> tuple[Judgement, ...]:
        """Nobody waits any longer; what is open cannot be told."""
        found = tuple(asked.unknown(asked.why_open(why)) for asked in self._open.values())
        self._forget(tuple(self._open.values()))
        self.judgements.extend(found)
        return found

    def drop(self, clauses: Iterable[Clause]) -> None:
        """These were not meant for this run."""
        dropped = set(map(id, clauses))
        self._forget([asked for asked in self._open.values() if id(asked.clause) in dropped])

    # deciding ------------------------------------------------------------------------------------------------------

    def _take(self, source: Telling, record: Evidence) -> Collection[Asked]:
        """The clauses about events of which it is a new happening; with a source's first sign of life, about all."""
        taken = [event for event in source.may_be(record) if event.is_told_by(record) and event.take(record)]
        if source.alive:
            return self._concerned(taken)
        source.alive = True
        return self._concerned(source.events)

    def _concerned(self, events: Collection[Happened]) -> Collection[Asked]:
        """The open clauses about these events, in order of writing."""
        if len(events) == 1:
            (event,) = events
            return self._about[event.name]
        numbers = {asked.number for event in events for asked in self._about[event.name]}
        return [self._open[number] for number in sorted(numbers)]

    def _count_anew(self) -> tuple[Judgement, ...]:
        for asked in self._open.values():
            asked.count_from()
        return self._decide(self._open.values())

    def _decide(self, concerned: Collection[Asked]) -> tuple[Judgement, ...]:
        """Judge these clauses."""
        found = [(asked, judged) for asked in concerned if asked.counts and (judged := asked.judge()) is not None]
        if not found:
            return ()
        self._forget([asked for asked, _ in found])
        decided = tuple(judged for _, judged in found)
        self.judgements.extend(decided)
        return decided

    def _forget(self, decided: Collection[Asked]) -> None:
        """Nobody asks for these any more."""
        for asked in decided:
            del self._open[asked.number]
            for name in dict.fromkeys(asked.clause.events):
                self._about[name].remove(asked)

"""What each word of a clause asks of what was told: whether it holds, whether it is broken, or that nobody knows yet.

Every question is asked again after each record and each watermark that concerns it. So it looks first whether anything
can have been decided at all, and finds its words only when something was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from synthmon.core.evidence import Evidence
from synthmon.core.sequence.clauses import Clause, Word
from synthmon.core.sequence.clocks import Order
from synthmon.core.sequence.judgement import Judgement, Verdict
from synthmon.core.sequence.told import Happened, Known


class Asked(ABC):
    """One clause that has no verdict yet. `number`: its place among the others of the run."""

    __slots__ = ("clause", "counts", "events", "first", "known", "limit_ns", "number", "second", "within_ns")

    def __init__(self, clause: Clause, number: int, events: Sequence[Happened], known: Known) -> None:
        self.clause, self.number, self.events, self.known = clause, number, events, known
        self.first, self.second = events[0], events[-1]
        self.within_ns = None if clause.within_s is None else round(clause.within_s * 1e9)
        self.limit_ns: int | None = None
        self.counts = False
        self.count_from()

    def count_from(self) -> None:
        """Look again until when it counts (None: not known yet), and whether it counts from a step that has left."""
        after, sent_ns = self.clause.after, self.known.sent_ns
        self.counts = not after or after in sent_ns
        if self.within_ns is None or self.clause.word is Word.FOLLOWS:
            self.limit_ns = self.known.end_ns
        elif self.counts:
            self.limit_ns = (sent_ns[after] if after else self.known.begin_ns) + self.within_ns

    @abstractmethod
    def judge(self) -> Judgement | None:
        """The verdict, if what was told suffices for one that nothing can change any more. For a clause that counts."""

    def lacks(self, until_ns: int) -> bool:
        """Whether it waits for something that by then, as far as all was told, had not happened."""
        match self.clause.word:
            case Word.HAPPENS | Word.ONCE | Word.BEFORE:
                wanted = [self.first]
            case Word.FOLLOWS:
                wanted = [self.first, self.second]
            case _:
                wanted = []
        return any(not event.records and event.source.told(until_ns) for event in wanted)

    def why_open(self, why: str) -> str:
        """Why there is no verdict: for this reason, unless there is a better one."""
        for source in dict.fromkeys(event.source for event in self.events):
            if source.blind is not None:
                return f"{source.name} cannot tell: {source.blind.detail}"
            if not source.alive:
                return f"{source.name} showed no sign of this run"
        if not self.counts:
            return f"it counts from {self.clause.after}, which never left"
        return why

    def passed(self, said: str, *records: Evidence) -> Judgement:
        """It holds."""
        return Judgement(self.clause, Verdict.PASS, said, records)

    def failed(self, said: str, *records: Evidence) -> Judgement:
        """It is broken."""
        return Judgement(self.clause, Verdict.FAIL, said, records)

    def unknown(self, said: str, *records: Evidence) -> Judgement:
        """Nobody can ever tell."""
        return Judgement(self.clause, Verdict.UNKNOWN, said, records)

    def at(self, record: Evidence) -> str:
        """When a record happened, in words."""
        return self.known.at(record)

    def by(self) -> str:
        """The limit, which is known, in words."""
        assert self.limit_ns is not None
        return self.known.since(self.limit_ns)


class Happens(Asked):
    """It happened by the limit."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        event = self.first
        found = event.first_by(self.limit_ns)
        if found is not None:
            return self.passed(f"{event.name} happened {self.at(found)}", found)
        if self.limit_ns is None or not event.source.told(self.limit_ns):
            return None
        if event.records:
            late = event.records[0]
            return self.failed(f"{event.name} happened too late, {self.at(late)}", late)
        return self.failed(f"{event.name} did not happen by {self.by()}")


class AtMost(Asked):
    """It happened so many times at most, by a source that showed life of the run; `never` is at most no time."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        event, most = self.first, self.clause.limit if self.clause.word is Word.AT_MOST else 0
        count = event.count_by(self.limit_ns)
        if count > most:
            found = event.until(self.limit_ns)
            times = f"{count} times, last " if most else ""
            return self.failed(f"{event.name} happened {times}{self.at(found[-1])}", *found)
        if self.limit_ns is None or not event.source.alive or not event.source.told(self.limit_ns):
            return None
        return self.passed(f"{event.name} happened {_times(count)} by {self.by()}", *event.until(self.limit_ns))


class Once(Asked):
    """It happened, and no second time."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        event = self.first
        count = event.count_by(self.limit_ns)
        if count > 1:
            found = event.until(self.limit_ns)
            return self.failed(f"{event.name} happened {_times(count)}: {', '.join(map(self.at, found[:3]))}", *found)
        if self.limit_ns is None or not event.source.told(self.limit_ns):
            return None
        if count:
            return self.passed(f"{event.name} happened once, {self.at(event.records[0])}", event.records[0])
        return self.failed(f"{event.name} did not happen by {self.by()}")


class Before(Asked):
    """The first happened before the second, or the second not at all."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        first, second, slack_ns = self.first, self.second, self.known.slack_ns
        earlier, later = first.first_by(self.limit_ns), second.first_by(self.limit_ns)
        if earlier is not None and later is not None:
            return (
                self._first_before(earlier, later) or self._second_before(earlier, later) or self._doubt(earlier, later)
            )
        if earlier is not None:
            if not second.source.told(earlier.at_ns + slack_ns):
                return None
            return self.passed(f"{first.name} {self.at(earlier)}, no earlier {second.name}", earlier)
        if later is not None:
            if not first.source.told(later.at_ns + slack_ns):
                return None
            return self.failed(f"{second.name} {self.at(later)}, and no {first.name} before it", later)
        if self.limit_ns is None or not (first.source.told(self.limit_ns) and second.source.told(self.limit_ns)):
            return None
        return self.failed(f"neither of both happened by {self.by()}")

    def _first_before(self, earlier: Evidence, later: Evidence) -> Judgement | None:
        """It holds as soon as one of the first is known to be before all of the second, seen or still on their way."""
        order = self.known.clocks.order
        for a in self._near(self.first, later, earlier):
            if not self.second.source.told(a.at_ns + self.known.slack_ns):
                return None
            if all(order(a, b) is Order.BEFORE for b in self._near(self.second, a, later)):
                return self.passed(f"{self.first.name} {self.at(a)}, {self.second.name} {self.at(later)}", a, later)
        return None

    def _second_before(self, earlier: Evidence, later: Evidence) -> Judgement | None:
        """It is broken as soon as one of the second is known to be before all of the first."""
        order = self.known.clocks.order
        for b in self._near(self.second, earlier, later):
            if not self.first.source.told(b.at_ns + self.known.slack_ns):
                return None
            if all(order(a, b) is Order.AFTER for a in self._near(self.first, b, earlier)):
                said = f"{self.second.name} {self.at(b)} came before {self.first.name} {self.at(earlier)}"
                return self.failed(said, b, earlier)
        return None

    def _doubt(self, a: Evidence, b: Evidence) -> Judgement | None:
        """Nobody can ever tell once nothing that could decide it is still on its way."""
        last_ns = max(a.at_ns, b.at_ns) + 2 * self.known.slack_ns
        if not (self.first.source.told(last_ns) and self.second.source.told(last_ns)):
            return None
        return self.unknown(self.known.clocks.doubt(a, b), a, b)

    def _near(self, event: Happened, record: Evidence, earliest: Evidence) -> Sequence[Evidence]:
        """Those of an event that count and may have happened before a record, by any clock or because it names them as
        causes; all others happened after it. If there are none, the earliest."""
        until_ns = record.at_ns + self.known.slack_ns
        near = event.until(until_ns if self.limit_ns is None else min(until_ns, self.limit_ns))
        if record.causes:
            named = event.until(self.limit_ns)[len(near) :]
            near += [one for one in named if one.id in record.causes or one.span_id in record.causes]
        return near or (earliest,)


class NotBoth(Asked):
    """One of both at most happened, by sources that showed life of the run."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        found = [record for event in self.events if (record := event.first_by(self.limit_ns)) is not None]
        if len(found) == len(self.events):
            pairs = zip(self.events, found, strict=True)
            said = " and ".join(f"{event.name} {self.at(record)}" for event, record in pairs)
            return self.failed(f"both happened: {said}", *found)
        limit_ns = self.limit_ns
        if limit_ns is None or not all(e.source.alive and e.source.told(limit_ns) for e in self.events):
            return None
        return self.passed(f"not both happened by {self.by()}")


class Empty(Asked):
    """Nothing waits there at the end, or no more than before; more may be somebody else's."""

    __slots__ = ()

    def judge(self) -> Judgement | None:
        event = self.first
        if self.limit_ns is None or not event.source.told(self.limit_ns) or not event.records:
            return None
        newest = event.records[-1]
        first, last = (int(record.attrs.get("count", "0")) for record in (event.records[0], newest))
        if last == 0:
            return self.passed(f"{event.name} is empty", newest)
        if last <= first:
            return self.passed(f"{event.name} holds {last}, as before the run", newest)
        said = f"{event.name} grew from {first} to {last}"
        if self.clause.limit:
            return self.failed(said, newest)
        return self.unknown(f"{said}; it may be somebody else's: `exclusive: true` would say that it is not", newest)


def _times(number: int) -> str:
    return {0: "never", 1: "once"}.get(number, f"{number} times")

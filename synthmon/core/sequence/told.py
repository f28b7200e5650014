"""What was told of a run so far: which events, in order of time, and up to which instant each source told everything.

Kept so that a judge need not look at everything again: how many happened by an instant is found in a sorted list, and
what came since the last look is the end of another.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from synthmon.core.evidence import Blind, Evidence
from synthmon.core.sequence.clauses import EventSpec
from synthmon.core.sequence.clocks import Ordering

NEVER_NS = -(1 << 62)


@dataclass(slots=True, eq=False)
class Telling:
    """One source of a run: up to when it told everything, whether it is blind now, whether it showed life of the run.

    `by_step` are the events that a record of a step may be, `of_any_step` those that one of another step may be.
    """

    name: str
    mark_ns: int = NEVER_NS
    blind: Blind | None = None
    alive: bool = False
    events: Sequence[Happened] = ()
    by_step: dict[str, list[Happened]] = field(default_factory=dict)
    of_any_step: list[Happened] = field(default_factory=list)

    def tells_of(self, events: Sequence[Happened]) -> None:
        """These are the events that are read from it."""
        self.events = events
        self.of_any_step = [event for event in events if "step" not in event.spec.fields]
        for step in {event.spec.fields["step"] for event in events if "step" in event.spec.fields}:
            self.by_step[step] = [event for event in events if event.spec.fields.get("step", step) == step]

    def told(self, until_ns: int) -> bool:
        """Whether it has told everything until an instant: only then is it a fact that something is not there."""
        return self.mark_ns >= until_ns and self.blind is None

    def may_be(self, record: Evidence) -> list[Happened]:
        """The events that a record of this source may be."""
        return self.by_step.get(record.step, self.of_any_step)


class Happened:
    """The records of one event name in order of time, one for each happening: the earliest of its attempts."""

    __slots__ = ("_by_happening", "_by_step_alone", "_whens", "came", "moves", "name", "records", "source", "spec")

    def __init__(self, spec: EventSpec, source: Telling) -> None:
        self.name, self.spec, self.source = spec.name, spec, source
        self._by_step_alone = spec.fields.keys() == {"step"} and spec.where is None
        self.records: list[Evidence] = []
        self.came: list[Evidence] = []  # in the order in which they came
        self.moves = 0  # how often an earlier attempt took the place of a record
        self._whens: list[tuple[int, int]] = []  # of `records`
        self._by_happening: dict[str, Evidence] = {}

    def is_told_by(self, record: Evidence) -> bool:
        """Whether a record that may be one of these is one."""
        return self._by_step_alone or self.spec.matches(record)

    def take(self, record: Evidence) -> bool:
        """Whether it is another happening, or an earlier attempt of one that is known."""
        when, happening = (record.at_ns, record.seq), record.happening
        known = self._by_happening.get(happening)
        if known is not None:
            if when >= (known.at_ns, known.seq):
                return False
            self._forget(known)
        self._by_happening[happening] = record
        self.came.append(record)
        index = len(self._whens) if not self._whens or self._whens[-1] <= when else bisect_right(self._whens, when)
        self._whens.insert(index, when)
        self.records.insert(index, record)
        return True

    def first_by(self, limit_ns: int | None) -> Evidence | None:
        """The earliest that counts: that happened by the limit, if there is one."""
        if not self.records or (limit_ns is not None and self.records[0].at_ns > limit_ns):
            return None
        return self.records[0]

    def count_by(self, limit_ns: int | None) -> int:
        """How many happened by the limit."""
        if limit_ns is None or not self._whens or self._whens[-1][0] <= limit_ns:
            return len(self.records)
        return bisect_left(self._whens, (limit_ns + 1,))

    def until(self, limit_ns: int | None) -> list[Evidence]:
        """Those that happened by the limit."""
        return self.records[: self.count_by(limit_ns)]

    def _forget(self, known: Evidence) -> None:
        self.moves += 1
        index = bisect_left(self._whens, (known.at_ns, known.seq))
        while self.records[index] is not known:
            index += 1
        del self.records[index], self._whens[index]


@dataclass(slots=True, eq=False)
class Known:
    """What is known of the run itself: when it began, what was sent when, and until when its promises are awaited."""

    begin_ns: int
    clocks: Ordering
    slack_ns: int
    end_ns: int | None = None
    sent_ns: dict[str, int] = field(default_factory=dict)

    def at(self, record: Evidence) -> str:
        """When and by whose clock a record happened, in words."""
        return f"at {self.since(record.at_ns)}{f' ({record.clock})' if record.clock else ''}"

    def since(self, at_ns: int) -> str:
        """An instant, counted from the begin of the run, in words."""
        return f"{(at_ns - self.begin_ns) / 1e9:+.3f}s"

"""A run as a person reads it: what happened in order of time, and between the lines what is missing, late or unsure.

Acts that repeat themselves (a poll) are one line; what several sources tell of one happening is one line. Two
neighbours of which nobody can tell who came first say so. A silence is told when it is long beside the same silence of
good runs, and what good runs have is missed where it was due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from synthmon.core.evidence import Evidence
from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import Sequenced, usual
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import MOST_SLACK_NS, TRUSTED, Clocks, Order, clock_of
from synthmon.core.timeline import Moment, own_moments, told_moment

FEWEST_GOOD = 5  # below which nobody knows how long a silence is
SILENCE_TIMES, SILENCE_MS = 3.0, 100.0  # longer than nearly all of the good runs, by so much
MOST_MISSED = 12


@dataclass(frozen=True, slots=True)
class Told:
    """One line of what happened; `times` alike until `until_ms`. `unsure_ms`: by how much the clocks of this and of the
    line above may differ, where their order cannot be told; None where it can, or where one of them is our own act."""

    moment: Moment
    times: int = 1
    until_ms: float = 0.0
    unsure_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing happened until `at_ms`, for longer than in good runs."""

    at_ms: float
    lasted_ms: float
    usual_ms: float
    before: str  # what came at last

    @property
    def said(self) -> str:
        """In words for a person."""
        return f"{_long(self.lasted_ms)} of silence before {self.before}; {_long(self.usual_ms)} in good runs"


@dataclass(frozen=True, slots=True)
class Missed:
    """What good runs have and this one has not, where it was due: `usual_ms` after `after`."""

    at_ms: float
    name: str
    who: str
    good_with: int
    good: int
    after: str = ""
    usual_ms: float | None = None

    @property
    def said(self) -> str:
        """In words for a person."""
        due = f", {_long(self.usual_ms)} after {self.after}" if self.after and self.usual_ms is not None else ""
        who = f" ({self.who})" if self.who else ""
        return f"no {self.name}{who}: {self.good_with} of {self.good} good runs have it{due}"


Line = Told | Silence | Missed


def story(record: Record, good: Sequence[Record] = (), clocks: Clocks = TRUSTED) -> tuple[Line, ...]:
    """Everything that is known of a run, in order of time; beside `good` runs also what is not."""
    run, others = happened(record), [happened(other) for other in good]
    lines: list[Line] = [*_told(record, clocks)]
    if len(others) >= FEWEST_GOOD:
        lines += _silences(record, run, others)
    if others:
        lines += missed(record, run, others)
    lines.sort(key=lambda line: (_at_ms(line), isinstance(line, Told)))
    return tuple(lines)


# what happened -------------------------------------------------------------------------------------------------------


def _told(record: Record, clocks: Clocks) -> list[Told]:
    seen: list[tuple[Moment, Evidence | None]] = [(moment, None) for moment in own_moments(record)]
    if record.started is not None:
        seen += [(replace(told_moment(e, record), also=also), e) for e, also in _together(record.evidence)]
    seen.sort(key=lambda one: one[0].at_ms)
    lines: list[Told] = []
    last: Evidence | None = None
    for moment, evidence in seen:
        if lines and evidence is None and _is_alike(lines[-1].moment, moment):
            lines[-1] = replace(lines[-1], times=lines[-1].times + 1, until_ms=moment.at_ms)
            continue
        lines.append(Told(moment, 1, moment.at_ms, _unsure_ms(last, evidence, clocks)))
        last = evidence
    return lines


def _together(records: Iterable[Evidence]) -> Iterable[tuple[Evidence, tuple[str, ...]]]:
    """Each happening once, by the first source that tells of it, with the others that do."""
    found: dict[tuple[str, ...], tuple[Evidence, tuple[str, ...]]] = {}
    for number, record in enumerate(records):
        key: tuple[str, ...] = (str(number),)
        if record.span_id:
            key = (record.step, record.trace_id, record.span_id, str(record.attempt))
        known = found.get(key)
        if known is None or known[0].source == record.source:
            found[key if known is None else (str(number),)] = record, ()
        elif record.source not in known[1]:
            found[key] = known[0], (*known[1], record.source)
    return found.values()


def _is_alike(a: Moment, b: Moment) -> bool:
    return (a.source, a.who, a.what, a.status) == (b.source, b.who, b.what, b.status)


def _unsure_ms(a: Evidence | None, b: Evidence | None, clocks: Clocks) -> float | None:
    if a is None or b is None or a.step == b.step or clocks.order(a, b) is not Order.UNKNOWN:
        return None
    return min(max(map(abs, clocks.bounds(clock_of(a), clock_of(b)))), MOST_SLACK_NS) / 1e6


# what did not --------------------------------------------------------------------------------------------------------


def missed(record: Record, run: Sequenced, others: Sequence[Sequenced]) -> list[Missed]:
    """The names that good runs have and this one has not, in their order, where they were due; at most twelve."""
    places = _places(others)
    absent = sorted(usual(others).names - run.keys(), key=lambda name: (places[name], name))[:MOST_MISSED]
    found, due_ms = [], 0.0
    for number, name in enumerate(absent):
        having = [other for other in others if name in other]
        after = last_before(name, run, having)
        usual_ms = None
        if after:
            due_ms = max(due_ms, _since_ms(record, run[after].first))
            usual_ms = median(_apart_ms(other, after, name) for other in having if after in other)
        who = having[0][name].first.clock
        at_ms = due_ms + 0.001 * (1 + number)
        found.append(Missed(at_ms, name, who, len(having), len(others), after, usual_ms))
    return found


def _places(others: Sequence[Sequenced]) -> Mapping[str, float]:
    """Name → its place in good runs, the first 0, in the middle."""
    places: dict[str, list[int]] = {}
    for other in others:
        for place, name in enumerate(other):
            places.setdefault(name, []).append(place)
    return {name: median(found) for name, found in places.items()}


def last_before(name: str, run: Sequenced, having: Sequence[Sequenced]) -> str:
    """What this run has of what comes right before a name in good runs, in most of them."""
    count: dict[str, int] = {}
    for other in having:
        before = [one for one in list(other)[: list(other).index(name)] if one in run]
        if before:
            count[before[-1]] = count.get(before[-1], 0) + 1
    return max(count, key=lambda one: (count[one], one), default="")


def _silences(record: Record, run: Sequenced, others: Sequence[Sequenced]) -> Iterable[Silence]:
    """Between two neighbours that good runs have as well, in this order."""
    names = list(run)
    for before, after in pairwise(names):
        lasted_ms = _apart_ms(run, before, after)
        usually = sorted(
            apart_ms
            for other in others
            if before in other and after in other and (apart_ms := _apart_ms(other, before, after)) >= 0
        )
        if len(usually) < FEWEST_GOOD or lasted_ms < SILENCE_MS:
            continue
        nearly_all_ms = usually[int(0.95 * (len(usually) - 1))]
        if lasted_ms > nearly_all_ms * SILENCE_TIMES and lasted_ms > nearly_all_ms + SILENCE_MS:
            at_ms = _since_ms(record, run[after].first)
            yield Silence(at_ms, lasted_ms, median(usually), after)


def _apart_ms(run: Sequenced, a: str, b: str) -> float:
    return (run[b].first.at_ns - run[a].first.at_ns) / 1e6


def _since_ms(record: Record, evidence: Evidence) -> float:
    return told_moment(evidence, record).at_ms


def _at_ms(line: Line) -> float:
    return line.moment.at_ms if isinstance(line, Told) else line.at_ms


def _long(ms: float) -> str:
    return f"{ms:.0f} ms" if abs(ms) < 1000 else f"{ms / 1000:.2f} s"

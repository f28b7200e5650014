"""Whether each cause was followed by an answer in time: every cause is looked at once, when its time is over.

Until then no look at it can decide anything. Causes wait in a heap, the earliest first, so that it does not matter in
which order they came. What makes earlier looks worthless has all of them looked at again: an attempt that happened
earlier, the end, and clocks that are known better; those not with every record, which may each narrow them a little,
but with the next watermark, and before anything passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from itertools import chain

from synthmon.core.evidence import Evidence
from synthmon.core.sequence.asked import Asked
from synthmon.core.sequence.clauses import Clause
from synthmon.core.sequence.clocks import Order
from synthmon.core.sequence.judgement import Judgement, Verdict
from synthmon.core.sequence.told import NEVER_NS, Happened, Known


class Follows(Asked):
    """Each of the first was followed by one of the second, and there was one."""

    __slots__ = ("_asked", "_basis", "_came", "_changes", "_doubted", "_looked_ns", "_marks", "_waiting")

    def __init__(self, clause: Clause, number: int, events: Sequence[Happened], known: Known) -> None:
        super().__init__(clause, number, events, known)
        self._waiting: list[tuple[int, int, int, Evidence]] = []  # (at_ns, seq, order of coming, cause), a heap
        self._came = 0  # how many causes were put there
        self._doubted: Evidence | None = None  # the cause that no answer was found for so far,
        self._asked, self._looked_ns = 0, NEVER_NS  # of so many, and until when
        self._basis: tuple[int | None, ...] = ()  # what all looks rest upon
        self._changes, self._marks = 0, (0, 0)  # of the clocks, when the marks became these

    def judge(self) -> Judgement | None:
        marks, changes = (self.first.source.mark_ns, self.second.source.mark_ns), self.known.clocks.changes
        if marks != self._marks:
            self._marks, self._changes = marks, changes
        judged = self._look()
        if judged is not None and judged.verdict is Verdict.PASS and changes != self._changes:
            self._changes = changes
            judged = self._look()
        return judged

    def _look(self) -> Judgement | None:
        first, second, end_ns = self.first, self.second, self.limit_ns
        over = end_ns is not None and first.source.told(end_ns)  # no more causes come
        self._await()
        while self._waiting:
            cause = self._waiting[0][-1]
            if end_ns is not None and cause.at_ns > end_ns:
                break
            limit_ns = self._answer_by(cause)
            too_late = limit_ns is not None and second.source.told(limit_ns + self.known.slack_ns)
            if not over and not too_late:
                return None
            if not self._is_answered(cause, limit_ns):
                if not too_late or not first.source.told(cause.at_ns):
                    return None
                return self.failed(f"{first.name} {self.at(cause)} was not followed by {second.name}", cause)
            heappop(self._waiting)
        if not over:
            return None
        causes = first.until(end_ns)
        if not causes:
            return self.failed(f"{first.name} did not happen by {self.by()}")
        return self.passed(f"each of {len(causes)} {first.name} was followed by {second.name}", *causes)

    def _await(self) -> None:
        """The causes that came since the last look, or all of them if that look is worth nothing any more."""
        basis = (self._changes, self.limit_ns, self.first.moves, self.second.moves)
        if basis != self._basis:
            self._basis, self._doubted = basis, None
            self._waiting = [(r.at_ns, r.seq, number, r) for number, r in enumerate(self.first.records)]
        elif self._came < len(self.first.came):
            for number, r in enumerate(self.first.came[self._came :], self._came):
                heappush(self._waiting, (r.at_ns, r.seq, number, r))
        self._came = len(self.first.came)

    def _answer_by(self, cause: Evidence) -> int | None:
        if self.within_ns is None:
            return self.limit_ns
        limit_ns = cause.at_ns + self.within_ns
        return limit_ns if self.limit_ns is None else min(limit_ns, self.limit_ns)

    def _is_answered(self, cause: Evidence, limit_ns: int | None) -> bool:
        """Whether one of the answers came in time, and not before the cause; the latest are asked first. None is what
        an earlier attempt may still take the place of."""
        answers, order = self.second, self.known.clocks.order
        sure_ns = NEVER_NS if answers.source.blind is not None else answers.source.mark_ns
        until_ns = sure_ns if limit_ns is None else min(limit_ns, sure_ns)
        last, asked = answers.count_by(until_ns), 0
        late: Sequence[Evidence] = ()
        if cause is self._doubted:
            asked = answers.count_by(self._looked_ns)
            late = [answer for answer in answers.came[self._asked :] if answer.at_ns <= until_ns]
        self._doubted, self._asked, self._looked_ns = cause, len(answers.came), until_ns
        found = (answers.records[index] for index in range(last - 1, asked - 1, -1))
        return any(order(answer, cause) is not Order.BEFORE for answer in chain(found, late))

"""What somebody else's request would have broken, had it been a run: a journey's clauses over what was told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from synthmon.core.evidence import Evidence, Watermark
from synthmon.core.journey import Promises
from synthmon.core.run import ClauseRecord
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sequence.clocks import Ordering
from synthmon.core.sequence.monitor import Monitor
from synthmon.core.transact.verdict import clause_record

WOULD = "would have failed: "


def judged(
    promises: Promises, evidence: Sequence[Evidence], told_ns: Mapping[str, int], clocks: Ordering
) -> tuple[tuple[ClauseRecord, ...], int]:
    """The clauses that a request can be held to, judged, and how many it cannot.

    Those count from a step of ours (`after`), ask for what only a run has (`when`, `where` of an event) or for what
    waits in a queue by now (`empty`). `told_ns`: source → until when (Unix nanoseconds) it has told everything; of one
    that is not there a silence proves nothing. Time counts from the first record: the request began before that, so
    what came too late came too late.
    """
    clauses = [clause for clause in promises.clauses if _is_fit(clause, promises.events)]
    left_out = len(promises.clauses) - len(clauses)
    if not clauses or not evidence:
        return (), left_out
    begin_ns = min(one.start_ns or one.at_ns for one in evidence)
    monitor = Monitor(promises.events, clauses, begin_ns, clocks)
    for one in evidence:
        monitor.feed(one)
    monitor.end(max(one.at_ns for one in evidence) + round(promises.within_s * 1e9))
    for source, until_ns in told_ns.items():
        monitor.feed(Watermark(source, until_ns))
    monitor.close("its sources have not told so far yet")
    found = sorted(monitor.judgements, key=lambda each: each.clause.place.line)
    return tuple(map(_as_of_another, map(clause_record, found))), left_out


def _is_fit(clause: Clause, events: Sequence[EventSpec]) -> bool:
    if clause.after or clause.when is not None or clause.word is Word.EMPTY:
        return False
    asked = [event.where for event in events if event.name in clause.events]
    return all(where is None or all(name.startswith("event.") for name in where.refs) for where in asked)


def _as_of_another(clause: ClauseRecord) -> ClauseRecord:
    return replace(clause, said=WOULD + clause.said) if clause.verdict == "fail" else clause

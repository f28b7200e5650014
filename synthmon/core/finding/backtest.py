"""A clause judged again over what is stored of a run: what it would have said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synthmon.core.evidence import Watermark
from synthmon.core.run import Record
from synthmon.core.sequence.clauses import Clause, EventSpec
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.sequence.judgement import Judgement, Verdict
from synthmon.core.sequence.monitor import Monitor

FAR_NS = 1 << 62
MOST_UNKNOWN = 0.1  # of the good runs: a guard that is blind more often guards nothing


@dataclass(frozen=True, slots=True)
class Backtest:
    """A clause over one bad run and over good ones; `wrong` are (run id, judgement) of good runs that it fails."""

    bad: Judgement
    passed: int
    unknown: int
    wrong: tuple[tuple[str, Judgement], ...]

    @property
    def good(self) -> int:
        """How many good runs were asked."""
        return self.passed + self.unknown + len(self.wrong)

    @property
    def holds(self) -> bool:
        """Whether it fails the bad run, and none of the good ones, and is seldom blind."""
        seldom_blind = self.unknown <= MOST_UNKNOWN * self.good
        return self.bad.verdict is Verdict.FAIL and bool(self.passed) and not self.wrong and seldom_blind


def back_test(
    events: Sequence[EventSpec],
    clause: Clause,
    bad: Record,
    good: Iterable[Record],
    within_s: float,
    clocks: Clocks = TRUSTED,
) -> Backtest:
    """What a clause would have said of one bad run and of good ones; `within_s` is that of `verify`."""
    passed, unknown, wrong = 0, 0, []
    for record in good:
        judged = judge_again(events, clause, record, within_s, clocks)
        match judged.verdict:
            case Verdict.PASS:
                passed += 1
            case Verdict.UNKNOWN:
                unknown += 1
            case Verdict.FAIL:
                wrong.append((record.run_id, judged))
    return Backtest(judge_again(events, clause, bad, within_s, clocks), passed, unknown, tuple(wrong))


def judge_again(
    events: Sequence[EventSpec], clause: Clause, record: Record, within_s: float, clocks: Clocks = TRUSTED
) -> Judgement:
    """One clause over one stored run, all of whose sources have told everything by now."""
    begin_ns = round(record.started.timestamp() * 1e9) if record.started is not None else 0
    monitor = Monitor(events, (clause,), begin_ns, clocks)
    for step in record.steps:
        if step.attempts:
            monitor.sent(step.id, begin_ns + round(step.attempts[0].at_ms * 1e6))
    for evidence in record.evidence:
        monitor.feed(evidence)
    monitor.end(begin_ns + round((_steps_ms(record) + within_s * 1e3) * 1e6))
    for source in sorted({spec.source for spec in events} | {evidence.source for evidence in record.evidence}):
        monitor.feed(Watermark(source, FAR_NS))
    monitor.close("what is stored of the run does not tell")
    return monitor.judgements[0]


def _steps_ms(record: Record) -> float:
    """When the last step was over, in milliseconds since the start."""
    return max((a.at_ms + a.took_ms for step in record.steps for a in step.attempts), default=record.took_ms)

"""A run whose outcome other systems report: their evidence is gathered from the start, and judged as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from synthmon.core.acts import Wake, Watch, Widen
from synthmon.core.evidence import MOST_BYTES, MOST_RECORDS, Blind, Evidence, Wanted, Watermark
from synthmon.core.expressions import ExpressionError
from synthmon.core.journey import Journey, Step
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Run
from synthmon.core.secrets import Vault
from synthmon.core.sequence.clauses import Clause
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.sequence.judgement import Verdict
from synthmon.core.sequence.monitor import Monitor
from synthmon.core.sequence.sightings import Sightings
from synthmon.core.transact.blindness import Blindness
from synthmon.core.transact.course import Course, Look
from synthmon.core.transact.listen import Listening
from synthmon.core.transact.own_keys import given_keys
from synthmon.core.transact.reactor import Strand
from synthmon.core.transact.saved_ids import SavedIds

PATIENCE_S = 2.0  # that a source may be late beyond its lag before what it has not told is unknown
LONGEST_LOOK_ON_S, LOOK_ON_EVERY_S, BEFORE_DEADLINE_S = 15.0, 0.25, 0.2


class Gathering(Listening):
    """A run that gathers evidence for the clauses of its journey; `clocks` is what was learnt before of those of its
    sources."""

    def __init__(
        self,
        journey: Journey,
        run: Run,
        names: Mapping[str, Any],
        vault: Vault,
        now_s: float,
        clocks: Clocks = TRUSTED,
    ) -> None:
        super().__init__(journey, run, names, vault, now_s)
        self.evidence: dict[tuple[str, str, int, str], Evidence] = {}
        self.overdue: tuple[Clause, ...] = ()  # when the deadline came
        self.left_out: list[Clause] = []  # their `when` said no
        self._evidence_bytes = 0
        self._gathered_s = now_s
        self._overflowed = False  # from then on absence proves nothing
        self.blindness = Blindness()
        self.ids = SavedIds(journey, vault.holds)
        self.sightings = Sightings(assuming(clocks, journey))
        begin_ns = self.wall_ns(now_s)
        self.monitor = Monitor(journey.promises.events, journey.promises.clauses, begin_ns, self.sightings)

    def wall_ns(self, at_s: float) -> int:
        """An instant of the run's clock as Unix nanoseconds."""
        return round(self.began.timestamp() * 1e9) + round((at_s - self.begin_s) * 1e9)

    def gather(self) -> None:
        """Begin: before anything leaves, so that nothing is missed."""
        self._gathered_s = self.now_s
        wanted = self.wanted(self.wall_ns(self.now_s), given_keys(self.names))
        self.ids.refuse(wanted.marks)
        for source in self.journey.promises.sources:
            act_id = f"~evidence/{source.name}"
            self.ask(Watch(act_id, source, wanted))
            self.spawn(act_id, self._gathering(act_id))

    def wanted(self, since_ns: int, keys: tuple[str, ...]) -> Wanted:
        """By which marks a record is known as this run's."""
        return Wanted(self.run.id, self.run.namespace, since_ns, keys, (self.run.id,))

    def judged(self, step: Step, course: Course, names: Mapping[str, Any], sent_s: float, at_s: float) -> Look:
        """What was seen, as ever; the ids in what it saves are sought from now on."""
        look = super().judged(step, course, names, sent_s, at_s)
        if look.ok and course.saved and (keys := self.ids.learn(step.id, course.saved, self.wall_ns(self.now_s))):
            for source in self.journey.promises.sources:
                self.ask(Widen(f"~evidence/{source.name}", keys))
        return look

    def look_on(self, deadline_s: float) -> Strand:
        """When something failed: what led to it may be on its way still, until every source has told that far."""
        self._no_more_ids()
        failed = any(course.outcome is Outcome.FAILED for course in self.courses.values())
        failed = failed or any(judged.verdict is Verdict.FAIL for judged in self.monitor.judgements)
        if not failed or not self.sent_s:
            return
        lag_s = max((source.lag_s for source in self.journey.promises.sources), default=0.0)
        last_s = min(self.now_s + min(lag_s, LONGEST_LOOK_ON_S), deadline_s - BEFORE_DEADLINE_S)
        failed_ns, n = self.wall_ns(self.now_s), 0
        while self.now_s < last_s and not self.monitor.has_told(failed_ns):
            n += 1
            yield from self.sleep(f"~look-on#{n}", min(self.now_s + LOOK_ON_EVERY_S, last_s))

    def linger(self) -> Strand:
        """Listen on for a while after what was sent last, whatever the steps came to."""
        until_s = max(self.sent_s.values(), default=self.now_s) + self.journey.promises.linger_s
        if until_s > self.now_s:
            yield from self.sleep("~linger", until_s)

    def _gathering(self, act_id: str) -> Strand:
        while True:
            seen = yield from self.wait(act_id)
            match seen.answer:
                case Evidence() as record if not self._keep(record):
                    continue
                case Watermark() if self._overflowed:
                    continue
                case Evidence() | Watermark() | Blind() as report:
                    self.blindness.take(report, seen.at_s)
                    if self.ids.counts(report, self.courses) and self.monitor.feed(report):
                        self.tell("~verdict")

    def _keep(self, record: Evidence) -> bool:
        """Keep a record, once; whether it counts."""
        key = (record.source, record.happening, record.attempt, record.status)
        if (known := self.evidence.get(key)) is not None:
            if (record.at_ns, record.seq) >= (known.at_ns, known.seq):
                return False
            self.evidence[key] = record  # told twice with two instants: the earlier counts, in whatever order they came
            return True
        size_bytes = record.size_bytes
        if len(self.evidence) >= MOST_RECORDS or self._evidence_bytes + size_bytes > MOST_BYTES:
            said = f"more than {MOST_RECORDS} records or {MOST_BYTES >> 20} MiB came of this run"
            full = Blind(record.source, Reason.TOO_MANY, said)
            self.blindness.take(full, self.now_s)
            self.monitor.feed(full)
            self._overflowed = True
            return False
        self.evidence[key] = record
        self.sightings.see(record, self.wall_ns(min(self.sent_s.values(), default=self._gathered_s)))
        self._evidence_bytes += size_bytes
        return True

    def hold_promises(self) -> Strand:
        """The steps are over: wait until every clause has its verdict, and at least for `settle`."""
        promises = self.journey.promises
        if not promises.clauses:
            return
        self._leave_out()
        self._no_more_ids()
        for step, at_s in self.sent_s.items():
            self.monitor.sent(step, self.wall_ns(at_s))
        end_s = self.now_s + promises.within_s
        lag_s = max((source.lag_s for source in promises.sources), default=0.0)
        self.monitor.end(self.wall_ns(end_s))
        yield from self._until_decided(end_s + lag_s + self.sightings.slack_ns / 1e9 + PATIENCE_S)
        yield from self.sleep("~settle", self.now_s + promises.settle_s)
        self.monitor.close("its sources did not tell in time")

    def cut_promises(self, why: str) -> None:
        """The deadline ends the wait: what has not happened by what its source told until lately took too long."""
        lag_s = max((source.lag_s for source in self.journey.promises.sources), default=0.0)
        told_s = self.now_s - lag_s - self.sightings.slack_ns / 1e9 - PATIENCE_S
        self.overdue = self.monitor.lacking(self.wall_ns(told_s))
        self.monitor.close(why)

    def _no_more_ids(self) -> None:
        for mark in self.ids.release():
            self.monitor.feed(mark)

    def _until_decided(self, last_s: float) -> Strand:
        self.ask(Wake("~verdicts", last_s))
        while not self.monitor.done:
            seen = yield from self.wait("~verdict", "~verdicts")
            if seen.id == "~verdicts":
                return
        self.cancel("~verdicts")

    def stop_gathering(self) -> None:
        """Nothing more is taken in; what is undecided is not reached."""
        self.monitor.close("not reached")
        for source in self.journey.promises.sources:
            self.cancel(f"~evidence/{source.name}")
            self.stop(f"~evidence/{source.name}")

    def _leave_out(self) -> None:
        for clause in self.journey.promises.clauses:
            try:
                if clause.when is not None and clause.when.value(self.now_scope()) is not True:
                    self.left_out.append(clause)
            except ExpressionError:
                self.left_out.append(clause)
        self.monitor.drop(self.left_out)


def assuming(learnt: Clocks, journey: Journey) -> Clocks:
    """Clocks with what the settings say of those of a journey's sources; somebody must have vouched for all of them."""
    sources = journey.promises.sources
    skew_s = max((source.skew_s for source in sources), default=0.0)
    return replace(learnt, skew_ns=round(skew_s * 1e9), vouched=all(source.vouched for source in sources))

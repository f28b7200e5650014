"""Steps that listen: their ears open as early as they can, keep what is the run's, and judge it by its own arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from synthmon.core.acts import Arm, Wake
from synthmon.core.door import Trouble
from synthmon.core.expressions import ExpressionError
from synthmon.core.journey import Hears, Journey, Step, Within
from synthmon.core.messages import Declined, Gap, Message, carries
from synthmon.core.outcomes import Outcome, Reason, outcome_of, whose
from synthmon.core.run import Attempt, Run
from synthmon.core.secrets import Vault
from synthmon.core.transact.course import Course, Look
from synthmon.core.transact.forward import Forward
from synthmon.core.transact.reactor import Strand
from synthmon.core.transact.unheard import Unheard

MOST_MESSAGES, MOST_BYTES = 1000, 2 * 1024 * 1024  # that one ear keeps


@dataclass(slots=True)
class Ear:
    """One listener that was armed, and what it heard so far that is, or may be, of this run."""

    step: Step
    act_id: str
    request: Any
    where: str = ""
    came: deque[Message] = field(default_factory=deque)  # not looked at yet
    ids: set[str] = field(default_factory=set)
    count: int = 0
    size_bytes: int = 0
    gap: Gap | None = None
    mine: int = 0  # of what came, judged to be of this run
    unheard: Unheard = field(default_factory=Unheard)
    awaited: bool = False

    def take(self, message: Message) -> None:
        """Keep a message, unless its broker delivers it for the second time or there are too many."""
        if message.id and message.id in self.ids:
            return
        if self.count >= MOST_MESSAGES or self.size_bytes + len(message.content) > MOST_BYTES:
            said = f"more than {MOST_MESSAGES} messages or {MOST_BYTES >> 20} MiB came; narrow what it listens to"
            self.miss(Gap(Reason.TOO_MANY, said))
            return
        if message.id:
            self.ids.add(message.id)
        self.count += 1
        self.size_bytes += len(message.content)
        self.came.append(message)

    def miss(self, gap: Gap) -> None:
        """Something may have come unheard; what tells nothing about the target is kept before what is its own doing."""
        if self.gap is None or (whose(self.gap.reason) == "theirs" and whose(gap.reason) == "ours"):
            self.gap = gap

    @property
    def may_miss(self) -> bool:
        """Whether something may have come that we, for a reason of ours, did not hear."""
        return self.gap is not None and whose(self.gap.reason) == "ours"


class Listening(Forward):
    """A run whose steps may listen."""

    def __init__(self, journey: Journey, run: Run, names: Mapping[str, Any], vault: Vault, now_s: float) -> None:
        super().__init__(journey, run, names, vault, now_s)
        self.ears: dict[str, Ear] = {}

    # arming ------------------------------------------------------------------------------------------------------

    def arm(self) -> Strand:
        """Open every ear whose request has all its values; answers whether all of them hear."""
        while ready := self._ready():  # again: another may read the address that one was given
            for step in ready:
                if not self._ask_for_ear(step):
                    return False
            for step in ready:
                if not (yield from self._armed(self.ears[step.id])):
                    return False
        return True

    def _ready(self) -> list[Step]:
        listening = self.journey.listening
        if len(self.ears) == len(listening):
            return []
        return [step for step in listening if step.id not in self.ears and step.renders <= self.names.keys()]

    def _ask_for_ear(self, step: Step) -> bool:
        assert step.spec is not None  # only a step with a spec listens
        act_id = f"{step.id}~ear"
        try:
            request = step.spec.render(self.scope_of(step.renders, {}))
        except ExpressionError as error:
            return self._deaf(step, Trouble(Reason.EXPRESSION, str(error), sent=False))
        self.ears[step.id] = Ear(step, act_id, request)
        self.ask(Arm(act_id, step.spec.kind, request, step.system, step.timeout_s, step.auth))
        return True

    def _armed(self, ear: Ear) -> Strand:
        seen = yield from self.wait(ear.act_id)
        if seen.trouble is not None:
            self.cancel(ear.act_id)
            return self._deaf(ear.step, seen.trouble)
        ear.where = seen.answer.where
        for name, value in seen.answer.names.items():
            assert ear.step.spec is not None  # it has an ear
            self.put(f"{ear.step.spec.kind}.{ear.step.id}.{name}", value)
        self.spawn(f"{ear.step.id}~hearing", self._hearing(ear))
        return True

    def _deaf(self, step: Step, trouble: Trouble) -> bool:
        course = self.courses.setdefault(step.id, Course(step, self.now_s))
        said = f"it could not begin to listen: {trouble.detail}"
        course.end(outcome_of(trouble.reason), trouble.reason, self.now_s, said)
        return False

    def _hearing(self, ear: Ear) -> Strand:
        """Take in what comes for as long as the run goes forward."""
        while True:
            seen = yield from self.wait(ear.act_id)
            match seen.answer:
                case Message() as message if self._perhaps_mine(ear, message):
                    ear.take(message)
                case Message():
                    ear.unheard.others += 1
                    continue
                case Declined() as declined:
                    ear.unheard.refuse(declined.detail, seen.at_s - self.begin_s)
                    continue
                case Gap() as gap:
                    ear.miss(gap)
            if seen.trouble is not None:
                ear.miss(Gap(seen.trouble.reason, seen.trouble.detail))
            if ear.awaited:
                ear.awaited = False
                self.tell(f"{ear.step.id}~news")

    def besides(self, step: Step) -> str:
        """What came to a step that failed and did not count, for the end of its message."""
        ear = self.ears.get(step.id)
        if ear is None or step.hears is None:
            return ""
        return ear.unheard.said(ear.mine, by_where=step.hears.where is not None)

    def deaf_to(self, step: Step) -> tuple[Reason, str] | None:
        """Why something may have come to a step that we, for a reason of ours, did not hear."""
        ear = self.ears.get(step.id)
        return (ear.gap.reason, ear.gap.detail) if ear is not None and ear.gap is not None and ear.may_miss else None

    def close_ears(self) -> None:
        """Nothing more is heard."""
        for ear in self.ears.values():
            self._close(ear)

    def _close(self, ear: Ear) -> None:
        self.cancel(ear.act_id)
        self.stop(f"{ear.step.id}~hearing")

    # whose message it is -------------------------------------------------------------------------------------------

    def _perhaps_mine(self, ear: Ear, message: Message) -> bool:
        """Whether it is of this run, or nobody can tell before a later step saved what `where` reads."""
        hears = ear.step.hears
        assert hears is not None  # it has an ear
        if hears.where is not None:
            return not hears.needs <= self.names.keys() or self._mine(ear, message)
        return hears.addressed or carries(message, (self.run.id, self.run.namespace))

    def _mine(self, ear: Ear, message: Message) -> bool:
        """What `where` says; a message without what it reads is somebody else's."""
        where = ear.step.hears.where if ear.step.hears else None
        if where is None:
            return True
        try:
            assert ear.step.spec is not None  # it has an ear
            return where.value(self.scope_of(where.refs, ear.step.spec.see(ear.request, (message,)))) is True
        except ExpressionError:
            return False

    # the step itself -------------------------------------------------------------------------------------------------

    def listen(self, step: Step, course: Course, hears: Hears) -> Strand:
        """Wait until every check holds on what came, then `settle`; judged by when it came, not by when we looked."""
        ear = self.ears.get(step.id)
        if ear is None:  # a skipped step would have saved what its request reads
            if not self._ask_for_ear(step) or not (yield from self._armed(self.ears[step.id])):
                return
            ear = self.ears[step.id]
        within = step.within or Within(step.timeout_s)
        begin_s = self.begin_of(step, course, within)
        if begin_s is None:
            return
        course.counted_from_s = begin_s
        yield from self._until_judged(ear, course, within, hears, begin_s)
        self._close(ear)

    def _until_judged(self, ear: Ear, course: Course, within: Within, hears: Hears, begin_s: float) -> Strand:
        end_s, last_s = begin_s + within.limit_s, begin_s + within.limit_s + within.grace_s
        mine: list[Message] = []
        held: Look | None = None  # the first time that every check held
        look: Look | None = None  # the last that was judged
        n = 0
        while True:
            while ear.came:
                message = ear.came.popleft()
                if not self._mine(ear, message):
                    ear.unheard.others += 1
                    continue
                if held is None and not mine and message.at_s > end_s:
                    look = self._judge(ear, course, mine, end_s)  # as it stood then, however late we look
                    held = look if look.ok else None
                gone_s = last_s if held is None else held.at_s + hears.settle_s if not mine else inf
                if message.at_s > gone_s:  # nobody waits for it any more
                    continue
                mine.append(message)
                ear.mine += 1
                look = self._judge(ear, course, mine, message.at_s)
                held = held or (look if look.ok else None)
            if held is None and self.now_s >= end_s and not mine:
                look = self._judge(ear, course, mine, end_s)  # `count == 0` holds when the time is over, and not before
                held = look if look.ok else None
            until_s = held.at_s + hears.settle_s if held else end_s if self.now_s < end_s else last_s
            if self.now_s >= until_s:
                break
            n += 1
            yield from self._news(ear, f"{ear.step.id}~look{n}", until_s)
        self._conclude(ear, course, within, len(mine), held, look, end_s)

    def _news(self, ear: Ear, act_id: str, until_s: float) -> Strand:
        """Until something came, or the instant."""
        self.ask(Wake(act_id, until_s))
        ear.awaited = True
        yield from self.wait(f"{ear.step.id}~news", act_id)
        ear.awaited = False
        self.cancel(act_id)

    def _judge(self, ear: Ear, course: Course, mine: list[Message], at_s: float) -> Look:
        spec = ear.step.spec
        assert spec is not None  # it has an ear
        messages = tuple(mine)
        course.last = (ear.request, messages)
        if mine:
            at_ms = (mine[-1].at_s - self.begin_s) * 1e3
            what = spec.describe(ear.request, messages[-1:])
            course.attempts.append(Attempt(f"{ear.step.id}#{len(mine)}", what, at_ms, 0.0))
            self.sent_s.setdefault(ear.step.id, mine[0].at_s)
        return self.judged(ear.step, course, spec.see(ear.request, messages), at_s, at_s)

    def _conclude(
        self, ear: Ear, course: Course, within: Within, came: int, held: Look | None, look: Look | None, end_s: float
    ) -> None:
        now_s, limit = self.now_s, f"{within.limit_s:g}s"
        late = held is not None and held.at_s > end_s
        if ear.gap is not None and (held is None or not came or late):  # it may have come before, and in time
            said = f"something may have been missed: {ear.gap.detail}"
            course.end(outcome_of(ear.gap.reason), ear.gap.reason, now_s, said, look)
        elif held is None and not came:
            said = f"nothing came within {limit}: {look.message if look else ''}{self.besides(ear.step)}"
            course.end(Outcome.FAILED, Reason.LOST, now_s, said, look)
        elif held is None:
            said = f"not within {limit} ({came} came): {look.message if look else ''}{self.besides(ear.step)}"
            course.end(Outcome.FAILED, Reason.EXPECTATION, now_s, said, look)
        elif look is not None and not look.ok:
            said = f"it held, and then more came: {look.message}"
            course.end(Outcome.FAILED, Reason.DUPLICATE, now_s, said, look)
        elif late:
            said = f"it came {held.at_s - end_s:.1f}s after its {limit} were over{self.besides(ear.step)}"
            course.end(Outcome.FAILED, Reason.LATE, now_s, said, look)
        elif ear.may_miss and ear.step.hears is not None and ear.step.hears.settle_s and ear.gap is not None:
            said = f"it came, and whether it came twice cannot be told: {ear.gap.detail}"
            course.end(outcome_of(ear.gap.reason), ear.gap.reason, now_s, said, look)
        else:
            course.missed_s = held.at_s  # its arrival is known, not bounded by looks
            course.hold(held, now_s)

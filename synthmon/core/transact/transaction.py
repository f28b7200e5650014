"""What a run means: a journey's steps, checks, deadlines and clean-up, as a conversation of acts and seens.

`Transaction` takes every fact with its time and answers what to do next; the verdict is a function of the journey and
of what was fed, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from synthmon.core.acts import DEADLINE, INTERRUPT, Act, Do, Seen, Wake
from synthmon.core.door import Trouble
from synthmon.core.expressions import ExpressionError
from synthmon.core.journey import Journey, Retry, Step, Within
from synthmon.core.outcomes import Outcome, Reason, outcome_of
from synthmon.core.run import CheckRecord, Run
from synthmon.core.secrets import SecretError, Vault
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.transact.course import Course, Look
from synthmon.core.transact.gather import Gathering
from synthmon.core.transact.judge import judge
from synthmon.core.transact.poll import Poll
from synthmon.core.transact.reactor import Stopped, Strand
from synthmon.core.undo.debts import Debt, attempt, clean_up_refs, flight_ids
from synthmon.core.undo.intents import Intent, Opened
from synthmon.core.undo.owed import run_parts

GIVE_UP_S = 0.05  # before the deadline a request is given up: then it is known whose fault it was
CLOSE_S = 0.01  # by which a limit may seem to pass early
RETRY_WAIT_S = 0.2


class Transaction(Gathering):
    """One run of one journey. Feed it until `done`; then `core.transact.verdict.record` tells how it went.

    `names` are `identity.*` and `secret.*` (sealed); `run.*`, `case.*` and `vars.*` are made here.
    """

    def __init__(
        self,
        journey: Journey,
        run: Run,
        names: Mapping[str, Any],
        vault: Vault,
        now_s: float,
        clocks: Clocks = TRUSTED,
    ) -> None:
        super().__init__(journey, run, names, vault, now_s, clocks)
        self.vars: dict[str, Any] = {}
        self.verified: tuple[CheckRecord, ...] = ()
        self.steps_held = False  # from then on it only waits for what others report
        self.stopped: Reason = Reason.NONE
        self.trouble: tuple[Reason, str] = (Reason.NONE, "")  # what ended the run outside of any step
        self.forward_end_s: float | None = None
        self._order = 0

    def start(self) -> tuple[Act, ...]:
        """The first acts."""
        self.ask(Wake(DEADLINE, self.now_s + self.journey.deadline_s))
        self.spawn("main", self._main())
        return self.drain()

    def opened(self, base: str) -> Opened:
        """The head of the run's journal; `base` is where the system is."""
        run, journey = self.run, self.journey
        own = {"run", *self.courses}  # run.* is made again from its parts, saved values come with each intent
        kept = {name: value for name, value in self.names.items() if name.partition(".")[0] not in own}
        kept |= run_parts(run)
        return Opened(journey.name, journey.digest, journey.system, base, run.started, run.location, kept)

    def heard(self, seen: Seen) -> bool:
        """The deadline and the interrupt stop what goes forward, once; clean-up goes on."""
        if seen.id in (DEADLINE, INTERRUPT) and self.forward_end_s is None:
            self.stopped = Reason.DEADLINE if seen.id == DEADLINE else Reason.INTERRUPTED
            self.stop(*[name for name in self.strands() if name != "main"], "main")
        return seen.id in (DEADLINE, INTERRUPT)

    # the story of a run ------------------------------------------------------------------------------------------

    def _main(self) -> Strand:
        try:
            if (yield from self._fill_vars()):
                self.gather()
                if (yield from self._steps(self.journey.steps)):
                    self.verified = judge(self.journey.verify, self.now_scope()).checks
                    self.steps_held = True
                    yield from self.hold_promises()
                yield from self.look_on(self.begin_s + self.journey.deadline_s)
                yield from self.linger()
        except Stopped:  # deadline or interrupt: what is left is clean-up
            if self.stopped is Reason.DEADLINE and self.steps_held:
                self.cut_promises(self._stop_words())
        self.forward_end_s = self.now_s
        self.stop_gathering()
        self.close_ears()
        owing = {act_id for debt in self.debts for act_id in flight_ids(debt)}
        for act in self.open_acts():
            if act.id not in owing:
                self.cancel(act.id)
        self.spawn("undo", self.repay_all())

    def _fill_vars(self) -> Strand:
        """Whether all have a value, and all hear that can; what listens is armed first: a var may hold its address."""
        for name, template in self.journey.vars:
            if not (yield from self.arm()):
                return False
            try:
                self.vars[name] = self.vault.keep(template.render(self.now_scope()))
            except (ExpressionError, SecretError) as error:
                self.trouble = (Reason.EXPRESSION, f"vars.{name}: {error}")
                return False
            self.put(f"vars.{name}", self.vars[name])
        return (yield from self.arm())

    def _steps(self, steps: tuple[Step, ...]) -> Strand:
        for step in steps:
            branches = step.together or (step,)
            for branch in branches:
                self.courses[branch.id] = Course(branch, self.now_s)
            if not step.together:
                yield from self._step(step)
            elif self._wanted(step, *(self.courses[branch.id] for branch in branches)):
                for branch in branches:
                    self.spawn(branch.id, self._step(branch))
                for branch in branches:
                    yield from self.wait(f"@{branch.id}")
            for branch in branches:  # what siblings saved is seen by later steps only
                self.keep(self.courses[branch.id])
            if any(self.courses[branch.id].outcome in (Outcome.FAILED, Outcome.UNKNOWN) for branch in branches):
                return False
            if not (yield from self.arm()):  # what was saved may be what a listener waited for
                return False
        return True

    def _wanted(self, step: Step, *courses: Course) -> bool:
        """Whether `when` says yes; if not, the courses are over."""
        try:
            wanted = step.when is None or step.when.value(self.now_scope()) is True
        except ExpressionError as error:
            for course in courses:
                course.end(Outcome.UNKNOWN, Reason.EXPRESSION, self.now_s, f"when: {error}")
            return False
        if not wanted:
            for course in courses:
                course.skip()
        return wanted

    # one step ----------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> Strand:
        course = self.courses[step.id]
        course.begun_s = self.now_s
        if not self._wanted(step, course):
            return
        try:
            if step.delay_s:
                yield from self.sleep(f"{step.id}~delay", self.now_s + step.delay_s)
            yield from self._act_on(step, course)
        except Stopped:
            last = f"; the last look: {course.judged.message}" if course.judged.message else ""
            reason, why = self.stopped, ""
            if self.stopped is Reason.DEADLINE and (doubt := course.doubt or self.deaf_to(step)):
                reason, why = doubt[0], f", and nobody can tell how it stood: {doubt[1]}"
            said = f"still going when {self._stop_words()}{why}{last}{self.besides(step)}"
            course.end(outcome_of(reason), reason, self.now_s, said)
            raise

    def _stop_words(self) -> str:
        if self.stopped is Reason.DEADLINE:
            return f"the run's deadline of {self.journey.deadline_s:g}s passed"
        return "the run was interrupted"

    def _act_on(self, step: Step, course: Course) -> Strand:
        if step.pause_s is not None:
            yield from self.sleep(f"{step.id}~pause", self.now_s + step.pause_s)
            course.end(Outcome.PASSED, Reason.NONE, self.now_s)
        elif step.hears is not None:
            yield from self.listen(step, course, step.hears)
        elif step.within is None:
            yield from self._once(step, course)
        else:
            yield from self._poll(step, course, step.within)

    def _once(self, step: Step, course: Course) -> Strand:
        retry = step.retry or Retry(0, frozenset())
        look: Look | None = None
        for n in range(1, retry.times + 2):
            before, look = look, (yield from self._look_at(step, course, n, key_path=step.id))
            if before is not None and look.reason is Reason.CIRCUIT_OPEN:
                look = before  # it was not asked again: what it said, or did not say, stands
                course.end(look.outcome, look.reason, self.now_s, look.message, look)
                return
            if look.ok:
                course.hold(look, self.now_s, flaky=n > 1)
                return
            if n > retry.times or not look.wakes(retry.on):
                course.end(look.outcome, look.reason, self.now_s, look.message, look)
                return
            yield from self.sleep(f"{step.id}#{n}~again", self.now_s + RETRY_WAIT_S * 2 ** (n - 1))

    def _poll(self, step: Step, course: Course, within: Within) -> Strand:
        begin_s = self.begin_of(step, course, within)
        if begin_s is None:
            return
        course.counted_from_s = begin_s
        poll, n = Poll(within, begin_s, self.now_s), 0
        while True:
            n += 1
            path = f"{step.id}#{n}"
            look = yield from self._look_at(step, course, n, key_path=path)
            if poll.holds(look):
                course.hold(look, self.now_s)
                return
            course.missed(look)
            if (end := poll.take(look, self.now_s)) is not None:
                course.end(end.outcome, end.reason, self.now_s, end.said, end.look)
                return
            yield from self.sleep(f"{path}~again", poll.planned_s)

    # one look ----------------------------------------------------------------------------------------------------

    def _look_at(self, step: Step, course: Course, n: int, key_path: str) -> Strand:
        """Render, ask, wait, judge, keep."""
        assert step.spec is not None  # a step is a pause, a together, or has a spec
        act_id, asked_s = f"{step.id}#{n}", self.now_s
        try:
            request = step.spec.render(self.scope_of(step.renders, {}))
        except ExpressionError as error:
            return Look.trouble(Trouble(Reason.EXPRESSION, str(error), sent=False), self.now_s)
        effect = step.spec.effect
        key = f"{self.run.keys}-{key_path}" if effect else None
        debt = self._owe(step, key_path, key) if effect and step.undo and key else None
        intent = debt[1] if debt else None
        again = n > 1 and step.within is None
        left_s = self.begin_s + self.journey.deadline_s - GIVE_UP_S - self.now_s
        # the answer to what has to be taken back is awaited beyond the deadline
        timeout_s = left_s if GIVE_UP_S < left_s < step.timeout_s and debt is None else step.timeout_s
        self.ask(Do(act_id, step.spec.kind, request, step.system, timeout_s, effect, key, step.auth, intent, again))
        seen = yield from self.wait(act_id)
        if seen.sent_at_s is not None:
            self.sent_s.setdefault(step.id, seen.sent_at_s)
        course.attempts.append(attempt(act_id, step.spec, request, seen, asked_s, self.begin_s))
        course.last = (request, seen.answer)
        names = step.spec.see(request, seen.answer) if seen.trouble is None else {}
        if debt:
            self.answer(debt[0], seen, names)
        sent_s = seen.sent_at_s if seen.sent_at_s is not None else asked_s
        if seen.trouble is not None:
            look = Look.trouble(seen.trouble, sent_s)
            cut_short = timeout_s < step.timeout_s and self.now_s - asked_s >= timeout_s - CLOSE_S
            if cut_short and not self._used_up(look, asked_s):
                yield from self.wait(f"{act_id}~deadline")  # which ends it
            return look
        return self.judged(step, course, names, sent_s, seen.at_s)

    def _used_up(self, look: Look, asked_s: float) -> bool:
        """Whether a look that was cut short at the deadline is why the deadline passes, and for a reason of ours."""
        return look.outcome is Outcome.UNKNOWN and self.now_s - asked_s >= asked_s - self.begin_s

    def _owe(self, step: Step, path: str, key: str) -> tuple[Debt, Intent | None]:
        """The debt of an effect about to leave, and its intent unless the same key left before (a retry)."""
        for debt in self.debts:
            if debt.path == path:
                if debt.state == "never_left":
                    debt.state = "owed"
                    break
                return debt, None
        else:
            assert step.undo is not None
            self._order += 1
            expires = self.now + timedelta(seconds=step.undo.ttl_s)
            debt = Debt(path, step, step.undo, key, self._order, dict(self.names), expires)
            self.debts.append(debt)
        wanted = clean_up_refs(step)
        values = {n: v for n, v in self.names.items() if n in wanted and n.partition(".")[0] in self.courses}
        return debt, Intent(path, debt.order, key, self.run.namespace, debt.expires, values)

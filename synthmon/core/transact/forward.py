"""What every way of doing a step shares: the run's names, its courses, and how what was seen is judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Step, Within
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Run, run_names
from synthmon.core.secrets import SecretError, Vault, disarmed
from synthmon.core.transact.course import Course, Look
from synthmon.core.transact.judge import judge, saved, says_absent
from synthmon.core.undo.debts import Clean


class Forward(Clean):
    """One run on its way through its steps. `names` are `identity.*` and `secret.*` (sealed)."""

    def __init__(self, journey: Journey, run: Run, names: Mapping[str, Any], vault: Vault, now_s: float) -> None:
        super().__init__(now_s, run.started)
        self.journey, self.run, self.vault = journey, run, vault
        self.names: dict[str, Any] = {**run_names(run), **names}
        self.names.update((f"case.{name}", value) for name, value in journey.case.items())
        self.courses: dict[str, Course] = {}
        self.sent_s: dict[str, float] = {}  # step id -> the first byte of its first attempt that left
        self._scope: Scope | None = None

    def begin_of(self, step: Step, course: Course, within: Within) -> float | None:
        """The instant from which the step's time counts; None when there is none, and then its course is over."""
        if within.after is None:
            return self.now_s
        trigger = self.courses.get(within.after)
        if trigger is not None and trigger.outcome is Outcome.SKIPPED:
            course.skip()
            return None
        if within.after not in self.sent_s:
            course.end(Outcome.UNKNOWN, Reason.NEVER_SENT, self.now_s, f"{within.after} never left")
            return None
        return self.sent_s[within.after]

    def judged(self, step: Step, course: Course, names: Mapping[str, Any], sent_s: float, at_s: float) -> Look:
        """What was seen, by the names that it offers: its checks, and what it saves."""
        course.scope = scope = self.scope_of(step.reads, names)
        judged = judge(step.expect, scope)
        status = names.get("status", 0)  # what `retry: {on: [5xx]}` looks at; 0 for an answer that has none
        course.judged = judged
        if not judged.ok:
            self._hide(step, scope)
            said = judged.message
            if says_absent(judged) and step.spec and (why := step.spec.complaint(*course.last)):
                said += f"   ({why})"
            return Look(False, sent_s, at_s, Reason.EXPECTATION, said, judged, status)
        try:
            course.saved = self._secured(step, saved(step.save, scope))
        except (ExpressionError, SecretError) as error:
            said = f"{step.place.file}:{step.place.line}  save: {error}"
            return Look(False, sent_s, at_s, Reason.EXPECTATION, said, judged, status)
        return Look(True, sent_s, at_s, Reason.NONE, "", judged, status)

    def _secured(self, step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
        """What was saved: secrets taken into the vault, handles that the answer forged taken out."""
        known = [self.names[name] for name in step.reads if name in self.names]
        return {name: self.vault.keep(disarmed(value, known)) for name, value in values.items()}

    def _hide(self, step: Step, scope: Scope) -> None:
        """A step that failed saves nothing, but what it calls secret is not shown either."""
        for name, expression in step.save:
            if "secret(" in expression.text:
                with suppress(ExpressionError, SecretError):
                    self._secured(step, saved([(name, expression)], scope))

    def keep(self, course: Course) -> None:
        """What a step saved is seen by those after it."""
        if course.saved:
            self.names.update((f"{course.step.id}.{name}", value) for name, value in course.saved.items())
            self._scope = None

    def put(self, name: str, value: Any) -> None:
        """A name of the run has a value from now on."""
        self.names[name] = value
        self._scope = None

    def scope_of(self, wanted: Collection[str], seen: Mapping[str, Any]) -> Scope:
        """No more than what is read: converting a value for CEL costs more than reading it."""
        known = self.names
        return Scope({n: seen[n] if n in seen else known[n] for n in wanted if n in seen or n in known})

    def now_scope(self) -> Scope:
        """Everything that the run knows."""
        if self._scope is None:
            self._scope = Scope(dict(self.names))
        return self._scope

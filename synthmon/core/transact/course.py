"""How one step of a run went: its looks, its attempts, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from synthmon.core import secrets
from synthmon.core.browsing import Picture
from synthmon.core.door import Trouble
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Step
from synthmon.core.outcomes import Outcome, Reason, outcome_of
from synthmon.core.run import Attempt, StepRecord
from synthmon.core.transact.judge import Judged

FIRST_KEPT, LAST_KEPT = 3, 20  # of the attempts of a long poll


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the system, judged. `sent_s` is when it left, `at_s` when its answer was complete."""

    ok: bool
    sent_s: float
    at_s: float
    reason: Reason
    message: str
    judged: Judged = Judged(())
    status: int = 0

    @staticmethod
    def trouble(trouble: Trouble, sent_s: float) -> Look:
        """A look that brought no answer."""
        return Look(False, sent_s, sent_s, trouble.reason, trouble.detail)

    @property
    def outcome(self) -> Outcome:
        """What a step that ends with this look comes to."""
        return outcome_of(self.reason)

    def wakes(self, on: frozenset[str]) -> bool:
        """Whether a retry on these words is meant for it."""
        words = {
            Reason.TIMEOUT: "timeout",
            Reason.REFUSED: "connect",
            Reason.UNREACHABLE: "connect",
            Reason.TLS: "connect",
            Reason.RESET: "reset",
            Reason.NO_ANSWER: "reset",
        }
        return words.get(self.reason, "") in on or ("5xx" in on and 500 <= self.status < 600)


@dataclass(slots=True)
class Course:
    """One step on its way; `record` tells it when it is over."""

    step: Step
    begun_s: float
    counted_from_s: float | None = None
    outcome: Outcome | None = None
    reason: Reason = Reason.NONE
    message: str = ""
    ended_s: float = 0.0
    held_s: float | None = None
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    judged: Judged = Judged(())
    saved: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope | None = None
    last: tuple[Any, Any] = (None, None)  # request and answer of the last look
    missed_s: float | None = None  # when the last look left that the target did not satisfy
    doubt: tuple[Reason, str] | None = None  # why nobody can tell how it stands, for a reason of ours

    def skip(self) -> None:
        """`when` said no."""
        self.outcome, self.reason = Outcome.SKIPPED, Reason.WHEN

    def hold(self, look: Look, now_s: float, flaky: bool = False) -> None:
        """Every check holds. A poll's latency is an interval: from the last look that failed to the first that held."""
        self.outcome = Outcome.FLAKY if flaky else Outcome.PASSED
        self.ended_s, self.held_s = now_s, look.at_s
        if self.counted_from_s is not None:
            self.latency_ms = max(0.0, look.at_s - self.counted_from_s) * 1e3  # what listens may have it before
            missed_s = self.missed_s if self.missed_s is not None else self.counted_from_s
            self.latency_low_ms = max(0.0, missed_s - self.counted_from_s) * 1e3
        elif len(self.attempts) == 1:
            self.latency_ms = self.attempts[0].took_ms
        else:
            self.latency_ms = (look.at_s - self.begun_s) * 1e3

    def missed(self, look: Look) -> None:
        """A look that did not do: the target said so, or for a reason of ours nothing is known by it."""
        if look.outcome is Outcome.UNKNOWN:
            self.doubt = (look.reason, look.message)
        else:
            self.missed_s, self.doubt = look.sent_s, None

    def end(self, outcome: Outcome, reason: Reason, now_s: float, message: str = "", look: Look | None = None) -> None:
        """It is over, and not well."""
        self.outcome, self.reason, self.message, self.ended_s = outcome, reason, message, now_s
        if look is not None and look.judged.checks:
            self.judged = look.judged

    def blamed(self) -> str:
        """The system that `blame` books a failure on, else the step's own."""
        for system, expression in self.step.blame if self.scope else ():
            try:
                if self.scope is not None and expression.value(self.scope) is True:
                    return system
            except ExpressionError:
                continue  # an answer of another shape is not the one that was meant
        return self.step.system

    def record(self, begin_s: float) -> StepRecord:
        """What is kept. A step that never ended was not reached."""
        kind = self.step.spec.kind if self.step.spec else "pause"
        kept = self.attempts
        if len(kept) > FIRST_KEPT + LAST_KEPT:
            kept = [*kept[:FIRST_KEPT], *kept[-LAST_KEPT:]]
        failed = self.outcome in (Outcome.FAILED, Outcome.UNKNOWN)
        kept = _with_pictures(kept, failed, getattr(self.last[0], "picture", ""))
        if failed and kept and self.step.spec is not None:
            asked, told = self.step.spec.excerpt(*self.last)
            kept = [*kept[:-1], replace(kept[-1], request=asked, answer=told)]
        return StepRecord(
            id=self.step.id,
            kind=kind,
            title=self.step.title,
            outcome=self.outcome or Outcome.SKIPPED,
            reason=self.reason,
            message=secrets.masked(self.message),
            at_ms=(self.begun_s - begin_s) * 1e3,
            latency_ms=self.latency_ms,
            latency_low_ms=self.latency_low_ms,
            attempts=tuple(kept),
            checks=self.judged.checks,
            saved={name: masked(value) for name, value in self.saved.items()},
            system=self.blamed() if failed else self.step.system,
            lagged=any(a.timing.lagged for a in kept),
        )


def _with_pictures(attempts: list[Attempt], failed: bool, picture: str) -> list[Attempt]:
    """Attempts with the pictures that matter: all, if they are always wanted, else the last one of a failure."""
    if picture == Picture.ALWAYS or not any(attempt.shot for attempt in attempts):
        return attempts
    return [a if failed and a is attempts[-1] else replace(a, shot="") for a in attempts]


def masked(value: Any) -> Any:
    """JSON with every secret masked."""
    match value:
        case str():
            return secrets.masked(value)
        case dict():
            return {key: masked(item) for key, item in value.items()}
        case list():
            return [masked(item) for item in value]
    return value

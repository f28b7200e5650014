"""What the looks of a poll come to: it held late, it never did, or nobody can tell, for we did not see it in time.

What held once is taken to hold from then on: so a look that the target did not satisfy tells of all time before it. One
that brought nothing for a reason of ours tells nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from synthmon.core.journey import Within
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.transact.course import Look

FIRST_POLL_S, LAST_POLL_S, POLL_GROWTH = 0.2, 2.0, 1.6
LAST_LOOK_MARGIN_S = 0.05  # the last look of a poll is asked for this long before its end, so that it leaves in time


@dataclass(frozen=True, slots=True)
class End:
    """How a poll ended, not well, and the look that shows it."""

    outcome: Outcome
    reason: Reason
    said: str
    look: Look


class Poll:
    """The looks of one step, counted from `begin_s`; `planned_s` is when the next one is to leave."""

    def __init__(self, within: Within, begin_s: float, now_s: float) -> None:
        self._within, self._begin_s = within, begin_s
        self._end_s = begin_s + within.limit_s
        self._pause_s = within.poll_s or FIRST_POLL_S
        self._looks = 0
        self._told: Look | None = None  # the last that did not hold, told by the target
        self._in_time = False  # whether the target told anything in time
        self._ours: Look | None = None  # of those in time, the last that failed for a reason of ours
        self._unsure = False  # whether it may have held in time, behind such a look
        self.planned_s = now_s

    def holds(self, look: Look) -> bool:
        """Whether it was seen to hold in time."""
        return look.ok and look.sent_s <= self._end_s

    def take(self, look: Look, now_s: float) -> End | None:
        """A look that did not do; None: look again at `planned_s`."""
        self._looks += 1
        meant_in_time = self.planned_s <= self._end_s
        if look.ok:
            ours_late = meant_in_time and look.sent_s > self._end_s  # we meant to look in time, and did not
            return self._held_after(look, ours_late)
        if look.outcome is Outcome.FAILED:
            self._told, self._unsure = look, False
            self._in_time = self._in_time or look.sent_s <= self._end_s
        elif meant_in_time:
            self._ours, self._unsure = look, True
        if not self._in_time and look.sent_s > self._end_s:
            return self._too_late(look, "the first look came after its time was over")
        next_s = self._next_s(now_s)
        if next_s is None:
            return self._never_held(look)
        self.planned_s = next_s
        self._pause_s = self._within.poll_s or min(self._pause_s * POLL_GROWTH, LAST_POLL_S)
        return None

    def _held_after(self, look: Look, ours_late: bool) -> End:
        said = f"it held, but only after {look.sent_s - self._begin_s:.1f}s of at most {self._within.limit_s:g}s"
        if self._in_time and not self._unsure and not ours_late:
            return End(Outcome.FAILED, Reason.LATE, said, look)
        return self._too_late(look, said)

    def _too_late(self, look: Look, said: str) -> End:
        if self._ours is None:
            return End(Outcome.UNKNOWN, Reason.LOOKED_TOO_LATE, said, look)
        return End(Outcome.UNKNOWN, self._ours.reason, f"{said}; until then: {self._ours.message}", look)

    def _never_held(self, look: Look) -> End:
        if look.outcome is not Outcome.FAILED and self._told is not None and not self._unsure:
            look = self._told  # its time was over before we could not look any more
        reason = Reason.LOST if look.reason is Reason.EXPECTATION else look.reason
        said = f"not within {self._within.limit_s:g}s ({self._looks} looks): {look.message}"
        return End(look.outcome, reason, said, look)

    def _next_s(self, now_s: float) -> float | None:
        """When to look again: after a pause, once more just before the end, then through the grace; None: no more."""
        final_s = self._end_s - LAST_LOOK_MARGIN_S
        if now_s < final_s:
            return min(now_s + self._pause_s, final_s)
        return now_s + self._pause_s if now_s + self._pause_s <= self._end_s + self._within.grace_s else None

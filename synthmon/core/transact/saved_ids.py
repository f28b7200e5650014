"""The ids that the steps of one run save, by which its evidence is sought from then on.

**Absence counts once no more ids can come.** A watermark that was given before an id was known says nothing of records
that bear only that id, and a verdict is never taken back: `before: [A, B]` that held because no earlier B was told
would be wrong as soon as a saved id brings one. So while a step that may save an id has not ended, watermarks are kept
here and not told to the monitor; when an id is learnt, those kept are dropped, for what the source gives from then on
knows it (`sources.Widens`). What was seen decides at once, as ever: more ids only bring more. Nothing waits longer for
it, as verdicts are waited for when the steps are over; a source is waited for until its next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from synthmon.core.evidence import Blind, Evidence, Report, Watermark
from synthmon.core.journey import Journey
from synthmon.core.transact.course import Course
from synthmon.core.transact.own_keys import MOST_SAVED, own_steps, saved_keys

TOO_MANY = f"more than {MOST_SAVED} ids were saved: what bears only a later one was not looked for"


class SavedIds:
    """Of one run. `is_secret` says whether a text holds what must not leave: it never becomes a key."""

    def __init__(self, journey: Journey, is_secret: Callable[[str], bool]) -> None:
        self._journey, self._is_secret = journey, is_secret
        self._steps = own_steps(journey)
        self._known: set[str] = set()
        self._learnt = 0
        self._held: dict[str, Watermark] = {}
        self.notes: tuple[str, ...] = ()

    def refuse(self, values: Iterable[Any]) -> None:
        """These are somebody else's, or known already."""
        self._known.update(str(value) for value in values if isinstance(value, str | int))

    def learn(self, step_id: str, saved: Mapping[str, Any], now_ns: int) -> tuple[str, ...]:
        """What a step saved: the keys in it that are new. From now on only a watermark that knows them counts."""
        if step_id not in self._steps:
            return ()
        fresh = [key for key in saved_keys(saved.values(), self._journey, now_ns) if key not in self._known]
        keys = tuple(key for key in fresh if not self._is_secret(key))
        if self._learnt + len(keys) > MOST_SAVED:
            self.notes = (TOO_MANY,)
            keys = keys[: MOST_SAVED - self._learnt]
        self._known.update(keys)
        self._learnt += len(keys)
        if keys:
            self._held = {}
        return keys

    def counts(self, report: Report, courses: Mapping[str, Course]) -> bool:
        """Whether the monitor may have it now; a watermark that comes too early is kept for later."""
        match report:
            case Evidence():
                return True
            case Blind():
                self._held.pop(report.source, None)
                return True
        if all(step in courses and courses[step].outcome is not None for step in self._steps):
            return True
        self._held[report.source] = report
        return False

    def release(self) -> tuple[Watermark, ...]:
        """No step goes on: what was kept, and counts."""
        self._steps, held = frozenset(), tuple(self._held.values())
        self._held = {}
        return held

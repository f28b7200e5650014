"""The bell: APScheduler wakes us for every slot; what the slot is, and what becomes of it, is decided elsewhere.

APScheduler on its own drops due times that it comes to late, tells a job nothing of its due time and draws jitter anew
each time. So its executor (a documented extension point) hands on every due time, and the trigger names our own slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from synthmon.core.journey import Cron, Every
from synthmon.core.slots import next_slot
from synthmon.runtime.instants import Clock

LEAD_S = 1.0  # how early the bell rings: time to claim the slot and lease an identity

Ring = Callable[[str, Sequence[datetime]], None]
"""(journey name, its due slots, oldest first): called on the loop, must not block."""


class Bell:
    """Rings for every slot of every journey that it is told to keep, `lead_s` early."""

    def __init__(self, ring: Ring, clock: Clock, lead_s: float = LEAD_S) -> None:
        self._ring, self._clock, self._lead = ring, clock, timedelta(seconds=lead_s)
        self._kept: dict[str, Every | Cron] = {}
        self._scheduler = AsyncIOScheduler(
            executors={"default": _Ringer(self._rung)},
            job_defaults={"coalesce": False, "misfire_grace_time": None, "max_instances": 1},
            timezone=UTC,
        )

    def start(self) -> None:
        """Begin on the running loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Ring no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def keep(self, schedules: Iterable[tuple[str, Every | Cron]], after: datetime) -> None:
        """Ring for these journeys and no others; one whose schedule is the same is not disturbed.

        The first slot of a new one is the first later than `after`: what lies before is somebody else's to account for.
        """
        wanted = dict(schedules)
        for name in self._kept.keys() - wanted.keys():
            self._scheduler.remove_job(name)
        for name, schedule in wanted.items():
            if self._kept.get(name) != schedule:
                trigger = _SlotTrigger(name, schedule, self._clock, self._lead)
                first = next_slot(schedule, name, after) - self._lead - self._clock.ahead
                self._scheduler.add_job(_nothing, trigger, id=name, next_run_time=first, replace_existing=True)
        self._kept = wanted

    def clock_was_set(self) -> None:
        """The system's clock jumped. Forward: look at once what is due; back: name the same slots in its new time."""
        if self._clock.ahead:
            kept, self._kept = self._kept, {}
            self.keep(kept.items(), self._clock.now() + self._lead)
        elif self._scheduler.running:
            self._scheduler.wakeup()

    def next_slot(self, name: str) -> datetime | None:
        """The next slot of a journey that is kept."""
        schedule = self._kept.get(name)
        return next_slot(schedule, name, self._clock.now()) if schedule is not None else None

    def _rung(self, name: str, times: Sequence[datetime]) -> None:
        shift = self._lead + self._clock.ahead
        self._ring(name, [time + shift for time in times])


class _SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 is untyped
    """Names our slots to APScheduler, in the system's time and a lead earlier."""

    __slots__ = ("_clock", "_lead", "_name", "_schedule")

    def __init__(self, name: str, schedule: Every | Cron, clock: Clock, lead: timedelta) -> None:
        self._name, self._schedule, self._clock, self._lead = name, schedule, clock, lead

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        shift = self._lead + self._clock.ahead
        return next_slot(self._schedule, self._name, (previous_fire_time or now) + shift) - shift


class _Ringer(BaseExecutor):  # type: ignore[misc]  # APScheduler 3 is untyped
    """An executor that runs nothing: it passes every due time on, at once."""

    def __init__(self, rung: Ring) -> None:
        super().__init__()
        self._rung = rung

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        try:
            self._rung(job.id, run_times)
        finally:
            self._run_job_success(job.id, [])


def _nothing() -> None:
    """What APScheduler takes for the job; it is never called."""

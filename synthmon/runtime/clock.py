"""The bell: APScheduler wakes us for every slot; what the slot is, and what becomes of it, is decided elsewhere.

APScheduler on its own drops due times that it comes to late, tells a job nothing of its due time and draws jitter anew
each time. So it is an alarm and no more: when it wakes us, we name the slots that have come since the last one we
named, by our own clock; however many they are, from the first to the last and by their number. When the system's clock
is set it may wake us too early or too late; it names no slot twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.base import BaseExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from synthmon.core.journey import Cron, Every
from synthmon.core.slots import Gap, gap, next_slot
from synthmon.runtime.instants import Clock

LEAD_S = 1.0  # how early the bell rings: time to claim the slot and lease an identity
ALARMS_AT_ONCE = 20  # after a standstill all are due: between so many the loop does what else there is
SLACK_S = 0.5  # how much earlier than that the system's clock may wake us: as far as it may be from ours

Ring = Callable[[str, Gap], None]
"""(journey name, its slots that have come since it was last called): called on the loop, must not block."""


class Bell:
    """Rings for every slot of every journey that it is told to keep, `lead_s` early."""

    def __init__(self, ring: Ring, clock: Clock, lead_s: float = LEAD_S) -> None:
        self._ring, self._clock, self._lead = ring, clock, timedelta(seconds=lead_s)
        self._kept: dict[str, Every | Cron] = {}
        self._named: dict[str, datetime] = {}  # up to and with this instant, slots have been rung
        self._ahead = clock.ahead  # what all alarms were set for
        self._scheduler = AsyncIOScheduler(
            jobstores={"default": _Alarms()},
            executors={"default": _Ringer(self.look)},
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
            del self._named[name]
        for name, schedule in wanted.items():
            if self._kept.get(name) != schedule:
                self._named[name] = after
                self._set_alarm(name, schedule)
        self._kept = wanted

    def clock_was_set(self) -> None:
        """The system's clock jumped. Where ours has followed, alarms are late at most; else every one is set anew."""
        if self._scheduler.running:
            self._scheduler.wakeup()
        if abs(self._clock.ahead - self._ahead) > timedelta(seconds=SLACK_S):
            self._ahead = self._clock.ahead
            for name, schedule in self._kept.items():
                self._set_alarm(name, schedule)

    def look(self, name: str) -> None:
        """Ring for the slots that have come since the last one."""
        schedule = self._kept.get(name)
        if schedule is None:
            return
        until = self._clock.now() + self._lead
        named, slack = self._named[name], timedelta(seconds=SLACK_S)
        come = gap(schedule, name, named, until) or gap(schedule, name, named, until + slack)
        if come is not None:
            self._named[name] = come.last
            self._ring(name, come)

    def next_slot(self, name: str) -> datetime | None:
        """The next slot of a journey that is kept."""
        schedule = self._kept.get(name)
        return next_slot(schedule, name, self._clock.now()) if schedule is not None else None

    def _set_alarm(self, name: str, schedule: Every | Cron) -> None:
        trigger = _SlotTrigger(name, schedule, self._clock, self._lead)
        first = next_slot(schedule, name, self._named[name]) - self._lead - self._clock.ahead
        self._scheduler.add_job(_nothing, trigger, id=name, next_run_time=first, replace_existing=True)


class _SlotTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 is untyped
    """Names our slots to APScheduler, in the system's time and a lead earlier."""

    __slots__ = ("_clock", "_lead", "_name", "_schedule")

    def __init__(self, name: str, schedule: Every | Cron, clock: Clock, lead: timedelta) -> None:
        self._name, self._schedule, self._clock, self._lead = name, schedule, clock, lead

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        shift = self._lead + self._clock.ahead
        return next_slot(self._schedule, self._name, max(previous_fire_time or now, now) + shift) - shift


class _Alarms(MemoryJobStore):  # type: ignore[misc]  # APScheduler 3 is untyped
    """Brings a few of those that are due; the scheduler comes again at once while there are more."""

    def get_due_jobs(self, now: datetime) -> Sequence[Any]:
        return list(super().get_due_jobs(now)[:ALARMS_AT_ONCE])


class _Ringer(BaseExecutor):  # type: ignore[misc]  # APScheduler 3 is untyped
    """An executor that runs nothing: it says whose alarm went off, at once."""

    def __init__(self, look: Callable[[str], None]) -> None:
        super().__init__()
        self._look = look

    def _do_submit_job(self, job: Any, run_times: Sequence[datetime]) -> None:
        try:
            self._look(job.id)
        finally:
            self._run_job_success(job.id, [])


def _nothing() -> None:
    """What APScheduler takes for the job; it is never called."""

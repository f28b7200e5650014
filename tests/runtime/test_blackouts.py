"""Nothing starts in a quiet window, by an oracle that walks the wall clock minute by minute through a year."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from synthmon.core.journey import Every
from synthmon.core.outcomes import Reason
from synthmon.core.quiet import quiet
from synthmon.core.slots import Gap, due, next_slot
from synthmon.language.settings import QuietWindow, Settings
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

MINUTE = timedelta(minutes=1)
DAYS = "mon tue wed thu fri sat sun".split()


@dataclass(frozen=True, slots=True)
class Blackout:
    """Hours on a wall, on some days: `cron` is how they are written in the settings."""

    zone: str
    hour: int
    minute: int
    minutes: int
    days: tuple[str, ...] = tuple(DAYS)

    @property
    def window(self) -> QuietWindow:
        days = "*" if len(self.days) == 7 else ",".join(self.days)
        return QuietWindow(f"{self.minute} {self.hour} * * {days}", self.minutes * 60.0, ("*",), self.zone)


BLACKOUTS = (
    Blackout("Europe/Berlin", 2, 30, 90),
    Blackout("America/New_York", 1, 15, 120, ("sat", "sun")),
    Blackout("Australia/Lord_Howe", 1, 45, 45),  # its clocks change by half an hour
    Blackout("America/Santiago", 23, 30, 60),  # its clocks change at midnight
    Blackout("Africa/Cairo", 0, 0, 180, ("fri",)),
)


def walked(blackout: Blackout, begin: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
    """Every minute of a time, and whether it is blacked out: the wall shows a time in it, or it began less than its
    length ago. Nothing of ours is asked."""
    zone, length = ZoneInfo(blackout.zone), timedelta(minutes=blackout.minutes)
    at, until = begin - timedelta(days=3), begin - timedelta(days=3)
    was_in = False
    while at < end:
        wall = at.astimezone(zone).replace(tzinfo=None)
        inside = False
        for day in (wall.date(), wall.date() - timedelta(days=1)):
            opens = datetime(day.year, day.month, day.day, blackout.hour, blackout.minute)
            inside |= DAYS[day.weekday()] in blackout.days and opens <= wall < opens + length
        if inside and not was_in and at >= until:
            until = at + length
        was_in = inside
        if at >= begin:
            yield at, inside or at < until
        at += MINUTE


def changes(zone: str) -> list[datetime]:
    """The hours (UTC) of 2026 in which the clocks change."""
    hours = [START + timedelta(hours=n) for n in range(365 * 24)]
    return [a for a in hours if a.astimezone(ZoneInfo(zone)).utcoffset() != _offset(a + timedelta(hours=1), zone)]


@pytest.mark.parametrize("blackout", BLACKOUTS, ids=lambda one: one.zone)
def test_every_minute_around_a_change_of_clocks_that_is_blacked_out_is_quiet(blackout: Blackout) -> None:
    found = changes(blackout.zone)
    assert len(found) == 2

    for change in found:
        wrong, dark = [], 0
        for at, inside in walked(blackout, change - timedelta(days=1), change + timedelta(days=1)):
            dark += inside
            if inside and not quiet((blackout.window,), "any", at):
                wrong.append(at.astimezone(ZoneInfo(blackout.zone)).isoformat())
        assert wrong == []
        assert dark > 0 or len(blackout.days) < 7


@pytest.mark.parametrize("blackout", BLACKOUTS, ids=lambda one: one.zone)
def test_runs_around_a_change_of_clocks_never_start_in_a_blackout_and_the_others_do_start(blackout: Blackout) -> None:
    for change in changes(blackout.zone):
        _assert_dark(blackout, change - timedelta(days=1), days=2, every_s=600)


@pytest.mark.torture
@pytest.mark.parametrize("blackout", BLACKOUTS, ids=lambda one: one.zone)
def test_in_a_year_no_run_starts_in_a_blackout(blackout: Blackout) -> None:
    _assert_dark(blackout, START, days=365, every_s=420)


def test_a_start_that_comes_later_than_its_slot_is_looked_at_as_well() -> None:
    window = QuietWindow("0 0 * * *", 3600.0)
    probe = replace(journey(step("read", "GET /a")), schedule=Every(60.0))

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        loop.stall(86_400 - 5)
        stage = make_stage(lambda _, __: Answer(200), clock, Settings(quiet=(window,)))
        slot = clock.now()
        await stage.runner.fill(probe, slot, slot + timedelta(seconds=10))

        assert [record.reason for record in stage.told] == [Reason.QUIET]

    run_virtual(story)


def _assert_dark(blackout: Blackout, begin: datetime, days: float, every_s: float) -> None:
    probe = replace(journey(step("read", "GET /a")), name="any", schedule=Every(every_s))
    started: list[datetime] = []
    slots = 0

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        nonlocal slots
        loop.stall((begin - START).total_seconds())

        def ask(request: str, envelope: object) -> Answer:
            started.append(clock.now())
            return Answer(200)

        stage = make_stage(ask, clock, Settings(quiet=(blackout.window,)), tell=lambda *_: None)
        at, end = begin, begin + timedelta(days=days)
        while (at := next_slot(probe.schedule, probe.name, at)) <= end:
            slots += 1
            await asyncio.sleep(max(0.0, (at - clock.now()).total_seconds() - 1.0))
            stage.runner.take(probe, due(Gap(1, at, at), probe.schedule, probe.name, clock.now()))
        await asyncio.sleep(60)

    run_virtual(story)
    dark = {at for at, inside in walked(blackout, begin, begin + timedelta(days=days)) if inside}
    assert [at for at in started if at.replace(second=0, microsecond=0) in dark] == []
    light = 1 - len(dark) / (days * 1440)
    assert len(started) >= 0.9 * slots * light
    assert all(at.tzinfo is UTC for at in started)


def _offset(at: datetime, zone: str) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()

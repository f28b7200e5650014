"""Five cron fields in a zone: which instants they name, with neither a lost nor a doubled slot when clocks change.

Fields are POSIX cron's (minute hour day-of-month month weekday); weekdays by name, since 0 and 7 and 1 mean different
days in different crons. Day-of-month and weekday both given: either matches, as in POSIX. A schedule with a fixed hour
names wall-clock times: in a repeated hour it fires once, in a gap at the same distance after the gap's start. A
schedule whose hour begins with `*` names elapsed time and fires through the repeated hour as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from synthmon.core.journey import Cron

_WEEKDAYS = {name: n for n, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
_MONTHS = {
    name: n
    for n, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_LIMITS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_MINUTE = timedelta(minutes=1)
_DAYS_SEARCHED = 366 * 8 + 3  # 29 February is at most eight years away


class CronError(ValueError):
    """A cron text that names no schedule; the message says which field and why."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The sets of numbers that the five fields stand for."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool  # both day fields are restricted
    elapsed: bool  # the hour begins with `*`

    def on(self, day: date) -> bool:
        """Whether a day is named."""
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.weekday() in self.weekdays
        return by_month or by_week if self.either_day else by_month and by_week


@lru_cache(maxsize=4096)
def parse(text: str) -> Fields:
    """Read five fields. Raises `CronError`."""
    words = text.lower().split()
    if len(words) != 5:
        raise CronError(f"a cron schedule has five fields (minute hour day month weekday), this has {len(words)}")
    names: tuple[Mapping[str, int], ...] = ({}, {}, {}, _MONTHS, _WEEKDAYS)
    sets = [_field(word, *limit, known) for word, limit, known in zip(words, _LIMITS, names, strict=True)]
    either = words[2] != "*" and words[4] != "*"
    minutes, hours = tuple(sorted(sets[0])), tuple(sorted(sets[1]))
    fields = Fields(minutes, hours, sets[2], sets[3], sets[4], either, words[1].startswith("*"))
    first = date(2024, 1, 1)
    if not any(fields.on(first + timedelta(days=n)) for n in range(_DAYS_SEARCHED)):
        raise CronError("no day of any year has this day of month in this month")
    return fields


def instants(cron: Cron, after: datetime) -> Iterator[datetime]:
    """Every instant (UTC) later than `after`, in order, without end."""
    fields, zone = parse(cron.text), ZoneInfo(cron.timezone)
    day = (after.astimezone(zone) - timedelta(days=1)).date()
    last = after
    while True:
        if fields.on(day):
            begin, minutes = _of_day(fields, zone, day)
            for minute in minutes[bisect_right(minutes, (last - begin) // _MINUTE) :]:
                yield (last := begin + minute * _MINUTE)
        day += timedelta(days=1)


def stretch(cron: Cron, after: datetime, until: datetime) -> tuple[int, datetime, datetime] | None:
    """How many instants lie in (after, until], the first and the last; counted by the day, not named one by one."""
    fields, zone = parse(cron.text), ZoneInfo(cron.timezone)
    day, last_day = ((at.astimezone(zone) + timedelta(days=n)).date() for at, n in ((after, -1), (until, 1)))
    count, first, last = 0, None, after
    while day <= last_day:
        if fields.on(day):
            begin, minutes = _of_day(fields, zone, day)
            some = minutes[
                bisect_right(minutes, (last - begin) // _MINUTE) : bisect_right(minutes, (until - begin) // _MINUTE)
            ]
            if some:
                count, first, last = count + len(some), first or begin + some[0] * _MINUTE, begin + some[-1] * _MINUTE
        day += timedelta(days=1)
    return None if first is None else (count, first, last)


@lru_cache(maxsize=4096)
def longest_s(text: str) -> float:
    """The longest time between two instants, in seconds, with no change of clocks between them."""
    fields, first = parse(text), date(2024, 1, 1)
    minutes = [60 * hour + minute for hour in fields.hours for minute in fields.minutes]
    within = max((later - earlier for earlier, later in pairwise(minutes)), default=0)
    days = [n for n in range(_DAYS_SEARCHED + _DAYS_SEARCHED) if fields.on(first + timedelta(days=n))]
    apart = max(later - earlier for earlier, later in pairwise(days))
    return 60.0 * max(within, 1440 * apart - minutes[-1] + minutes[0])


def in_gap(cron: Cron, year: int) -> datetime | None:
    """The first wall-clock time (naive) of a year that is named but does not exist; None if there is none."""
    fields, zone = parse(cron.text), ZoneInfo(cron.timezone)
    if fields.elapsed:
        return None
    day = date(year, 1, 1)
    for _ in range(366):
        if fields.on(day) and _changes(zone, day):
            for hour in fields.hours:
                for minute in fields.minutes:
                    wall = datetime.combine(day, time(hour, minute))
                    back = wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
                    if back != wall:
                        return wall
        day += timedelta(days=1)
    return None


def _of_day(fields: Fields, zone: ZoneInfo, day: date) -> tuple[datetime, list[int]]:
    """Where the day begins (UTC), and in which minutes from there its instants are, in order."""
    begin = datetime.combine(day, time(), zone).astimezone(UTC)
    if not _changes(zone, day):
        return begin, [60 * hour + minute for hour in fields.hours for minute in fields.minutes]
    if not fields.elapsed:
        walls = (datetime.combine(day, time(hour, minute), zone) for hour in fields.hours for minute in fields.minutes)
        return begin, sorted({(wall.astimezone(UTC) - begin) // _MINUTE for wall in walls})
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    locals_ = ((n, (begin + n * _MINUTE).astimezone(zone)) for n in range((end.astimezone(UTC) - begin) // _MINUTE))
    return begin, [n for n, local in locals_ if local.hour in fields.hours and local.minute in fields.minutes]


def _changes(zone: ZoneInfo, day: date) -> bool:
    begin, end = (datetime.combine(day + timedelta(days=n), time(), zone).utcoffset() for n in (0, 1))
    return begin != end


def _field(word: str, name: str, low: int, high: int, known: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step_text = part.partition("/")
        step = _number(step_text, name, 1, high, {}) if step_text else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_number(end, name, low, high, known) for end in span.split("-", 1))
        else:
            first = last = _number(span, name, low, high, known)
            last = high if step_text else last
        if last < first:  # fri-mon
            found.update(range(first, high + 1, step), range(low, last + 1, step))
        else:
            found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int, known: Mapping[str, int]) -> int:
    if text in known:
        return known[text]
    if name == "weekday" and text.isdigit():
        raise CronError(f"the weekday {text} means different days in different crons; write mon, tue, … sun")
    if not text.isdigit() or not low <= int(text) <= high:
        raise CronError(f"the {name} {text!r} is not a number from {low} to {high}")
    return int(text)

"""When a journey runs: `every` or `cron`, read with a remedy for what can be misread."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from synthmon.core.cron import CronError, in_gap, parse
from synthmon.core.journey import Cron, Every
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.schema import JourneyKeys
from synthmon.language.words import meant

SHORTEST_S = 1.0


def compile_schedule(keys: JourneyKeys, faults: Faults) -> Every | Cron:
    """The schedule of a journey; something harmless after a fault."""
    if keys.every is not None and keys.cron is not None:
        faults.say(("cron",), "two-schedules", "`every` and `cron` are both given.", "Keep one of them.", at_key=True)
    elif not {"every", "cron"} & set(faults.marks.tree):
        faults.say((), "no-schedule", "Nothing says when this runs.", "Add `every: 1m`, or `cron:` with `timezone:`.")
    if keys.timezone and keys.cron is None:
        faults.say(("timezone",), "unused-timezone", "`timezone` is for `cron` only.", "Remove it.", at_key=True)
    if keys.cron is not None:
        return compile_cron(keys.cron, keys.timezone or "UTC", ("cron",), ("timezone",), faults)
    if keys.every is not None and keys.every < SHORTEST_S:
        fault = f"Every {keys.every:g}s is too often."
        faults.say(("every",), "every-too-short", fault, f"Run it every {SHORTEST_S:g}s at most.")
    return Every(keys.every or 60.0)


def compile_cron(text: str, timezone: str, path: Path, zone_path: Path, faults: Faults) -> Cron:
    """Five fields in a zone; warns of what is read differently and of times that do not exist."""
    good = True
    if not _is_zone(timezone):
        fault = f"There is no time zone {timezone!r}."
        faults.say(
            zone_path,
            "bad-timezone",
            fault,
            meant(timezone, available_timezones(), "Write an IANA name: Europe/Berlin."),
        )
        good = False
    try:
        fields = parse(text)
    except CronError as error:
        said = str(error)
        remedy = "Write minute hour day month weekday, weekdays by name: */5 8-18 * * mon-fri."
        faults.say(path, "bad-cron", f"{said[0].upper()}{said[1:]}.", remedy)
        return Cron("* * * * *")
    if fields.either_day:
        fault = "Day and weekday are both given: it runs when either fits."
        faults.warn(path, "cron-days", fault, "Put `*` in one of the two if both are meant to fit.")
    if good and (gap := _gap(text, timezone, date.today().year)):
        day, clock = gap.split("T")
        fault = (
            f"On {day} there is no {clock} in {timezone}: clocks are put forward, and it runs an hour "
            "later by the clock."
        )
        faults.warn(path, "local-time-gap", fault, "Choose a time outside of the change, or timezone: UTC.")
    return Cron(text, timezone if good else "UTC")


def interval_s(schedule: Every | Cron) -> float:
    """The shortest time between two slots."""
    if isinstance(schedule, Every):
        return schedule.interval_s
    fields = parse(schedule.text)
    times = sorted(hour * 60 + minute for hour in fields.hours for minute in fields.minutes)
    return 60.0 * min([later - sooner for sooner, later in pairwise(times)] + [times[0] + 1440 - times[-1]])


def slots_per_hour(schedule: Every | Cron) -> float:
    """How many slots the busiest hour has."""
    return 3600.0 / schedule.interval_s if isinstance(schedule, Every) else float(len(parse(schedule.text).minutes))


def slots_per_day(schedule: Every | Cron) -> float:
    """How many slots the busiest day has."""
    if isinstance(schedule, Every):
        return 86400.0 / schedule.interval_s
    fields = parse(schedule.text)
    return float(len(fields.minutes) * len(fields.hours))


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=512)
def _gap(text: str, timezone: str, year: int) -> str:
    """The next local time that is named and does not exist, this year or next, as `2026-03-29T02:30`."""
    found = in_gap(Cron(text, timezone), year) or in_gap(Cron(text, timezone), year + 1)
    return found.isoformat(timespec="minutes") if found else ""

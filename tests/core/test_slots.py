"""Who is due when."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmon.core.cron import CronError, in_gap, instants, parse
from synthmon.core.journey import Cron, Every
from synthmon.core.slots import Gap, due, gap, longest_interval_s, next_slot, too_late

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def on(day: str, cron: Cron) -> list[str]:
    """The UTC instants of one local day."""
    zone = ZoneInfo(cron.timezone)
    begin = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (begin + timedelta(days=1)).astimezone(UTC)
    times = []
    for instant in instants(cron, begin.astimezone(UTC) - timedelta(microseconds=1)):
        if instant >= end:
            return [time.strftime("%H:%M") for time in times]
        times.append(instant)
    return []


@given(st.floats(1, 86400), st.text(min_size=1), st.datetimes(datetime(2021, 1, 1), datetime(2035, 1, 1)))
def test_slots_follow_each_other_at_the_interval_for_ever(every_s: float, name: str, at: datetime) -> None:
    schedule, now = Every(round(every_s, 3)), at.replace(tzinfo=UTC)

    first = next_slot(schedule, name, now)
    second = next_slot(schedule, name, first)

    assert now < first <= now + timedelta(seconds=schedule.interval_s, milliseconds=1)
    assert abs((second - first).total_seconds() - schedule.interval_s) < 1e-3


def test_ten_thousand_journeys_are_spread_over_the_minute() -> None:
    seconds = Counter(int(next_slot(Every(60), f"journey-{n}", NOON).timestamp()) for n in range(10_000))

    assert max(seconds.values()) <= 2 * 10_000 / 60


def test_after_a_freeze_of_ten_minutes_starts_are_still_spread_and_each_journey_catches_up_once_at_most() -> None:
    thaw = NOON + timedelta(minutes=10)
    starts: Counter[int] = Counter()
    for n in range(10_000):
        name = f"journey-{n}"
        come = gap(Every(60), name, NOON, thaw)
        assert come is not None
        decided = due(come, Every(60), name, thaw)
        if decided.start:
            starts[int((decided.start - thaw).total_seconds())] += 1
        starts[int((come.last + timedelta(minutes=1) - thaw).total_seconds())] += 1
        missed = decided.missed.count if decided.missed else 0
        assert missed + (decided.run is not None) == come.count

    assert max(starts.values()) <= 2 * 10_000 / 60


def test_the_newest_due_time_runs_and_the_older_are_missed() -> None:
    first, second, third = islice(instants(Cron("* * * * *"), NOON), 3)

    decided = due(Gap(3, first, third), Cron("* * * * *"), "a", third + timedelta(seconds=0.1))

    assert (decided.run, decided.missed) == (third, Gap(2, first, second))


def test_a_slot_whose_bell_rang_early_starts_at_the_slot() -> None:
    decided = due(Gap(1, NOON, NOON), Every(60), "a", NOON - timedelta(seconds=1))

    assert decided.start == NOON


def test_a_slot_that_is_no_longer_valid_is_missed() -> None:
    decided = due(Gap(1, NOON, NOON), Every(60), "a", NOON + timedelta(seconds=16))

    assert (decided.run, decided.missed) == (None, Gap(1, NOON, NOON))


@pytest.mark.parametrize(("late_s", "every_s"), [(1.1, 1), (11, 10), (61, 3600)])
def test_a_run_that_wakes_when_a_newer_slot_is_due_or_after_a_minute_is_too_late(late_s: float, every_s: int) -> None:
    assert too_late(NOON, Every(every_s), NOON + timedelta(seconds=late_s))
    assert not too_late(NOON, Every(every_s), NOON + timedelta(seconds=late_s * 0.9))


@given(st.integers(1, 7200), st.integers(0, 10**6))
def test_slots_are_counted_as_they_are_named(every_s: int, seconds: int) -> None:
    until = NOON + timedelta(seconds=min(seconds, every_s * 50))
    named, slot = [], NOON
    while (slot := next_slot(Every(every_s), "a", slot)) <= until:
        named.append(slot)

    found = gap(Every(every_s), "a", NOON, until)

    assert found == (Gap(len(named), named[0], named[-1]) if named else None)


ZONES = ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "America/Havana", "Atlantic/Azores", "UTC"]
TEXTS = ["* * * * *", "*/7 * * * *", "30 2 * * *", "59 23 * * *", "15 */3 * * *", "*/20 0-3 * * sat-mon", "0 0 1 * *"]


@given(
    st.sampled_from(TEXTS),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2018, 1, 1), datetime(2019, 1, 1)),
    st.integers(0, 4_000),
)
def test_cron_is_counted_as_it_is_named_also_where_clocks_change(text: str, zone: str, at: datetime, m: int) -> None:
    cron, after = Cron(text, zone), at.replace(tzinfo=UTC)
    until = after + timedelta(minutes=m)
    named = list(takewhile(lambda instant: instant <= until, instants(cron, after)))

    found = gap(cron, "a", after, until)

    assert found == (Gap(len(named), named[0], named[-1]) if named else None)


def test_cron_is_counted_as_it_is_named() -> None:
    found = gap(Cron("*/30 * * * *"), "a", NOON, NOON + timedelta(days=2))

    assert found == Gap(96, NOON + timedelta(minutes=30), NOON + timedelta(days=2))


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("*/5 * * * *", 5 / 60),
        ("0,5,30 * * * *", 0.5),
        ("30 3 * * *", 24),
        ("0 9-17 * * mon-fri", 64),
        ("0 0 1 * *", 31 * 24),
        ("0 6 1 * mon", 7 * 24),
        ("0 0 29 feb *", 1461 * 24),
    ],
)
def test_the_longest_time_between_two_slots(text: str, hours: float) -> None:
    assert longest_interval_s(Cron(text)) == hours * 3600


@pytest.mark.parametrize(
    "text", ["*/7 * * * *", "3,50 2-4 * * *", "0 0 * * sat", "15 */6 2-9 * *", "0 12 10 * fri", "1 1 31 * *"]
)
def test_the_longest_time_is_the_longest_of_all_that_follow(text: str) -> None:
    times = islice(takewhile(lambda at: at < NOON + timedelta(days=500), instants(Cron(text), NOON)), 200_000)

    assert longest_interval_s(Cron(text)) == max((b - a).total_seconds() for a, b in pairwise(times))


@pytest.mark.parametrize(
    ("day", "count"), [("2026-03-29", 46), ("2026-10-25", 50), ("2026-06-01", 48)], ids=["23 h", "25 h", "24 h"]
)
def test_half_hourly_in_berlin_follows_elapsed_time(day: str, count: int) -> None:
    assert len(on(day, Cron("*/30 * * * *", "Europe/Berlin"))) == count


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("text", ["30 2 * * *", "15 1 * * *", "0 0 * * *", "59 23 * * *"])
def test_a_daily_time_names_one_instant_on_every_day_of_the_year(zone: str, text: str) -> None:
    begin = datetime(2025, 12, 31, 23, 59, 59, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    days = list(islice(instants(Cron(text, zone), begin), 365))

    local = Counter((instant.astimezone(ZoneInfo(zone))).date() for instant in days)
    assert len(days) == len(set(days)) == 365
    assert set(local.values()) == {1}


def test_a_repeated_hour_fires_a_fixed_time_once() -> None:
    assert on("2026-10-25", Cron("30 2 * * *", "Europe/Berlin")) == ["00:30"]


def test_a_time_in_the_gap_fires_once_and_is_found_by_the_linter() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")

    assert on("2026-03-29", cron) == ["01:30"]
    assert in_gap(cron, 2026) == datetime(2026, 3, 29, 2, 30)
    assert in_gap(Cron("30 4 * * *", "Europe/Berlin"), 2026) is None


def test_weekdays_by_name_may_wrap() -> None:
    found = [i.strftime("%a") for i in islice(instants(Cron("0 9 * * fri-mon"), NOON), 5)]

    assert found == ["Mon", "Fri", "Sat", "Sun", "Mon"]


def test_day_and_weekday_both_given_match_either() -> None:
    found = [i.strftime("%a %d") for i in islice(instants(Cron("0 9 13 * fri"), NOON), 3)]

    assert found == ["Fri 06", "Fri 13", "Fri 20"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("* * * *", "five fields"),
        ("61 * * * *", "the minute '61'"),
        ("* * * * 0", "mon, tue"),
        ("0 0 30 feb *", "no day of any year"),
        ("*/0 * * * *", "the minute '0'"),
        ("a * * * *", "the minute 'a'"),
    ],
)
def test_a_cron_text_that_names_no_schedule_says_why(text: str, words: str) -> None:
    with pytest.raises(CronError, match=words):
        parse(text)

"""Local times that do not exist, and amounts with their units."""

import re

import pytest
from pydantic_core import PydanticCustomError

from synthmon.core.journey import Cron, Every
from synthmon.language.amounts import per, seconds, share
from synthmon.language.load import load_text
from synthmon.language.schedule import interval_s, slots_per_day, slots_per_hour
from synthmon.language.settings import Settings

JOURNEY = """
journey: nightly
cron: "{cron}"
timezone: Europe/Berlin
steps:
  - http: GET https://shop.example.com/
    expect:
      - status == 200
"""


def test_a_time_that_clocks_skip_is_warned_about() -> None:
    loaded = load_text(JOURNEY.format(cron="30 2 * * *"), "f.yaml", Settings())

    (problem,) = loaded.problems
    assert (problem.code, problem.level) == ("local-time-gap", "warning")
    assert re.search(r"On \d{4}-03-\d\d there is no 02:30 in Europe/Berlin", problem.fault)
    assert len(loaded.journeys) == 1


@pytest.mark.parametrize("cron", ["30 4 * * *", "*/5 * * * *", "30 2 * jul *"])
def test_a_time_that_always_exists_is_not(cron: str) -> None:
    assert load_text(JOURNEY.format(cron=cron), "f.yaml", Settings()).problems == ()


@pytest.mark.parametrize(
    ("text", "value"), [("300ms", 0.3), ("30s", 30.0), ("1.5m", 90.0), ("1h", 3600.0), ("30d", 2592000.0)]
)
def test_a_duration_is_read_in_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["30", "s", "1 s", "-1s", "0s", "1w", "1h30m", "١s", "", 30, True, None, ["1s"]])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(PydanticCustomError, match="duration"):
        seconds(text)


def test_shares_and_rates_are_read() -> None:
    assert share("99.5%") == pytest.approx(0.995)
    assert per(1, "5/s")("300/m") == 5.0
    assert per(86400, "2000/d")("2000/d") == 2000.0


@pytest.mark.parametrize(
    ("schedule", "shortest_s", "an_hour", "a_day"),
    [
        (Every(30.0), 30.0, 120.0, 2880.0),
        (Cron("*/5 8-18 * * mon-fri"), 300.0, 12.0, 132.0),
        (Cron("0 9 * * *"), 86400.0, 1.0, 1.0),
        (Cron("0,10 * * * *"), 600.0, 2.0, 48.0),
    ],
)
def test_a_schedule_knows_how_often_it_runs(
    schedule: Every | Cron, shortest_s: float, an_hour: float, a_day: float
) -> None:
    assert interval_s(schedule) == shortest_s
    assert slots_per_hour(schedule) == an_hour
    assert slots_per_day(schedule) == a_day

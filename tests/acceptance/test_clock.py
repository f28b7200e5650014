"""The system's clock is set back and forward under a running daemon: no slot is lost, none told twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from synthmon.core.journey import Every
from synthmon.core.slots import Gap, next_slot
from synthmon.runtime.clock import Bell
from synthmon.runtime.instants import SteadyClock
from tests.acceptance.accounts import Told, all_runs, assert_each_slot_is_told_once, instant_s
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, serving_things

HOUR_S, DAY_S = 3600.0, 86_400.0
JOURNEYS = {"often": 1.0, "calm": 20.0, "calmer": 60.0}
PROBE = """
journey: {name}
every: {every:g}s
deadline: 10s
system: things
steps:
  - id: listed
    http: GET /things
    params: {{reference: any}}
    expect:
      - status == 200
"""
# The system's clock cannot be set in a test: this daemon asks one that reads how far it is off from a file.
CLOCK = """
import datetime, os, pathlib, sys, time
import apscheduler.executors.base, apscheduler.schedulers.base

offset = pathlib.Path(os.environ["CLOCK_OFFSET"])
true_time = time.time

class SystemClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(time.time(), tz)

time.time = lambda: true_time() + float(offset.read_text() or 0)
apscheduler.schedulers.base.datetime = apscheduler.executors.base.datetime = SystemClock

from synthmon.cli.main import main
main()
"""


class Hands:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s = 1_800_000_000.0, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall_s, lambda: self.monotonic_s)


def test_a_clock_that_is_set_back_goes_on_and_says_how_far_it_is_ahead() -> None:
    hands = Hands()
    clock = hands.clock()
    begin = clock.now()

    hands.wall_s -= HOUR_S
    hands.pass_(1)
    step = clock.sync()
    again = clock.sync()
    ahead, later = clock.ahead, clock.now()
    hands.wall_s += HOUR_S
    hands.pass_(1)
    back = clock.sync()

    assert step == timedelta(seconds=-HOUR_S)
    assert again is None, "one step is told once"
    assert ahead == timedelta(seconds=HOUR_S)
    assert later - begin == timedelta(seconds=1)
    assert back is not None
    assert clock.ahead == timedelta()
    assert clock.now() - begin == timedelta(seconds=2)


def test_a_clock_that_is_set_forward_is_followed_and_one_that_is_disciplined_too() -> None:
    hands = Hands()
    clock = hands.clock()
    begin = clock.now()

    hands.wall_s += 0.1
    slewed = clock.sync()
    followed = clock.now() - begin
    hands.wall_s += DAY_S
    step = clock.sync()

    assert slewed is None
    assert followed == timedelta(seconds=0.1)
    assert step == timedelta(seconds=DAY_S)
    assert clock.now() - begin == timedelta(seconds=DAY_S + 0.1)


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
async def test_the_bell_names_no_slot_twice_and_none_of_the_future_before_the_step_is_known(step_s: float) -> None:
    """The step comes between two looks at the clock, and the scheduler sees it first."""
    rung: list[datetime] = []
    hands = Hands()
    clock, every = hands.clock(), Every(60.0)
    bell = Bell(lambda name, come: rung.extend(named(every, name, come)), clock)
    begin = clock.now()
    bell.keep([("one", every)], begin)

    hands.wall_s += step_s
    bell.look("one")
    early = list(rung)
    clock.sync()
    bell.look("one")
    hands.pass_(120)
    clock.sync()
    bell.look("one")
    await asyncio.sleep(0)

    assert [slot for slot in early if slot > begin + timedelta(seconds=2)] == []
    assert rung == sorted(set(rung))
    wanted, slot = [], begin
    while (slot := next_slot(every, "one", slot)) <= clock.now() + timedelta(seconds=1):
        wanted.append(slot)
    assert rung == wanted


def named(every: Every, name: str, come: Gap) -> list[datetime]:
    slots = [come.first]
    while slots[-1] < come.last:
        slots.append(next_slot(every, name, slots[-1]))
    assert len(slots) == come.count
    return slots


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaemonProcess]:
    (tmp_path / "clock.py").write_text(CLOCK)
    set_clock(tmp_path, 0.0)
    monkeypatch.setenv("CLOCK_OFFSET", str(tmp_path / "offset"))
    (tmp_path / "probes").mkdir()
    for name, every in JOURNEYS.items():
        (tmp_path / "probes" / f"{name}.yaml").write_text(PROBE.format(name=name, every=every))
    with serving_things(Things()) as url, DaemonProcess(tmp_path, (str(tmp_path / "clock.py"),)) as process:
        (tmp_path / "synthmon.yaml").write_text(f'systems:\n  things: {{base: "{url}", rate: 1000/s}}\n')
        process.start()
        wait_for(lambda: passed(process) >= 5)
        yield process
        assert process.stop() == 0


def set_clock(folder: Path, offset_s: float) -> None:
    """Set the system's clock of the daemon."""
    new = folder / "offset.new"
    new.write_text(str(offset_s))
    new.replace(folder / "offset")


def passed(daemon: DaemonProcess) -> float:
    return daemon.metric("synthmon_runs_total", journey="often", outcome="passed")


def without_a_hole(runs: list[Told]) -> bool:
    """Whether everything that was missed is told by now."""
    try:
        for name, every_s in JOURNEYS.items():
            if any(run["journey"] == name for run in runs):
                assert_each_slot_is_told_once(runs, name, every_s)
    except AssertionError:
        return False
    return True


def assert_sound(daemon: DaemonProcess) -> list[Told]:
    """Every slot once, no negative duration, and what was due is what was told."""
    daemon.post("/api/v1/pause")
    wait_for(lambda: daemon.metric("synthmon_runs_in_progress") == 0)
    wait_for(lambda: without_a_hole(all_runs(daemon)), 120)  # a day of missed slots is claimed before it is told
    runs = all_runs(daemon)
    for name, every_s in JOURNEYS.items():
        if any(run["journey"] == name for run in runs):
            assert_each_slot_is_told_once(runs, name, every_s)
    for run in runs:
        spans = [run["took_ms"], run["outcome_ms"] or 0, run["lateness_ms"]]
        if run["started"] and run["ended"]:
            spans.append(instant_s(run["ended"]) - instant_s(run["started"]))
        assert min(spans) >= 0, run
    return runs


def test_an_hour_back_and_forward_again_loses_no_slot_and_doubles_none(daemon: DaemonProcess) -> None:
    before = passed(daemon)

    set_clock(daemon.folder, -HOUR_S)
    wait_for(lambda: "the system's clock was set" in (daemon.folder / "daemon.log").read_text())
    wait_for(lambda: passed(daemon) >= before + 5, 60)
    set_clock(daemon.folder, 0.0)
    wait_for(lambda: passed(daemon) >= before + 12, 60)
    runs = assert_sound(daemon)

    assert {run["outcome"] for run in runs} <= {"passed", "flaky", "missed", "skipped"}
    scheduled = daemon.metric("synthmon_slots_scheduled_total")
    assert scheduled <= sum(run["slots"] for run in all_runs(daemon)) + 5, "slots of the past were counted as due again"


def test_a_day_forward_is_told_as_missed_slots_and_the_runs_go_on(daemon: DaemonProcess) -> None:
    before = passed(daemon)

    set_clock(daemon.folder, DAY_S)
    wait_for(lambda: passed(daemon) >= before + 5, 180)
    runs = assert_sound(daemon)

    missed = sum(run["slots"] for run in runs if run["journey"] == "calmer" and run["outcome"] == "missed")
    assert missed >= DAY_S / JOURNEYS["calmer"] - 2

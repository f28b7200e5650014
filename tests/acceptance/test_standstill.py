"""Daemons are stopped and go on, alone and together: every slot is told once, and what was missed as one record."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.accounts import Told, all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.test_clock import PROBE
from tests.acceptance.things import Things, serving_things

JOURNEYS = ("one", "two", "three")
STOPPED_S = 6.0


def lay_out(folder: Path, url: str) -> Path:
    (folder / "probes").mkdir(parents=True)
    for name in JOURNEYS:
        (folder / "probes" / f"{name}.yaml").write_text(PROBE.format(name=name, every=1))
    (folder / "synthmon.yaml").write_text(f'systems:\n  things: {{base: "{url}", rate: 1000/s}}\n')
    return folder


def stand_still(*daemons: DaemonProcess) -> None:
    """SIGSTOP, some seconds of nothing, SIGCONT."""
    processes = [daemon.process.pid for daemon in daemons if daemon.process is not None]
    until_s = time.monotonic() + STOPPED_S
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    wait_for(lambda: time.monotonic() > until_s)
    for process in processes:
        os.kill(process, signal.SIGCONT)


def slots_of(daemons: Sequence[DaemonProcess]) -> float:
    return sum(daemon.metric("synthmon_slots_scheduled_total") for daemon in daemons)


def passed(daemon: DaemonProcess) -> float:
    return daemon.metric("synthmon_runs_total", outcome="passed")


def is_told_once(runs: Sequence[Told]) -> bool:
    try:
        for name in JOURNEYS:
            assert_each_slot_is_told_once(runs, name)
    except AssertionError:
        return False
    return True


def settle(daemons: Sequence[DaemonProcess]) -> list[Told]:
    """Start nothing more, and answer what history has: everything that they have counted as theirs."""
    for daemon in daemons[1:]:
        daemon.post("/api/v1/pause")
    daemons[0].post("/api/v1/pause")
    wait_for(lambda: is_told_once(all_runs(daemons[0])), 120)
    return all_runs(daemons[0])


def test_a_daemon_that_was_stopped_tells_what_it_missed_as_one_record_of_each_journey_and_goes_on(
    tmp_path: Path,
) -> None:
    with serving_things(Things()) as url, DaemonProcess(lay_out(tmp_path / "a", url)) as daemon:
        daemon.start()
        wait_for(lambda: passed(daemon) >= 2 * len(JOURNEYS))
        before = passed(daemon)

        stand_still(daemon)
        wait_for(lambda: passed(daemon) >= before + 3 * len(JOURNEYS), 120)
        runs = settle([daemon])
        assert_counted([daemon], runs)
        assert daemon.stop() == 0

    for name in JOURNEYS:
        assert_each_slot_is_told_once(runs, name)
        gaps = [run for run in runs if run["journey"] == name and run["slots"] >= STOPPED_S - 3]
        assert {run["reason"] for run in gaps} == {"late_bell"}, gaps


def test_two_daemons_of_which_one_and_then_both_are_stopped_tell_each_slot_once(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    with serving_things(Things()) as url:
        first, second = DaemonProcess(lay_out(tmp_path / "a", url)), DaemonProcess(lay_out(tmp_path / "b", url))
        with first, second:
            first.start("--store", store)
            second.start("--store", store)
            wait_for(lambda: passed(first) + passed(second) >= 3 * len(JOURNEYS), 120)

            stand_still(first)
            stand_still(first, second)
            stand_still(second)
            both = passed(first) + passed(second)
            wait_for(lambda: passed(first) + passed(second) >= both + 3 * len(JOURNEYS), 120)
            runs = settle([first, second])
            assert_counted([first, second], runs)
            assert [first.stop(), second.stop()] == [0, 0]

    for name in JOURNEYS:
        assert_each_slot_is_told_once(runs, name)
    assert any(run["reason"] == "late_bell" and run["slots"] > 1 for run in runs)


def assert_counted(daemons: Sequence[DaemonProcess], runs: Sequence[Told]) -> None:
    """What they counted is what is told; slots that came since the account was taken are told by now or soon."""
    told = sum(run["slots"] for run in runs)
    assert slots_of(daemons) >= told
    wait_for(lambda: sum(run["slots"] for run in all_runs(daemons[0])) >= slots_of(daemons) - len(JOURNEYS) * 2, 120)

"""SIGTERM, SIGINT and a second SIGTERM while many journeys run: nothing stays behind, and every slot is told."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.accounts import Told, all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, making, serving_things

JOURNEYS, EVERY_S, GRACE_S = 100, 5, 30
SETTINGS = """
systems:
  things: {{base: "{url}", writes: true, rate: 1000/s, concurrency: 200}}
limits: {{concurrency: 200, grace: {grace}s}}
"""


def lay_out(folder: Path, url: str) -> None:
    (folder / "probes").mkdir()
    for number in range(JOURNEYS):
        rest = "\n  - id: rest\n    pause: 5s\n"
        probe = making(f"making-{number}", f"{EVERY_S}s", "20s", {"one": "${run.namespace}"}, "15s", rest)
        (folder / "probes" / f"{number}.yaml").write_text(probe)
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url, grace=GRACE_S))


def until_busy(daemon: DaemonProcess, things: Things) -> None:
    """Until nearly all journeys run, and have made something that they have not taken back."""
    wait_for(
        lambda: daemon.metric("synthmon_runs_in_progress") >= 0.8 * JOURNEYS and len(things.left()) >= 0.5 * JOURNEYS,
        90,
        lambda: f"{daemon.metric('synthmon_runs_in_progress')} run, {len(things.left())} things",
    )


def until_paid(daemon: DaemonProcess, things: Things) -> None:
    """Start nothing more, and wait until nothing is left or owed."""
    daemon.post("/api/v1/pause")
    wait_for(lambda: daemon.metric("synthmon_runs_in_progress") == 0, 90)
    wait_for(lambda: not things.left() and daemon.metric("synthmon_open_debts") == 0, 120, lambda: str(things.left()))


def assert_every_started_journey_is_told_once(runs: Sequence[Told]) -> None:
    """A journey whose first slot had not come before the signal has nothing to be told of; most had."""
    started = {str(run["journey"]) for run in runs}
    assert len(started) >= 0.8 * JOURNEYS
    for journey in started:
        assert_each_slot_is_told_once(runs, journey, EVERY_S)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_midst_of_a_hundred_runs_ends_with_0_within_the_grace_and_takes_everything_back(
    tmp_path: Path, told: signal.Signals
) -> None:
    things = Things(slowest_s=0.5)
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        daemon.start()
        until_busy(daemon, things)

        begin_s = time.monotonic()
        code = daemon.stop(told, within_s=GRACE_S + 30)
        took_s = time.monotonic() - begin_s
        left = things.left()
        daemon.start()
        until_paid(daemon, things)
        runs = all_runs(daemon)
        assert daemon.stop() == 0

    assert code == 0
    assert took_s < GRACE_S + 5
    assert left == {}, "the runs did not clean up before the end"
    assert max(things.made.values()) == 1
    assert "interrupted" in {run["reason"] for run in runs}
    assert_every_started_journey_is_told_once(runs)


def test_a_second_sigterm_ends_at_once_and_the_next_start_pays(tmp_path: Path) -> None:
    things = Things(slowest_s=0.5)
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        daemon.start()
        until_busy(daemon, things)
        things.slowest_s = 4 * GRACE_S  # cleaning up takes longer than anybody waits
        assert daemon.process is not None
        log = tmp_path / "daemon.log"

        daemon.process.send_signal(signal.SIGTERM)
        wait_for(lambda: '"stopping"' in log.read_text())
        begin_s = time.monotonic()
        code = daemon.stop(signal.SIGTERM)
        took_s = time.monotonic() - begin_s
        left = things.left()
        things.slowest_s = 0.0
        daemon.start()
        until_paid(daemon, things)
        runs = all_runs(daemon)
        assert daemon.stop() == 0

    assert code == 0
    assert took_s < GRACE_S / 2
    assert left, "there was nothing to clean up: the test shows nothing"
    assert_every_started_journey_is_told_once(runs)

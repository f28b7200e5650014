"""A daemon in a narrow place stays up, is never green for what it could not keep, and is well again afterwards."""

from __future__ import annotations

import sqlite3
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.accounts import Told, all_runs
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.narrow import (
    CONFINED,
    STARVED,
    fill,
    killed_for_memory,
    little_memory,
    small_disk,
)
from tests.acceptance.things import Things, serving_things

MIB = 1024 * 1024
UNKEPT = {"history_unwritable", "journal_unwritable"}
SETTINGS = """
systems:
  things: {{base: "{url}", writes: true, rate: 1000/s, concurrency: 200}}
"""
PROBE = """
journey: making-{number}
every: {every_s}s
deadline: 20s
system: things
vars:
  reference: ${{run.namespace}}
steps:
  - id: one
    http: POST /things
    json: {{reference: "${{vars.reference}}"}}
    timeout: 10s
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${{one.id}}
      find:
        http: GET /things
        params: {{reference: "${{vars.reference}}"}}
        save:
          id: body.things[0].id
      ttl: 10m
    repeatable: true
"""


def lay_out(folder: Path, url: str, journeys: int, every_s: int = 1) -> None:
    (folder / "probes").mkdir()
    for number in range(journeys):
        (folder / "probes" / f"{number}.yaml").write_text(PROBE.format(number=number, every_s=every_s))
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    with DaemonProcess(tmp_path) as daemon:
        yield daemon


def passed(daemon: DaemonProcess) -> float:
    return daemon.metric("synthmon_runs_total", outcome="passed")


def unkept(daemon: DaemonProcess) -> float:
    return sum(daemon.metric("synthmon_run_reasons_total", reason=reason) for reason in UNKEPT)


def grown(ask: Callable[[], float], by: float, within_s: float) -> None:
    """Until a figure has grown by that much."""
    begin = ask()
    wait_for(lambda: ask() >= begin + by, within_s, lambda: f"{begin} became {ask()}")


def patient(ask: Callable[[], Any]) -> Any:
    """What the daemon answers, or nothing when it has no descriptor for us just now."""
    try:
        return ask()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def until_paid(daemon: DaemonProcess, things: Things) -> None:
    wait_for(lambda: patient(lambda: daemon.post("/api/v1/pause")))
    wait_for(lambda: patient(lambda: daemon.metric("synthmon_runs_in_progress")) == 0)
    wait_for(
        lambda: not things.left() and patient(lambda: daemon.metric("synthmon_open_debts")) == 0,
        120,
        lambda: f"{things.left()} {daemon.get('/api/v1/debts')}",
    )


def failures(runs: list[Told]) -> list[str]:
    """What was said to be the target's fault."""
    return [f"{run['journey']} {run['reason']}: {run['message']}" for run in runs if run["outcome"] == "failed"]


def assert_sound(folder: Path) -> None:
    files = sorted(folder.glob("store*.db"))
    assert len(files) >= 2
    for file in files:
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",), file


@pytest.mark.platform_limit("root")
@pytest.mark.parametrize("size_mib", [2, 16])
def test_a_full_disk_makes_runs_unknown_and_a_freed_one_makes_them_well(
    tmp_path: Path, daemon: DaemonProcess, things: Things, size_mib: int
) -> None:
    """2 MiB have no room for the ballast, 16 MiB have."""
    with serving_things(things) as url, small_disk(tmp_path / "disk", size_mib * MIB) as disk:
        lay_out(tmp_path, url, journeys=2)
        daemon.start("--store", f"sqlite:///{disk}/store.db")
        wait_for(lambda: passed(daemon) >= 2)
        assert (disk / "store-journal.db-ballast").exists() == (size_mib == 16)

        filler = fill(disk)
        grown(lambda: unkept(daemon), 5, 60)
        filler.unlink()
        grown(lambda: passed(daemon), 3, 30)

        until_paid(daemon, things)
        told = passed(daemon)
        kept = [run for run in all_runs(daemon) if run["outcome"] == "passed"]
        assert daemon.stop() == 0
        assert_sound(disk)
    assert told == len(kept), "a run was told as passed and is not in history"
    assert max(things.made.values()) == 1


@pytest.mark.platform_limit("root")
def test_a_daemon_that_is_stopped_on_a_full_disk_ends_well_and_the_next_start_tells_every_slot(
    tmp_path: Path, daemon: DaemonProcess, things: Things
) -> None:
    with serving_things(things) as url, small_disk(tmp_path / "disk", 2 * MIB) as disk:
        store = f"sqlite:///{disk}/store.db"
        lay_out(tmp_path, url, journeys=2)
        daemon.start("--store", store)
        wait_for(lambda: passed(daemon) >= 2)
        filler = fill(disk)
        grown(lambda: unkept(daemon), 3, 60)

        code = daemon.stop()
        filler.unlink()
        daemon.start("--store", store)
        grown(lambda: passed(daemon), 2, 60)
        until_paid(daemon, things)
        runs = all_runs(daemon)

        assert code == 0
        assert daemon.stop() == 0
        assert_sound(disk)
    slots = [(run["journey"], run["slot"]) for run in runs]
    assert len(slots) == len(set(slots))


def test_without_file_descriptors_no_run_is_the_targets_fault(tmp_path: Path, things: Things) -> None:
    starved = tmp_path / "starved.py"
    starved.write_text(STARVED.format(files=64))
    with serving_things(things) as url, DaemonProcess(tmp_path, (str(starved),)) as daemon:
        lay_out(tmp_path, url, journeys=60)
        daemon.start()
        wait_for(lambda: passed(daemon) >= 2)

        things.slowest_s = 3.0
        wait_for(lambda: patient(lambda: _ours(daemon)), 90)
        things.slowest_s = 0.0
        until_paid(daemon, things)
        wait_for(lambda: patient(lambda: daemon.post("/api/v1/resume")))
        grown(lambda: patient(lambda: passed(daemon)) or 0.0, 10, 60)

        until_paid(daemon, things)
        runs = all_runs(daemon)
        assert daemon.stop() == 0
    assert failures(runs) == []
    assert_sound(tmp_path)
    assert max(things.made.values()) == 1


def _ours(daemon: DaemonProcess) -> float:
    return daemon.metric("synthmon_runs_total", outcome="unknown")


@pytest.mark.platform_limit("memory_cgroup")
def test_in_128_mib_of_memory_a_hundred_journeys_run(tmp_path: Path, things: Things) -> None:
    with serving_things(things) as url, little_memory(128 * MIB) as group:
        confined = tmp_path / "confined.py"
        confined.write_text(CONFINED.format(group=group))
        with DaemonProcess(tmp_path, (str(confined),)) as daemon:
            lay_out(tmp_path, url, journeys=100, every_s=5)
            daemon.start()

            wait_for(lambda: passed(daemon) >= 200, 120)

            until_paid(daemon, things)
            runs = all_runs(daemon)
            assert daemon.stop() == 0
        killed = killed_for_memory(group)
    assert killed == 0
    assert failures(runs) == []
    assert_sound(tmp_path)

"""kill -9 at any moment: no orphan, no effect that came twice, nothing lost that was told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.acceptance.kills import in_lanes, torture
from tests.acceptance.kills_points import CALLS, compile_shim, walk_all, walk_errors, walk_kills, walk_mending


@pytest.fixture(autouse=True, scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        compile_shim(tmp_path_factory.mktemp("shim"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_kills_at_random_moments_leave_nothing_behind_and_lose_nothing_told(tmp_path: Path) -> None:
    report = torture(tmp_path / "it", kills=8, seed=8)

    assert report.wrong == []
    assert report.effects > 0


def test_without_the_write_to_the_journal_kills_leave_things_behind(tmp_path: Path) -> None:
    """That the test above can fail."""
    report = torture(tmp_path / "it", kills=6, seed=6, mutate="forget_intents")

    assert report.orphans > 0


def test_runs_told_before_they_are_kept_are_lost_by_kills(tmp_path: Path) -> None:
    """That it can fail in the other way, too."""
    report = torture(tmp_path / "it", kills=8, seed=8, mutate="tell_before_it_is_kept")

    assert report.lost > 0


def test_kills_at_some_calls_of_a_life_leave_nothing_behind(tmp_path: Path) -> None:
    calls = {"fdatasync": (6, 12), "pwrite64": (30, 60, 90), "connect": (1,), "send": (20, 45)}

    walk = walk_kills(tmp_path, [(call, nth) for call, nths in calls.items() for nth in nths])

    assert walk.report.wrong == []
    assert walk.points.total() == 8


def test_kills_of_the_one_who_pays_leave_nothing_behind(tmp_path: Path) -> None:
    walk = walk_mending(tmp_path, [("fdatasync", 1), ("send", 1), ("send", 10)])

    assert walk.report.wrong == []
    assert walk.points.total() == 3


def test_a_disk_that_fails_at_some_calls_damages_nothing_and_makes_no_run_green_that_was_not_kept(
    tmp_path: Path,
) -> None:
    points = [("fdatasync", 3), ("pwrite64", 20), ("fdatasync", 9), ("pwrite64", 60), ("fdatasync", 15)]

    walk = walk_errors(tmp_path, points, errno.EIO)

    assert walk.report.wrong == []
    assert walk.points.total() == 5
    assert walk.report.told["passed"] > 0


@pytest.mark.torture
def test_a_thousand_kills_leave_nothing_behind_and_lose_nothing_told(tmp_path: Path) -> None:
    report = in_lanes(tmp_path / "it", kills=1000, seed=1000, lanes=2)

    assert report.wrong == []
    assert report.told["passed"] > 100


@pytest.mark.torture
def test_a_kill_at_every_call_of_a_life_leaves_nothing_behind(tmp_path: Path) -> None:
    walk = walk_all(tmp_path, kills=True, errors=False, lanes=2)

    assert walk.report.wrong == []
    assert walk.points.total() >= 180
    assert all(walk.points[call] > 0 for call in CALLS)


@pytest.mark.torture
def test_an_error_at_every_write_and_sync_of_a_life_damages_nothing(tmp_path: Path) -> None:
    walk = walk_all(tmp_path, kills=False, errors=True, lanes=2)

    assert walk.report.wrong == []
    assert walk.points.total() >= 200

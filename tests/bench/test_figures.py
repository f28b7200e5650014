"""The table that the bench prints and writes, and the server that knows the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench.figures import Beside, Row, missed, quantile, table, write
from tests.bench.processes import charge, opened, running

SLOW = Row("a journey", 2.0, "ms CPU", 1.0, beside=[Beside("floor", 0.5), Beside("peer: not installed", None)])
FAST = Row("records", 9_000.0, "/s", 5_000, least=True)


def test_a_figure_stands_beside_its_floor_with_ratio_and_target() -> None:
    lines = table([SLOW, FAST]).splitlines()

    assert lines[2] == "| a journey | 2 ms CPU | floor 0.50; peer: not installed | 4 | ≤ 1 | **no** |"
    assert lines[3] == "| records | 9,000 /s |  |  | ≥ 5,000 | yes |"


def test_what_was_missed_is_said() -> None:
    assert missed([SLOW, FAST]) == "1 of 2 targets are reached; missed: a journey."
    assert missed([FAST]) == "All 1 targets are reached."


def test_what_could_not_be_measured_is_no_success() -> None:
    assert missed([FAST, Row("start", None, "s", 12, note="not ready after 120 s")]).endswith("missed: start.")


def test_the_table_is_written_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n")

    write(readme, "new \\1")

    assert readme.read_text() == "before\n<!-- bench -->\nnew \\1\n<!-- /bench -->\nafter\n"


def test_a_readme_without_marks_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("text\n")

    with pytest.raises(ValueError, match="put these two lines where the table belongs"):
        write(readme, "new")
    assert readme.read_text() == "text\n"


def test_a_quantile_of_nothing_is_nothing() -> None:
    assert quantile([], 0.5) is None
    assert quantile([3, 1, 2], 0.5) == 2


def test_the_floor_is_charged_with_what_the_shop_counted() -> None:
    with (
        opened(quick=True, limit_s=30) as bench,
        running(bench, "floor", [sys.executable, "-m", "tests.bench.floor", bench.shop]) as floor,
    ):
        used = charge(bench, floor, 0.5, 0.5)

    assert used.posts > 0
    assert 2 < used.requests / used.posts < 4  # three requests a journey, some of them under way
    assert used.cpu_s > 0

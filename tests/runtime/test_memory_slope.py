"""A daemon does not grow by its runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.runtime.memory_slope import slope_mb


def test_the_slope_is_that_of_the_looks_after_the_first_two_fifths() -> None:
    filling = [(1000, 10.0), (2000, 50.0), (3000, 90.0), (4000, 95.0)]
    growing = [(n * 1000, 100.0 + 0.02 * n) for n in range(5, 11)]

    assert slope_mb([*filling, *growing]) == pytest.approx(2.0)


@pytest.mark.torture
def test_a_hundred_thousand_runs_take_less_than_a_megabyte() -> None:
    command = [sys.executable, "-m", "tests.runtime.memory_slope", "--runs", "100000"]

    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=7200)

    slope = re.search(r"(-?[\d.]+) MB per 100,000 runs", said.stdout)
    assert slope is not None, said.stderr[-3000:]
    assert float(slope[1]) < 1, said.stdout

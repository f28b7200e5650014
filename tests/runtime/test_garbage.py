"""What is loaded is not looked through again, and what is kept later only seldom."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from synthmon.runtime.garbage import spare_what_stays


@pytest.fixture(autouse=True)
def as_python_has_it() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class Circle:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.me = self


def test_while_a_hundred_thousand_things_are_kept_the_old_are_never_looked_through() -> None:
    spare_what_stays()
    began = gc.get_stats()[2]["collections"]

    kept = [Circle() for _ in range(100_000)]

    assert gc.get_stats()[2]["collections"] == began, f"{len(kept)} kept"


def test_young_circles_are_found_all_the_same() -> None:
    spare_what_stays()
    began = sum(stats["collected"] for stats in gc.get_stats()[:2])

    for _ in range(100_000):
        Circle()

    assert sum(stats["collected"] for stats in gc.get_stats()[:2]) > began + 90_000

"""Two daemons that share a store fill each slot once, those that came too late to run included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.two_runners import measure
from tests.servers.postgres import postgres_or_skip


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/synthmon.db"
        return
    with postgres_or_skip() as server:
        yield server.url()


@pytest.mark.parametrize("slots", [200, pytest.param(10_000, marks=pytest.mark.torture)])
def test_of_two_daemons_one_runs_and_tells_each_slot(store: str, slots: int) -> None:
    figure = measure(store, slots)

    assert figure.twice == 0, str(figure)
    assert figure.wrong == 0, str(figure)
    assert figure.ran == slots - slots // 10

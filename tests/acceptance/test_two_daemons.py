"""Two daemons over one store, with the same journeys: each slot is run by one of them, and told once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.acceptance.accounts import Told, all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, making, serving_things
from tests.servers.postgres import postgres_or_skip

JOURNEYS = 10
SETTINGS = """
systems:
  things: {{base: "{url}", writes: true, rate: 1000/s, concurrency: 200}}
"""


def lay_out(folder: Path, url: str) -> Path:
    (folder / "probes").mkdir(parents=True)
    for number in range(JOURNEYS):
        probe = making(f"shared-{number}", "1s", "10s", {"one": f"shared-{number} ${{run.slot}}"})
        (folder / "probes" / f"{number}.yaml").write_text(probe)
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))
    return folder


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.db'}"
        return
    with postgres_or_skip() as server:
        yield server.url()


def test_two_daemons_on_one_store_run_each_slot_once_and_one_goes_on_when_the_other_is_killed(
    tmp_path: Path, store: str
) -> None:
    things = Things(slowest_s=0.4)
    with serving_things(things) as url:
        first, second = DaemonProcess(lay_out(tmp_path / "a", url)), DaemonProcess(lay_out(tmp_path / "b", url))
        with first, second:
            first.start("--store", store)
            wait_for(lambda: len(things.made) >= JOURNEYS, 120, lambda: f"{things.made} {all_runs(first)[:20]}")
            second.start("--store", store)  # while the first has runs under way

            shares = wait_for(lambda: passed_by(first, second, at_least=3 * JOURNEYS), 120)
            both = all_runs(first)
            second.kill()
            made = len(things.made)
            wait_for(lambda: len(things.made) >= made + 2 * JOURNEYS, 120)
            first.post("/api/v1/pause")
            wait_for(lambda: first.metric("synthmon_runs_in_progress") == 0)
            # what the other one made is taken back by the one that lives
            wait_for(lambda: not things.left(), 120, lambda: f"{things.left()} {first.get('/api/v1/debts')}")
            wait_for(lambda: is_told_once(all_runs(first)), 120)  # what was claimed by the dead one, too
            runs = all_runs(first)
            assert first.stop() == 0

    assert min(shares) > 0
    assert max(things.made.values()) == 1, "a slot ran twice"
    assert {run["reason"] for run in both if run["outcome"] == "unknown"} == set(), "a run of the other was given up"
    ran = {run["id"] for run in runs if run["outcome"] in ("passed", "flaky")}
    assert len(ran) >= 8 * JOURNEYS


def is_told_once(runs: Sequence[Told]) -> bool:
    """Whether every journey's history is whole. While daemons run, the newest slots are not all told."""
    try:
        for number in range(JOURNEYS):
            assert_each_slot_is_told_once(runs, f"shared-{number}")
    except AssertionError:
        return False
    return True


def passed_by(first: DaemonProcess, second: DaemonProcess, at_least: int) -> tuple[float, float] | None:
    """How many runs each has counted, once the second has enough."""
    shares = (
        first.metric("synthmon_runs_total", outcome="passed"),
        second.metric("synthmon_runs_total", outcome="passed"),
    )
    return shares if shares[1] >= at_least else None

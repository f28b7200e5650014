"""Two daemons over one store, with the same journeys: each slot is run by one of them, and told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from synthmon.core.intents import Claim
from synthmon.core.outcomes import Outcome
from synthmon.runtime.holes import find_given_up, find_holes
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.acceptance.accounts import all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, serving_things

JOURNEYS = 10
PROBE = """
journey: shared-{number}
every: 1s
deadline: 10s
system: things
steps:
  - id: one
    http: POST /things
    json: {{reference: "shared-{number} ${{run.slot}}"}}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${{one.id}}
      find:
        http: GET /things
        params: {{reference: "shared-{number} ${{run.slot}}"}}
        save:
          id: body.things[0].id
      ttl: 10m
    repeatable: true
"""
SETTINGS = """
systems:
  things: {{base: "{url}", writes: true, rate: 1000/s, concurrency: 200}}
"""


def lay_out(folder: Path, url: str) -> Path:
    (folder / "probes").mkdir(parents=True)
    for number in range(JOURNEYS):
        (folder / "probes" / f"{number}.yaml").write_text(PROBE.format(number=number))
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))
    return folder


def test_two_daemons_on_one_store_run_each_slot_once_and_one_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    things = Things(slowest_s=0.4)
    store = f"sqlite:///{tmp_path / 'shared.db'}"
    with serving_things(things) as url:
        first, second = DaemonProcess(lay_out(tmp_path / "a", url)), DaemonProcess(lay_out(tmp_path / "b", url))
        with first, second:
            first.start("--store", store)
            wait_for(lambda: len(things.made) >= JOURNEYS)
            second.start("--store", store)  # while the first has runs under way

            shares = wait_for(lambda: passed_by(first, second, at_least=3 * JOURNEYS), 120)
            both = all_runs(first)
            second.kill()
            made = len(things.made)
            wait_for(lambda: len(things.made) >= made + 2 * JOURNEYS)
            first.post("/api/v1/pause")
            wait_for(lambda: first.metric("synthmon_runs_in_progress") == 0)
            runs = all_runs(first)
            assert first.stop() == 0

    assert min(shares) > 0
    assert max(things.made.values()) == 1, "a slot ran twice"
    assert {run["reason"] for run in both if run["outcome"] == "unknown"} == set(), "a run of the other was given up"
    ran = {run["id"] for run in runs if run["outcome"] in ("passed", "flaky")}
    assert len(ran) >= 8 * JOURNEYS
    for number in range(JOURNEYS):
        assert_each_slot_is_told_once(both, f"shared-{number}")


def passed_by(first: DaemonProcess, second: DaemonProcess, at_least: int) -> tuple[float, float] | None:
    """How many runs each has counted, once the second has enough."""
    shares = (
        first.metric("synthmon_runs_total", outcome="passed"),
        second.metric("synthmon_runs_total", outcome="passed"),
    )
    return shares if shares[1] >= at_least else None


async def test_a_claim_of_another_process_is_given_up_only_when_its_run_must_be_over() -> None:
    now, long = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=3)
    journal, history = MemoryJournal(), MemoryHistory()
    live = Claim("shared", now - timedelta(seconds=5), "", "1" * 32, now - timedelta(seconds=6))
    dead = Claim("shared", now - long, "", "2" * 32, now - long)
    for claim in (live, dead):
        await journal.claim(claim)

    beside, _ = await find_holes({}, journal, history, "", now, alone=False)
    only, _ = await find_holes({}, journal, history, "", now, alone=True)
    later = await find_given_up({}, journal, "", before=now, now=now + long)
    ours = await find_given_up({}, journal, "", before=now - 2 * long, now=now + long)

    assert [claim for claim, _ in beside] == [dead]
    assert [record.outcome for _, record in beside] == [Outcome.UNKNOWN]
    assert {claim.run_id for claim, _ in only} == {live.run_id, dead.run_id}
    assert {claim.run_id for claim, _ in later} == {live.run_id, dead.run_id}
    assert ours == []

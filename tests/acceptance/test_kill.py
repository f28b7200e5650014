"""kill -9 in mid-run, and a new start: nothing stays behind, nothing happens twice, no slot is forgotten."""

from __future__ import annotations

import random
import time
from datetime import datetime
from pathlib import Path

from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, making, serving_things

SETTINGS = """
systems:
  things: {{base: "{url}", writes: true}}
"""


def lay_out(folder: Path, url: str) -> None:
    (folder / "probes").mkdir()
    for name in ("making", "making-more"):
        references = {step: f"${{run.namespace}}-{step}" for step in ("one", "two")}
        (folder / "probes" / f"{name}.yaml").write_text(making(name, "1s", "20s", references))
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))


def test_after_kills_in_mid_run_everything_is_taken_back_and_every_slot_is_told(tmp_path: Path) -> None:
    chance, things = random.Random(7), Things(slowest_s=0.7)
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        for _ in range(4):
            daemon.start()
            wait_for(lambda: len(things.left()) > 0)
            time.sleep(chance.uniform(0, 1.5))  # the moment of the kill, not a wait for something
            daemon.kill()
        things.slowest_s = 0.0

        daemon.start()
        for name in ("making", "making-more"):
            daemon.post(f"/api/v1/journeys/{name}/pause")
        wait_for(lambda: not things.left(), 120, lambda: f"{things.left()} {daemon.get('/api/v1/debts')}")
        wait_for(lambda: daemon.metric("synthmon_open_debts") == 0)
        runs = daemon.get("/api/v1/runs?limit=500")["runs"]
        assert daemon.stop() == 0

    assert max(things.made.values()) == 1, "an effect came about twice"
    slots = [(run["journey"], run["slot"]) for run in runs]
    assert len(slots) == len(set(slots)), "a slot was told twice"
    for name in ("making", "making-more"):
        told = sorted((r for r in runs if r["journey"] == name), key=lambda r: str(r["slot"]))
        span_s = (_instant(told[-1]["slot"]) - _instant(told[0]["slot"])) + _slots(told[0])
        assert sum(_slots(run) for run in told) == round(span_s), "history has a hole"
        assert {run["reason"] for run in told if run["outcome"] == "unknown"} <= {"interrupted"}


def test_without_the_write_to_the_journal_the_same_kills_leave_things_behind(tmp_path: Path) -> None:
    """That the test above can fail."""
    things = Things(slowest_s=0.7)
    forgetful = tmp_path / "forgetful.py"
    forgetful.write_text(_FORGETFUL)
    with serving_things(things) as url, DaemonProcess(tmp_path, (str(forgetful),)) as daemon:
        lay_out(tmp_path, url)
        for _ in range(2):
            daemon.start()
            wait_for(lambda: len(things.left()) > 0)
            daemon.kill()
        things.slowest_s = 0.0
        before = set(things.left())

        daemon.start()
        time.sleep(8)  # what does not come about cannot be waited for

        assert before & set(things.left())


_FORGETFUL = """
from synthmon.store import journal_sqlite

async def forget(self, run_id, entry, after_seq):
    return after_seq + 1

journal_sqlite.SqliteJournal.append = forget

from synthmon.cli.main import main
main()
"""


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _slots(run: dict[str, object]) -> int:
    return int(str(run.get("slots", 1)))


def test_debts_of_a_journey_that_was_removed_are_paid_from_the_text_that_the_journal_keeps(tmp_path: Path) -> None:
    things = Things(slowest_s=1.0)
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        daemon.start()
        wait_for(lambda: len(things.left()) > 0)
        daemon.kill()
        things.slowest_s = 0.0
        for probe in (tmp_path / "probes").iterdir():
            probe.write_text(
                probe.read_text().replace("journey: ", "journey: other-").replace("every: 1s", "every: 1h")
            )

        daemon.start()

        wait_for(lambda: not things.left(), 120, lambda: f"{things.left()} {daemon.get('/api/v1/debts')}")


def test_a_debt_is_never_paid_at_another_place_than_where_it_was_made(tmp_path: Path) -> None:
    things, strangers = Things(slowest_s=1.0), Things()
    with serving_things(things) as url, serving_things(strangers) as other, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        daemon.start()
        wait_for(lambda: len(things.left()) > 0)
        daemon.kill()
        (tmp_path / "synthmon.yaml").write_text(SETTINGS.format(url=other))
        for probe in (tmp_path / "probes").iterdir():
            probe.write_text(probe.read_text().replace("every: 1s", "every: 1h"))

        daemon.start()
        wait_for(lambda: any(url in str(debt["last_fault"]) for debt in daemon.get("/api/v1/debts")["debts"]))

        wait_for(lambda: daemon.metric("synthmon_open_debts") > 0)
        assert strangers.requests == []

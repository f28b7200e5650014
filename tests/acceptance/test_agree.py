"""What the target saw, the database, the API, the page and the metrics tell the same story of the same runs."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.accounts import Told, all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.moods import OUTCOMES, Moody, mood_of, serving_moods

JOURNEYS = [f"agreed-{number}" for number in range(20)]
RUNS = 300
PROBE = """
journey: {name}
every: 1s
deadline: 10s
system: moody
alert: {{severity: page, after: 2}}
slo: {{objective: 99%, window: 30d}}
steps:
  - id: first
    http: GET /first
    retry: {{times: 2, on: [5xx]}}
    expect:
      - status == 200
      - body.value == 1
  - id: second
    http: GET /second
    retry: {{times: 2, on: [5xx]}}
    expect:
      - status == 200
      - body.value == 1
"""
SETTINGS = """
systems:
  moody: {{base: "{url}", rate: 1000/s, concurrency: 200}}
"""


@dataclass(frozen=True, slots=True)
class Quiet:
    """A daemon after some hundred runs, with nothing under way."""

    daemon: DaemonProcess
    moody: Moody
    runs: list[Told]  # of the API, newest first

    def detail(self, run_id: str) -> Told:
        told: Told = self.daemon.get(f"/api/v1/runs/{run_id}")
        return told

    def ran(self) -> list[Told]:
        """Those that went to their end: what the pause cut short has seen half an answer."""
        return [run for run in self.runs if run["id"] and run["outcome"] in ("passed", "flaky", "failed")]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    folder, moody = tmp_path_factory.mktemp("agree"), Moody()
    (folder / "probes").mkdir()
    for name in JOURNEYS:
        (folder / "probes" / f"{name}.yaml").write_text(PROBE.format(name=name))
    with serving_moods(moody) as url, DaemonProcess(folder) as daemon:
        (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))
        daemon.start()
        wait_for(lambda: len(moody.runs()) >= RUNS, 120)
        daemon.post("/api/v1/pause")
        wait_for(lambda: daemon.metric("synthmon_runs_in_progress") == 0)
        wait_for(lambda: len({run["id"] for run in all_runs(daemon)} & moody.runs()) == len(moody.runs()))
        # with every interval too long to come, what is told stays as it is
        for name in JOURNEYS:
            file = folder / "probes" / f"{name}.yaml"
            file.write_text(file.read_text().replace("every: 1s", "every: 100d"))
        wait_for(lambda: daemon.metric("synthmon_journey_interval_seconds") >= len(JOURNEYS) * 8e6)
        wait_for(lambda: stable(daemon))
        yield Quiet(daemon, moody, all_runs(daemon))
        assert daemon.stop() == 0


def stable(daemon: DaemonProcess) -> bool:
    """Whether no record is on its way: all slots that were due are told."""
    return daemon.metric("synthmon_slots_scheduled_total") == daemon.metric("synthmon_runs_total")


def test_the_outcome_of_each_run_is_the_mood_of_the_target(quiet: Quiet) -> None:
    told = {run["id"]: run["outcome"] for run in quiet.ran()}

    cut_short = {run["id"] for run in quiet.runs if run["reason"] == "interrupted"}
    assert told.keys() | cut_short == quiet.moody.runs() | cut_short
    assert len(told) >= 0.8 * RUNS
    assert {run_id: outcome for run_id, outcome in told.items() if outcome != OUTCOMES[mood_of(run_id)]} == {}
    assert set(told.values()) == {"passed", "flaky", "failed"}
    for name in JOURNEYS:
        assert_each_slot_is_told_once(quiet.runs, name)


def test_history_has_as_many_attempts_as_the_target_saw_requests(quiet: Quiet) -> None:
    seen, told = {}, {}

    for run in quiet.ran()[:150]:
        steps = quiet.detail(run["id"])["steps"]
        told[run["id"]] = sum(len(step["attempts"]) for step in steps)
        seen[run["id"]] = quiet.moody.requests(run["id"])

    assert told == seen
    by_mood = {mood: {count for run_id, count in seen.items() if mood_of(run_id) == mood} for mood in OUTCOMES}
    assert by_mood == {"well": {2}, "second try": {3}, "wrong": {2}, "broken": {3}}


def test_a_pass_after_a_retry_is_flaky_wherever_it_is_told(quiet: Quiet) -> None:
    run = next(run for run in quiet.ran() if run["outcome"] == "flaky")
    detail = quiet.detail(run["id"])
    page = quiet.daemon.text(f"/runs/{run['id']}")

    assert quiet.daemon.metric("synthmon_runs_total", journey=run["journey"], outcome="flaky") >= 1
    assert [step["outcome"] for step in detail["steps"]] == ["passed", "flaky"]
    assert [len(step["attempts"]) for step in detail["steps"]] == [1, 2]
    assert re.search(r"<title>\S+ flaky ", page)
    assert "2 attempts" in page


def test_database_api_and_metrics_count_the_same(quiet: Quiet) -> None:
    with closing(sqlite3.connect(f"file:{quiet.daemon.folder / 'store.db'}?mode=ro", uri=True)) as base:
        rows = base.execute("select journey, outcome, reason, sum(slots) from runs group by 1, 2, 3").fetchall()

    kept = {(journey, outcome, reason): slots for journey, outcome, reason, slots in rows}
    told: Counter[tuple[str, str, str]] = Counter()
    for run in quiet.runs:
        told[run["journey"], run["outcome"], run["reason"] or ""] += run["slots"]
    assert kept == told
    assert counted(quiet.daemon, "synthmon_runs_total", "journey", "outcome") == by(told, 0, 1)
    reasons = counted(quiet.daemon, "synthmon_run_reasons_total", "journey", "outcome", "reason")
    assert reasons == {key: slots for key, slots in told.items() if key[2]}
    assert quiet.daemon.metric("synthmon_slots_scheduled_total") == sum(told.values())
    assert sum(counted(quiet.daemon, "synthmon_failures_total", "journey").values()) == sum(
        slots for (_, outcome, _), slots in told.items() if outcome == "failed"
    )
    good = counted(quiet.daemon, "synthmon_slo_good_total", "journey")
    ran_well = Counter(run["journey"] for run in quiet.ran() if run["outcome"] in ("passed", "flaky"))
    assert good == dict(ran_well)


def test_the_page_of_a_journey_shows_the_runs_of_the_api(quiet: Quiet) -> None:
    for name in JOURNEYS[:5]:
        page = quiet.daemon.text(f"/journeys/{name}")
        table = page[page.index('<table class="runs">') :]
        rows = [row for row in table.split("<tr>")[2:] if 'class="badge ' in row]
        shown = [(found(r'class="badge (\w+)"', row), found(r'datetime="([^"]+)"', row)) for row in rows]

        runs = [run for run in quiet.runs if run["journey"] == name][:40]
        assert [outcome for outcome, _ in shown] == [run["outcome"] for run in runs]
        assert [slot.replace("+00:00", "Z") for _, slot in shown] == [
            run["slot"].replace("+00:00", "Z") for run in runs
        ]
        listed = [run["id"][:8] for run in runs if run["id"] and f"/runs/{run['id']}" in table]
        assert len(listed) == sum(bool(run["id"]) for run in runs)


def test_the_latencies_of_the_metrics_are_those_of_the_good_runs(quiet: Quiet) -> None:
    measured = [run for run in quiet.ran() if run["outcome"] in ("passed", "flaky") and not run["lagged"]]

    counts = quiet.daemon.metric("synthmon_outcome_latency_seconds_count")
    sums = quiet.daemon.metric("synthmon_outcome_latency_seconds_sum")

    assert counts == len(measured)
    assert sums == pytest.approx(sum(run["outcome_ms"] for run in measured) / 1000, rel=1e-4)


def counted(daemon: DaemonProcess, name: str, *labels: str) -> dict[Any, float]:
    """The samples of a counter that are not 0, by these labels (a word, or a tuple of them)."""
    counts: dict[Any, float] = defaultdict(float)
    for line in daemon.text("/metrics").splitlines():
        if line.startswith(f"{name}{{"):
            has = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = tuple(has[label] for label in labels)
            counts[key if len(key) > 1 else key[0]] += float(line.rpartition(" ")[2])
    return {key: count for key, count in counts.items() if count}


def by(counts: Mapping[tuple[str, str, str], int], *places: int) -> dict[Any, float]:
    sums: Counter[Any] = Counter()
    for key, count in counts.items():
        sums[tuple(key[place] for place in places)] += count
    return dict(sums)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text[:300]
    return match[1]

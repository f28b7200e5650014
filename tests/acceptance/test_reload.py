"""Reload with hundreds of broken files: each is named, what was good goes on, and no slot is lost."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.accounts import all_runs, assert_each_slot_is_told_once
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, serving_things

BROKEN_FILES = 500
LANGUAGE = Path(__file__).parents[1] / "language"
KEEPING = [f"keeping-{number}" for number in range(4)]
NOT_ALONE = ("second-document", "wrong-type-document")  # half of it is right; a list may be one of values
PROBE = """
journey: {name}
every: 1s
deadline: 20s
system: things
steps:
  - id: listed
    http: GET /things
    params: {{reference: {reference}}}
    expect:
      - status == 200
"""
CALLING = """
journey: calling
every: 1s
deadline: 20s
system: things
steps:
  - id: look
    call: ../called/look.yaml
"""
CALLED = """
steps:
  - id: there
    http: GET /things
    params: {{reference: {reference}}}
    expect:
      - status == 200
"""
LONG = """
journey: long
every: 1h
deadline: 60s
system: things
steps:
  - id: begin
    http: GET /things
    params: {{reference: {version}-begin}}
    expect:
      - status == 200
  - id: rest
    pause: 6s
  - id: end
    http: GET /things
    params: {{reference: {version}-end}}
    expect:
      - status == 200
"""


@dataclass(frozen=True, slots=True)
class Reloading:
    """A daemon over good journeys, and the target that they ask."""

    daemon: DaemonProcess
    things: Things

    @property
    def probes(self) -> Path:
        return self.daemon.folder / "probes"

    def version(self, name: str) -> str:
        return str(self.daemon.get(f"/api/v1/journeys/{name}")["version"])

    def names(self) -> set[str]:
        return {journey["name"] for journey in self.daemon.get("/api/v1/journeys")["journeys"]}

    def errors(self) -> dict[str, set[int]]:
        """Lines with an error, by the name of the file."""
        lines: dict[str, set[int]] = {}
        for problem in self.daemon.get("/api/v1/problems")["problems"]:
            if problem["level"] == "error":
                lines.setdefault(Path(problem["file"]).name, set()).add(problem["line"])
        return lines

    def asked(self, reference: str) -> int:
        """How often the target was asked for a reference."""
        return sum(path.endswith(f"reference={reference}") for _, path, _ in list(self.things.requests))


@pytest.fixture
def reloading(tmp_path: Path) -> Iterator[Reloading]:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        for folder in ("probes", "called"):
            (tmp_path / folder).mkdir()
        for name in KEEPING:
            (tmp_path / "probes" / f"{name}.yaml").write_text(PROBE.format(name=name, reference="first"))
        (tmp_path / "probes" / "calling.yaml").write_text(CALLING)
        (tmp_path / "called" / "look.yaml").write_text(CALLED.format(reference="called-first"))
        (tmp_path / "probes" / "long.yaml").write_text(LONG.format(version="old"))
        settings = yaml.safe_load((LANGUAGE / "settings.yaml").read_text())
        del settings["sessions"]  # its file stands beside those settings
        settings["systems"]["things"] = {"base": url, "writes": True, "rate": "1000/s", "concurrency": 200}
        (tmp_path / "synthmon.yaml").write_text(yaml.safe_dump(settings))
        daemon.start()
        yield Reloading(daemon, things)
        assert daemon.stop() == 0


def broken_files() -> Iterator[tuple[str, str, set[int]]]:
    """Each mistake of the language again and again, to five hundred: (name, text, lines with an error)."""
    kinds = []
    for wrong in sorted((LANGUAGE / "wrong").glob("*.yaml")):
        told = re.findall(r"^(\S+?\.yaml):(\d+):\d+ \S* (.*)$", wrong.with_suffix(".txt").read_text(), re.MULTILINE)
        at_home = all(file == wrong.name for file, _, _ in told)
        lines = {int(line) for _, line, said in told if not said.strip().startswith("warning:")}
        text = wrong.read_text()
        if at_home and lines and wrong.stem not in NOT_ALONE and "call:" not in text:
            kinds.append((wrong.stem, text, lines))
    assert len(kinds) > 80
    for number in range(BROKEN_FILES):
        name, text, lines = kinds[number % len(kinds)]
        yield f"broken-{number}-{name}.yaml", text, lines


def test_five_hundred_broken_files_are_named_with_their_lines_and_the_old_journeys_go_on(reloading: Reloading) -> None:
    daemon = reloading.daemon
    wait_for(lambda: all(daemon.metric("synthmon_runs_total", journey=name, outcome="passed") for name in KEEPING))
    expected = {}
    before = {name: reloading.version(name) for name in KEEPING}

    for name, text, lines in broken_files():
        (reloading.probes / name).write_text(text)
        expected[name] = lines
    for name in KEEPING[:2]:
        (reloading.probes / f"{name}.yaml").write_text(
            PROBE.format(name=name, reference="second").replace("status == 200", "statsu == 200")
        )
        expected[f"{name}.yaml"] = {11}
    wait_for(
        lambda: set(reloading.errors()) == set(expected), 120, lambda: str(set(reloading.errors()) ^ set(expected))
    )
    reference = reloading.asked("first")
    wait_for(lambda: reloading.asked("first") >= reference + 3 * len(KEEPING))
    told, after = reloading.errors(), {name: reloading.version(name) for name in KEEPING}
    problems = daemon.metric("synthmon_config_problems", level="error")
    reloading.probes.joinpath(f"{KEEPING[0]}.yaml").write_text(PROBE.format(name=KEEPING[0], reference="third"))
    wait_for(lambda: reloading.asked("third") >= 2)
    runs = all_runs(daemon)

    assert len(told) == BROKEN_FILES + 2
    assert {name: lines for name, lines in told.items() if lines != expected[name]} == {}
    assert after == before
    assert reloading.asked("second") == 0
    assert problems >= BROKEN_FILES
    assert reloading.version(KEEPING[0]) != before[KEEPING[0]]
    assert set(reloading.errors()) == set(expected) - {f"{KEEPING[0]}.yaml"}
    for name in (*KEEPING, "calling"):
        assert_each_slot_is_told_once(runs, name)
        assert {run["outcome"] for run in runs if run["journey"] == name} <= {"passed", "flaky", "missed"}


def test_sighup_and_the_api_reload_too(reloading: Reloading) -> None:
    daemon, called = reloading.daemon, reloading.daemon.folder / "called" / "look.yaml"  # outside of what is watched
    assert daemon.process is not None
    first = reloading.version("calling")

    called.write_text(CALLED.format(reference="called-second"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: reloading.asked("called-second"))
    second = reloading.version("calling")
    called.write_text(CALLED.format(reference="called-third"))
    told: dict[str, Any] = daemon.post("/api/v1/reload")
    third = reloading.version("calling")
    wait_for(lambda: reloading.asked("called-third"))

    assert len({first, second, third}) == 3
    assert told["removed"] == told["added"] == []
    assert all(problem["level"] == "warning" for problem in told["problems"])
    # the watcher may have been first: then nothing is left to tell
    assert told["changed"] in (["calling"], [])


def test_a_run_under_way_ends_as_the_version_that_it_began_as(reloading: Reloading) -> None:
    old = reloading.version("long")
    run = reloading.daemon.post("/api/v1/journeys/long/run")["run"]
    wait_for(lambda: reloading.asked("old-begin"))

    (reloading.probes / "long.yaml").write_text(LONG.format(version="new"))
    wait_for(lambda: reloading.version("long") != old)
    still_running = reloading.asked("old-end") == 0
    wait_for(lambda: run in {told["id"] for told in all_runs(reloading.daemon)})
    told = reloading.daemon.get(f"/api/v1/runs/{run}")

    assert still_running
    assert (told["outcome"], told["version"]) == ("passed", old)
    assert (reloading.asked("old-end"), reloading.asked("new-end")) == (1, 0)


def test_a_removed_journey_disappears_and_comes_back_without_a_slot_run_twice(reloading: Reloading) -> None:
    gone, file = KEEPING[-1], reloading.probes / f"{KEEPING[-1]}.yaml"
    text = file.read_text()
    wait_for(lambda: reloading.daemon.metric("synthmon_runs_total", journey=gone, outcome="passed"))

    file.unlink()
    wait_for(lambda: gone not in reloading.names())
    without = reloading.daemon.text("/metrics")
    file.write_text(text)
    wait_for(lambda: gone in reloading.names())
    wait_for(lambda: reloading.daemon.metric("synthmon_runs_total", journey=gone, outcome="passed") >= 2)
    runs = all_runs(reloading.daemon)

    assert f'journey="{gone}"' not in without
    assert f'journey="{KEEPING[0]}"' in without
    slots = [run["slot"] for run in runs if run["journey"] == gone]
    assert len(slots) == len(set(slots))
    assert_each_slot_is_told_once(runs, KEEPING[0])


def test_broken_settings_are_named_and_the_old_ones_go_on(reloading: Reloading) -> None:
    settings = reloading.daemon.folder / "synthmon.yaml"
    good, names = settings.read_text(), reloading.names()

    settings.write_text("systems:\n  things: {base: [}\n")
    wait_for(lambda: "synthmon.yaml" in reloading.errors())
    asked = reloading.asked("first")
    wait_for(lambda: reloading.asked("first") >= asked + len(KEEPING))
    during, lines = reloading.names(), reloading.errors()["synthmon.yaml"]
    settings.write_text(good)
    wait_for(lambda: not reloading.errors())

    assert during == names
    assert lines == {2}

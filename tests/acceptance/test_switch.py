"""The switch of a real daemon, thrown in four ways: nothing forward leaves any more, and everything is taken back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.daemon import DaemonProcess, environment, wait_for
from tests.acceptance.things import Things, serving_things

JOURNEYS = 15
PROBE = """
journey: making-{number}
every: 2s
deadline: 30s
system: things
vars:
  reference: ${{run.namespace}}
steps:
  - id: one
    http: POST /things
    json: {{reference: "${{vars.reference}}"}}
    timeout: 15s
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${{one.id}}
      find:
        http: GET /things
        params: {{reference: "${{vars.reference}}"}}
        save:
          id: body.things[0].id
      ttl: 10m
  - id: never
    http: GET /never
    within: 20s
    expect:
      - status == 299
"""
SETTINGS = 'systems:\n  things: {{base: "{url}", writes: true, rate: 60/s}}\n'


class Ways:
    """How to throw the switch, and how to let go."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon

    def by_api(self, word: str) -> None:
        self._daemon.post(f"/api/v1/{word}")

    def by_signal(self, word: str) -> None:
        assert self._daemon.process is not None
        self._daemon.process.send_signal(signal.SIGUSR1 if word == "pause" else signal.SIGUSR2)

    def by_file(self, word: str) -> None:
        file = self._daemon.folder / "store-stop"
        file.touch() if word == "pause" else file.unlink()

    def by_command(self, word: str) -> None:
        command = [sys.executable, "-m", "synthmon", word, "--url", self._daemon.url]
        told = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
        assert (told.returncode, f"{word}d: everything" in told.stderr) == (0, True), told.stderr


@pytest.mark.parametrize("way", ["by_api", "by_signal", "by_file", "by_command"])
def test_after_the_switch_only_clean_up_leaves_and_a_restart_changes_nothing(tmp_path: Path, way: str) -> None:
    things = Things(slowest_s=0.3)
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        _lay_out(tmp_path, url)
        daemon.start()
        throw: Callable[[str], None] = getattr(Ways(daemon), way)
        wait_for(lambda: len(things.left()) >= JOURNEYS / 2 and _forward(things) > 3 * JOURNEYS)

        throw("pause")
        wait_for(lambda: daemon.metric("synthmon_journeys_paused") == JOURNEYS)
        time.sleep(1.0)  # the promise: one second after the switch
        before = _forward(things)
        wait_for(lambda: not things.left() and daemon.metric("synthmon_runs_in_progress") == 0)
        states = {journey["state"] for journey in daemon.get("/api/v1/journeys")["journeys"]}
        daemon.kill()
        daemon.start()
        wait_for(lambda: daemon.metric("synthmon_run_reasons_total", outcome="skipped", reason="paused") >= JOURNEYS)
        after, again = _forward(things), {journey["state"] for journey in daemon.get("/api/v1/journeys")["journeys"]}
        throw("resume")
        wait_for(lambda: _forward(things) > after)
        assert daemon.metric("synthmon_journey_paused") == 0

    assert after == before
    assert states == again == {"paused"}


def test_while_the_file_is_there_nobody_else_can_resume(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        _lay_out(tmp_path, "http://127.0.0.1:1")
        (tmp_path / "store-stop").touch()
        daemon.start()

        command = [sys.executable, "-m", "synthmon", "resume", "--url", daemon.url]
        told = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)

        assert told.returncode == 2
        assert "store-stop" in told.stderr.replace("\n", "")
        assert daemon.metric("synthmon_journey_paused") == JOURNEYS


def _lay_out(folder: Path, url: str) -> None:
    (folder / "probes").mkdir()
    for number in range(JOURNEYS):
        (folder / "probes" / f"{number}.yaml").write_text(PROBE.format(number=number))
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))


def _forward(things: Things) -> int:
    """Requests that were no clean-up: what makes, and the polls."""
    return sum(method == "POST" or path.startswith("/never") for method, path, _ in list(things.requests))

"""Ctrl-C in the midst of `synthmon run`: the first takes back what was made, the second stops at once and says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.daemon import ROOT, environment, wait_for
from tests.acceptance.things import Things, making, serving_things

SETTINGS = """
systems:
  things: {{base: "{url}", writes: true}}
"""
FAR_S = 60.0  # longer than anybody waits


@contextmanager
def a_run_under_way(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """`synthmon run` of a journey that makes a thing and then rests."""
    rest = "\n  - id: rest\n    pause: 50s\n"
    (folder / "probe.yaml").write_text(making("making", "5m", "60s", {"one": "${run.namespace}"}, "50s", rest))
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))
    environ = environment() | {"PYTHONPATH": str(ROOT)}
    with (folder / "said").open("w") as said:
        command = [sys.executable, "-m", "synthmon", "run", "probe.yaml"]
        process = subprocess.Popen(command, stdout=said, stderr=said, text=True, cwd=folder, env=environ)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def test_the_first_takes_back_what_the_run_made_and_says_that_it_does(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, a_run_under_way(tmp_path, url) as process:
        wait_for(things.left, 60, lambda: said(tmp_path))

        process.send_signal(signal.SIGINT)
        code = process.wait(60)

    assert code == 2
    assert things.left() == {}
    assert "what this run made is taken back first; Ctrl-C again stops at once" in said(tmp_path)


def test_the_second_stops_at_once_and_says_what_to_do_about_what_is_left(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, a_run_under_way(tmp_path, url) as process:
        wait_for(things.left, 60, lambda: said(tmp_path))
        things.slowest_s = 4 * FAR_S  # cleaning up takes longer than anybody waits

        process.send_signal(signal.SIGINT)
        wait_for(lambda: "taken back first" in said(tmp_path), 30)
        begin_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(FAR_S)
        took_s = time.monotonic() - begin_s
        things.slowest_s = 0.0
        environ = environment() | {"PYTHONPATH": str(ROOT) + os.pathsep}
        listed = subprocess.run(
            [sys.executable, "-m", "synthmon", "debts"], cwd=tmp_path, env=environ, capture_output=True, text=True
        )

    assert (code, took_s < FAR_S / 2) == (2, True), said(tmp_path)
    assert "`synthmon debts` lists it, `synthmon debts --pay` takes it back" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)
    assert things.left(), "there was nothing to clean up: the test shows nothing"
    assert "making, step one" in listed.stdout

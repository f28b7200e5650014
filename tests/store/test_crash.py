"""What was acknowledged survives kill -9, and two daemons never fill one slot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.kill_writer import torture


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    report = torture(tmp_path, kills=20, seed=20)

    assert report.wrong == []
    assert min(report.acknowledged[what] for what in ("claim", "entry", "record")) > 0


@pytest.mark.torture
def test_nothing_acknowledged_is_lost_in_a_thousand_kills(tmp_path: Path) -> None:
    report = torture(tmp_path, kills=1000, seed=1000)

    assert report.wrong == []


def test_two_daemons_on_one_journal_never_both_get_a_slot(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.store.claim_all", str(tmp_path / "journal.db"), "2000"]
    pipe = subprocess.PIPE
    daemons = [subprocess.Popen([*command, name], text=True, stdin=pipe, stdout=pipe) for name in ("one", "two")]
    for daemon in daemons:
        assert daemon.stdout is not None
        daemon.stdout.readline()

    said = [daemon.communicate("go\n", timeout=60)[0] for daemon in daemons]

    won = [int(number) for words in said for number in words.split()]
    assert sorted(won) == list(range(2000))

"""What only looks at files opens no socket and asks no resolver: Python's own audit events say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.daemon import environment

ROOT = Path(__file__).parent.parent.parent
SPY = """
import sys
sys.addaudithook(lambda event, args: event.startswith("socket.") and print("AUDIT", event, args, flush=True))
sys.argv = ["synthmon", *sys.argv[1:]]
from synthmon.cli.main import main
main()
"""


def spied(*words: str) -> tuple[int, str, list[str]]:
    """Exit code, output, and the socket events of a command."""
    told = subprocess.run(
        [sys.executable, "-c", SPY, *words], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120
    )
    lines = told.stdout.splitlines()
    return told.returncode, told.stdout + told.stderr, [line for line in lines if line.startswith("AUDIT")]


@pytest.mark.parametrize(
    "words", [("run", "probes/order-to-ledger.yaml", "--dry-run"), ("check", "probes"), ("explain", "http")]
)
def test_a_command_that_sends_nothing_opens_no_socket(words: tuple[str, ...]) -> None:
    code, said, events = spied(*words)

    assert code == 0, said
    assert events == []


def test_the_spy_sees_a_socket() -> None:
    _, said, events = spied("run", "probes/order-to-ledger.yaml", "--store", "memory:")

    assert any("socket.connect" in event for event in events), said

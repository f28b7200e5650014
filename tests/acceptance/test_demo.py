"""The shipped journeys against the demo shop: green on a whole shop, and each fault turns red what it should."""

from __future__ import annotations

import glob
import html
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from synthmon.cli.demo import Ports
from synthmon.demo.client import break_fault, mend
from synthmon.demo.faults import FAULTS
from synthmon.language.load import load
from synthmon.web.words import spaced
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.shop import SHIPPED as PROBES
from tests.acceptance.shop import lay_out_shipped, open_shop
from tests.servers.ports import free_port

DEMO = [sys.executable, "-m", "synthmon", "demo"]
TRACED = frozenset({"order-messages", "order-callback", "order-mail", "order-trace"})
"""Those that are told by its messages, its calls, its mails and its spans, and by the id in them."""
TOLD = TRACED | {"order-sequence"}
"""Those that ask the shop nothing: its logs too."""
SHIPPED = frozenset({"correlation", "order-confirmation-mail", "order-deletion", "order-shipment"})
"""Those that wait for what comes last of all."""
BOOKED = SHIPPED | TOLD | {"order-to-ledger", "order-books"}
PAID = frozenset({"payment-integrity", "checkout-under-load"})


@dataclass(frozen=True, slots=True)
class Effect:
    """Who turns red, and what the reason of one of them names. `may`: shares what is broken, and need not notice."""

    red: frozenset[str]
    journey: str
    step: str
    expectation: str
    value: str
    may: frozenset[str] = frozenset()
    also: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of others that turn red: journey → the reason, and what the message names."""


EFFECTS = {
    "lose-event": Effect(
        BOOKED,
        "order-to-ledger",
        "booked",
        "body.count == 1",
        "body.count is 0",
        also={
            "order-sequence": ("lost", "booked"),
            "order-messages": ("lost", "paid: "),
            "order-books": ("lost", "count is 0"),
            "order-mail": ("lost", "mailed: "),
            "order-trace": ("lost", "booked"),
        },
    ),
    "duplicate-event": Effect(
        BOOKED,
        "order-to-ledger",
        "booked",
        "body.count == 1",
        "body.count is 2",
        may=frozenset({"payment-integrity"}),  # it sees that a function did it twice, if it looks late enough
        also={
            "order-sequence": ("duplicate", " happened 2 times"),
            "order-messages": ("duplicate", "paid: "),
            "order-callback": ("duplicate", "on_its_way: "),
            "order-books": ("lost", "count is 2"),
            "order-mail": ("duplicate", "mailed: "),
            "order-trace": ("duplicate", " happened 2 times"),
        },
    ),
    "swap-order": Effect(
        frozenset({"signup-onboarding", "signup-sequence"}),
        "signup-onboarding",
        "in_order",
        "body.profile.seq < body.credits.seq",
        "body.credits.seq is ",
        also={"signup-sequence": ("order", "before: [profile, credits]: credits at ")},
    ),
    "slow-dependency": Effect(
        frozenset({"checkout-under-load"}),
        "checkout-under-load",
        "",  # whichever of the three is told first
        "tookMs < 2000.0",
        "tookMs is ",
        may=BOOKED | PAID,
    ),
    "lose-correlation": Effect(
        SHIPPED | TRACED,
        "correlation",
        "labelled",
        "body.shipments.map(s, s.correlationId) == [run.id]",
        'is [""]',
        also={"order-trace": ("lost", "shipped"), "order-mail": ("expectation", "x-correlation-id")},
    ),
    "error-body": Effect(
        PAID,
        "checkout-under-load",
        "",
        "body.count == 1",
        'there is no key "count"',
    ),
    "stale-cache": Effect(
        frozenset({"stock-freshness"}),
        "stock-freshness",
        "shelf",
        "timestamp(body.time) > run.started",
        "timestamp(body.time) is ",
    ),
    "dead-worker": Effect(
        SHIPPED | TOLD,
        "order-shipment",
        "shipped",
        'body.status == "shipped"',
        'body.status is "booked"',
        also={
            "order-sequence": ("lost", "happens: shipped"),
            "order-callback": ("lost", "on_its_way: "),
            "order-mail": ("lost", "mailed: "),
            "order-trace": ("lost", "shipped"),
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A shop and the daemon that watches it."""

    shop: str
    daemon: DaemonProcess
    journeys: list[str]

    def runs_since(self, name: str, instant: datetime) -> list[dict[str, Any]]:
        """The finished runs of a journey that began after an instant, oldest first; slots without a run left out."""
        runs = self.daemon.get(f"/api/v1/runs?journey={name}&limit=100")["runs"]
        ran = [run for run in runs if run["outcome"] in ("passed", "flaky", "failed", "unknown")]
        began = [run for run in ran if datetime.fromisoformat(run["started"]) > instant]
        return sorted(began, key=lambda run: str(run["started"]))

    def outcomes_since(self, instant: datetime) -> dict[str, list[str]]:
        return {name: [run["outcome"] for run in self.runs_since(name, instant)] for name in self.journeys}

    def until_green(self, instant: datetime) -> None:
        """Until every journey passed in a run that began after an instant."""

        def green() -> bool:
            return all({"passed", "flaky"} & set(outcomes) for outcomes in self.outcomes_since(instant).values())

        wait_for(green, 90, lambda: str(self.outcomes_since(instant)))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with open_shop(folder / "shop") as shop, DaemonProcess(folder) as daemon:
        names = lay_out_shipped(folder, shop, "5s")
        daemon.start()
        yield Watched(shop.url, daemon, names)
        assert daemon.stop() == 0


def test_all_shipped_journeys_pass_against_a_whole_shop(watched: Watched) -> None:
    watched.until_green(datetime(2000, 1, 1, tzinfo=UTC))

    outcomes = watched.outcomes_since(datetime(2000, 1, 1, tzinfo=UTC))
    assert len(outcomes) == 16
    assert {outcome for told in outcomes.values() for outcome in told} <= {"passed", "flaky"}
    for name in watched.journeys:
        assert watched.daemon.metric("synthmon_runs_total", journey=name, outcome="passed") >= 1
        assert watched.daemon.metric("synthmon_runs_total", journey=name, outcome="failed") == 0


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS])
def test_a_fault_turns_its_journeys_red_with_the_reason_and_no_others_until_it_is_mended(
    watched: Watched, fault: str
) -> None:
    effect, daemon = EFFECTS[fault], watched.daemon
    failed_before = {
        name: daemon.metric("synthmon_runs_total", journey=name, outcome="failed") for name in watched.journeys
    }

    break_fault(watched.shop, fault, 1.0)
    broken = datetime.now(UTC)
    try:
        wait_for(
            lambda: all(len(watched.runs_since(name, broken)) >= 2 for name in watched.journeys),
            120,
            lambda: str(watched.outcomes_since(broken)),
        )
    finally:
        mend(watched.shop, fault)
    mended = datetime.now(UTC)
    told = {name: watched.runs_since(name, broken)[:2] for name in watched.journeys}

    outcomes = {name: [run["outcome"] for run in runs] for name, runs in told.items()}
    red = {name for name, seen in outcomes.items() if "failed" in seen}
    assert effect.red <= red, f"{sorted(effect.red - red)} saw nothing: {outcomes}"
    assert red <= effect.red | effect.may, f"{sorted(red - effect.red)} have nothing to do with it: {outcomes}"
    seen = next(run for run in told[effect.journey] if run["outcome"] == "failed")
    assert seen["step"] == effect.step or not effect.step
    for words in (f"{seen['step']}: ", f"{effect.journey}.yaml:", effect.expectation, effect.value):
        assert words in seen["message"]
    assert spaced(seen["message"]) in html.unescape(daemon.text(f"/journeys/{effect.journey}"))
    for name, (reason, words) in effect.also.items():
        failed = next(run for run in told[name] if run["outcome"] == "failed")
        assert failed["reason"] == reason, failed["message"]
        assert words in failed["message"]
    for name in effect.red:
        assert daemon.metric("synthmon_runs_total", journey=name, outcome="failed") > failed_before[name]
    watched.until_green(mended)


def test_the_demo_command_runs_and_ends_by_itself_and_leaves_no_process(tmp_path: Path) -> None:
    with ports_of_a_demo() as ports:
        process = subprocess.Popen(
            [*DEMO, "--port", str(ports.shop), "--for", "20s", "--dir", str(tmp_path)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        try:
            wait_for(lambda: _answers(f"http://127.0.0.1:{ports.page}/healthz") or process.poll() is not None, 90)
            while_open = _processes_of(tmp_path)
            _, said = process.communicate(timeout=150)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)

    assert process.returncode == 0, said
    assert "synthmon watches it" in said
    assert 'demo.yaml"\n' in said.partition("export SYNTHMON_SETTINGS=")[2], "what to paste to ask about it"
    assert len(while_open) >= 3  # the command, the shop, the daemon: that the next line can fail
    assert wait_for(lambda: not _processes_of(tmp_path), 20, lambda: str(_processes_of(tmp_path)))
    loaded = load([PROBES], [PROBES / "synthmon.yaml", tmp_path / "demo.yaml"])
    assert loaded.problems == ()
    assert len(glob.glob(loaded.settings.evidence["logs"].keys.jsonl)) >= 7  # of the gateway and six functions
    history = subprocess.run(
        [sys.executable, "-m", "synthmon", "history", "--json"],
        env=os.environ | {"SYNTHMON_SETTINGS": f"{PROBES / 'synthmon.yaml'} {tmp_path / 'demo.yaml'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert sum(run["outcome"] in ("passed", "flaky") for run in json.loads(history.stdout)) >= 5


def test_a_demo_whose_terminal_is_closed_leaves_no_process(tmp_path: Path) -> None:
    with ports_of_a_demo() as ports, (tmp_path / "said").open("w") as said:
        command = [*DEMO, "--port", str(ports.shop), "--dir", str(tmp_path)]
        process = subprocess.Popen(command, stderr=said, stdin=subprocess.DEVNULL)
        try:
            wait_for(lambda: _answers(f"http://127.0.0.1:{ports.page}/healthz") or process.poll() is not None, 90)
            while_open = _processes_of(tmp_path)
            process.send_signal(signal.SIGHUP)
            code = process.wait(90)
        finally:
            if process.poll() is None:
                process.kill()

    assert code == 0, (tmp_path / "said").read_text()
    assert len(while_open) >= 3
    assert wait_for(lambda: not _processes_of(tmp_path), 30, lambda: str(_processes_of(tmp_path)))


def test_a_demo_whose_port_is_taken_says_so_and_how_to_have_another_before_it_starts_anything(tmp_path: Path) -> None:
    with ports_of_a_demo() as ports, socket.create_server(("127.0.0.1", ports.page)):
        command = [*DEMO, "--port", str(ports.shop), "--dir", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)

    assert ended.returncode == 1
    said = " ".join(ended.stderr.split())
    assert f"Somebody listens on 127.0.0.1 at {ports.page} already" in said
    assert f"synthmon demo --port {ports.shop + 1000}" in said
    assert list(tmp_path.iterdir()) == []


@contextmanager
def ports_of_a_demo() -> Iterator[Ports]:
    """All of one demo, and not those that it has by itself: somebody's own demo may be open on this machine."""
    for _ in range(100):
        ports = Ports(free_port())
        if not ports.taken():
            yield ports
            return
    raise AssertionError("no room for a demo")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def _processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name this folder, ours apart."""
    told = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended meanwhile
            if str(folder) in command:
                told.append(command)
    return told

"""An order that a running daemon forces: confirmed while nothing waits for it, else told as one it cannot force."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from synthmon.demo.client import break_fault, mend
from tests.acceptance.daemon import DaemonProcess, environment
from tests.acceptance.guilty_order import FAULT, GUILTY
from tests.acceptance.replays_afar import kept
from tests.acceptance.shop import lay_out_shipped, open_shop

JOURNEY = "signup-sequence"


@dataclass(frozen=True, slots=True)
class Here:
    """A shop, the daemon that watches it, and a good run of its sign-ups."""

    folder: Path
    shop_url: str
    daemon: DaemonProcess
    run: str

    def force(self, order: str, *more: str, run: str = "") -> subprocess.CompletedProcess[str]:
        """What the command says that lets the daemon force an order."""
        asked = ["replay", run or self.run[:12], "--order", order, *more, "--url", self.daemon.url]
        return subprocess.run(
            [sys.executable, "-m", "synthmon", *asked],
            cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("order")
    with open_shop(folder / "shop") as shop, DaemonProcess(folder) as daemon:
        lay_out_shipped(folder, shop, "12h")
        settings, probe = folder / "synthmon.yaml", folder / "probes" / f"{JOURNEY}.yaml"
        settings.write_text(settings.read_text().replace("lag: 1s", "lag: 200ms"))
        probe.write_text(probe.read_text().replace("  within: 5s\n  expect", "  within: 1500ms\n  expect"))
        daemon.start()
        yield Here(folder, shop.url, daemon, kept(daemon, JOURNEY))


def test_the_daemon_forces_an_order_and_confirms_it_while_nothing_waits_for_it(here: Here) -> None:
    break_fault(here.shop_url, FAULT, 0.0)  # by itself it would never strike

    planned = here.force(GUILTY, "--times", "5")
    told = here.force(GUILTY, "--times", "5", "--yes", "--json")
    made = json.loads(told.stdout)
    records = [here.daemon.get(f"/api/v1/runs/{one['record']['run_id']}") for one in made["runs"]]
    stands = here.daemon.get(f"/api/v1/runs/{here.run}/replay")
    mend(here.shop_url, FAULT)

    assert (planned.returncode, told.returncode) == (3, 0), told.stderr
    assert "profile-created, which is held by its consumer" in planned.stdout
    assert made["finding"]["verdict"] == "confirmed", made["finding"]
    assert (made["finding"]["forced_good"], made["finding"]["reversed_bad"]) == (0, 0)
    assert made["finding"]["p"] < 0.01
    assert len(made["runs"]) == 10
    assert {one["replay_of"] for one in records} == {here.run}  # they are in its history
    assert (stands["state"], stands["finding"]) == ("over", made["finding"])
    assert [one["run"] for one in stands["runs"]] == [one["id"] for one in records]


def test_an_order_that_the_system_waits_for_cannot_be_forced_and_the_daemon_says_so(here: Here) -> None:
    told = here.force(GUILTY, "--yes")
    stands = here.daemon.get(f"/api/v1/runs/{here.run}/replay")

    assert told.returncode == 2, told.stderr
    assert "and credits-granted came after it all the same: the system waits for it" in " ".join(told.stdout.split())
    assert (stands["finding"]["verdict"], stands["state"]) == ("cannot force", "over")
    assert len(stands["runs"]) < 10  # it did not go on for nothing


def test_an_order_without_a_control_point_is_refused_by_the_daemon_before_anything_is_sent(here: Here) -> None:
    run = kept(here.daemon, "signup-onboarding")
    before = here.daemon.get("/api/v1/runs?limit=50")["runs"]

    told = here.force("active<signup", "--yes", run=run)

    assert told.returncode == 2, told.stderr
    assert "cannot force active<signup" in told.stderr
    assert "follow one another. Put them side by side with `together:`" in " ".join(told.stderr.split())
    assert here.daemon.get("/api/v1/runs?limit=50")["runs"] == before

"""Replays and runs that a running daemon makes, because it has the address at which the journey is called back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.daemon import DaemonProcess, environment, wait_for
from tests.acceptance.paying import Paying, serving_payments
from tests.acceptance.replays_afar import SELDOM, ask, ended, kept, things_daemon
from tests.acceptance.things import Things, serving_things
from tests.servers.postgres import postgres_or_skip

PAID = """
journey: paid
every: 12h
deadline: 60s
system: shop
vars:
  back: "${hook.told.url}"
steps:
  - id: pay
    http: POST /payments
    json: {reference: "${run.namespace}", callback: "${vars.back}"}
    leaves: nothing
    expect: [status == 202]
  - id: told
    hook: POST
    within: 45s after pay
    expect: [message.json.status == "captured"]
"""
SETTINGS = 'systems:\n  shop: {{base: "{url}", writes: true, replay: allow}}\nhooks: {{listen: "{hooks}"}}\n'


class Here:
    """A daemon that is called back by a shop, and commands beside it."""

    def __init__(self, folder: Path, daemon: DaemonProcess, payments: Paying) -> None:
        self.folder, self.daemon, self.payments = folder, daemon, payments

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "synthmon", *words],
            cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    def command_of_its_own(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command with the daemon's own settings and store."""
        return self.command(*words, "--settings", "synthmon.yaml", "--store", f"sqlite:///{self.folder / 'store.db'}")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder, payments = tmp_path_factory.mktemp("afar"), Paying()
    with serving_payments(payments) as (url, hooks), DaemonProcess(folder) as daemon:
        (folder / "probes").mkdir()
        (folder / "probes/paid.yaml").write_text(PAID)
        (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url, hooks=hooks))
        daemon.start()
        yield Here(folder, daemon, payments)


def runs_counted(daemon: DaemonProcess) -> float:
    return daemon.metric("synthmon_runs_total", journey="paid")


def test_a_journey_that_is_called_back_is_replayed_by_the_daemon_that_has_the_address(here: Here) -> None:
    run = kept(here.daemon, "paid")
    counted, asked_before = runs_counted(here.daemon), len(here.payments.asked)

    planned = ask(here.daemon, run[:10])
    asked_for_the_plan = len(here.payments.asked) - asked_before
    begun = ask(here.daemon, run, yes=True, times=2)
    stands = ended(here.daemon, run)
    records = [here.daemon.get(f"/api/v1/runs/{made['run']}") for made in stands["runs"]]

    assert (planned[0], planned[1]["state"], asked_for_the_plan) == (200, "planned", 0)
    assert planned[1]["plan"]["writes"] == ["pay"]
    assert planned[1]["plan"]["lines"][0].startswith(f"replays run {run}")
    assert (begun[0], begun[2]["location"]) == (202, f"/api/v1/runs/{run}/replay")
    assert (stands["state"], stands["said"], stands["finding"]) == ("over", "", None)
    assert [(one["outcome"], one["cause"], one["replay_of"]) for one in records] == [("passed", "replay", run)] * 2
    assert len(here.payments.asked) == asked_before + 2
    assert runs_counted(here.daemon) == counted > 0  # replays count in none of its series


def test_the_command_lets_the_daemon_do_it_and_tells_the_same(here: Here) -> None:
    run = kept(here.daemon, "paid")

    planned_here = here.command_of_its_own("replay", run[:10])
    planned = here.command("replay", run[:10], "--url", here.daemon.url)
    drawn = here.command("replay", run[:10], "--url", here.daemon.url, "--yes")
    told = here.command("replay", run[:10], "--url", here.daemon.url, "--yes", "--json")
    unknown = here.command("replay", "beef" * 8, "--url", here.daemon.url, "--yes")

    assert planned.stdout == planned_here.stdout != ""
    assert "nothing was sent: add --yes to send it" in planned.stderr
    assert (planned.returncode, drawn.returncode, told.returncode, unknown.returncode) == (3, 0, 0, 3), told.stderr
    assert drawn.stdout.startswith(planned.stdout)
    assert f"a replay of run {run}" in drawn.stdout
    assert "✓  told" in drawn.stdout
    (made,) = json.loads(told.stdout)["runs"]
    assert (made["record"]["outcome"], made["record"]["replay_of"]) == ("passed", run)
    assert json.loads(told.stdout)["finding"] is None


def test_beside_the_daemon_nothing_is_sent_that_could_not_hear_its_answer(here: Here) -> None:
    run = kept(here.daemon, "paid")
    asked_before = len(here.payments.asked)

    replayed = here.command_of_its_own("replay", run[:10], "--yes")
    proved = here.command_of_its_own("prove", "paid", "--yes")

    assert (replayed.returncode, proved.returncode) == (3, 3), proved.stderr
    assert "calls cannot be taken on 127.0.0.1:" in replayed.stderr
    assert f"synthmon replay {run[:12]} --url http://" in replayed.stderr
    assert "calls cannot be taken on 127.0.0.1:" in proved.stderr
    assert "stop it while you prove" in proved.stderr
    assert len(here.payments.asked) == asked_before


def test_a_run_beside_the_daemon_is_unknown_with_the_remedy_and_the_remedy_helps(here: Here) -> None:
    alone = here.command_of_its_own("run", "paid")
    helped = here.command("run", "paid", "--url", here.daemon.url, "--json")
    nobody = here.command("run", "no-such", "--url", here.daemon.url)

    assert alone.returncode == 2
    assert "synthmon run NAME --url http://" in " ".join(alone.stdout.split())
    assert helped.returncode == 0, helped.stderr
    assert json.loads(helped.stdout)["outcome"] == "passed"
    assert nobody.returncode == 3
    assert "No such journey" in nobody.stderr


def test_a_second_replay_is_refused_while_one_is_under_way_and_sigterm_takes_back_what_it_made(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        _, run = things_daemon(tmp_path, url, daemon)
        things.slowest_s = 2.0

        begun = ask(daemon, run, yes=True, times=10)
        second = ask(daemon, run, yes=True)
        wait_for(things.left)
        code = daemon.stop(signal.SIGTERM)

        assert (begun[0], second[0]) == (202, 409)
        assert "another replay is going on" in second[1]["detail"]
        assert int(second[2]["retry-after"]) > 0
        assert code == 0
        assert not things.left()


def test_a_reload_does_not_break_a_replay_until_it_takes_the_permission_away(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        scene, run = things_daemon(tmp_path, url, daemon)
        things.slowest_s = 0.5
        ask(daemon, run, yes=True, times=15)

        daemon.post("/api/v1/reload")
        before = len(daemon.get(f"/api/v1/runs/{run}/replay")["runs"])
        wait_for(lambda: len(daemon.get(f"/api/v1/runs/{run}/replay")["runs"]) >= before + 2)
        scene.lay_out(url, more="", journey=SELDOM)
        daemon.post("/api/v1/reload")
        stands = ended(daemon, run)
        refused = ask(daemon, run, yes=True)

        assert {made["outcome"] for made in stands["runs"]} == {"passed"}, stands
        assert stands["state"] == "stopped", stands
        assert "Add `replay: allow` to the system" in stands["said"]
        assert (refused[0], refused[1]["title"]) == (403, "Not allowed")
        assert not things.left()


def test_with_history_and_leases_in_postgresql_a_replay_passes_and_leaves_no_debt(tmp_path: Path) -> None:
    things = Things()
    with postgres_or_skip() as server, serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        _, run = things_daemon(tmp_path, url, daemon, "--store", server.url())
        things.slowest_s = 1.0

        begun, second = ask(daemon, run, yes=True, times=2), ask(daemon, run, yes=True)
        stands = ended(daemon, run)
        again = ask(daemon, run, yes=True, same_keys=True)
        with_old_keys = ended(daemon, run)
        debts = daemon.get("/api/v1/debts")["debts"]
        kept_as = [daemon.get(f"/api/v1/runs/{made['run']}") for made in stands["runs"]]

        assert (begun[0], second[0]) == (202, 409)
        assert "another replay is going on" in second[1]["detail"]
        assert [(one["outcome"], one["replay_of"]) for one in kept_as] == [("passed", run)] * 2
        assert {debt["state"] for one in kept_as for debt in one["debts"]} == {"closed"}
        assert (again[0], with_old_keys["state"]) == (202, "over")
        assert [made["outcome"] for made in with_old_keys["runs"]] == ["passed"], with_old_keys
        assert debts == []
        assert not things.left()

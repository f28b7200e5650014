"""What a run left behind: seen, bounded, repaid, forgotten only with a reason, and found again without a journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from synthmon.core.namespaces import namespace
from tests.acceptance.daemon import DaemonProcess, wait_for
from tests.acceptance.things import Things, serving_things

MAKING = """
journey: making
every: 1s
deadline: 20s
system: things
steps:
  - id: one
    http: POST /things
    json: {reference: "${run.namespace}"}
    expect:
      - status == 201
    save:
      id: body.id
    undo:
      http: DELETE /things/${one.id}
      find:
        http: GET /things
        params: {reference: "${run.namespace}"}
        save:
          id: body.things[0].id
      sweep:
        http: GET /things
        each: body.things
        tag: item.reference
        at: timestamp(item.created)
        save:
          id: item.id
      ttl: 10m
    repeatable: true
"""
READING = """
journey: reading
every: 1s
system: things
steps:
  - id: look
    http: GET /things/none
    expect:
      - status == 404
"""
SETTINGS = """
instance: acceptance
systems:
  things: {{base: "{url}", writes: true, budget: {{debts: 3}}}}
"""


def lay_out(folder: Path, url: str) -> None:
    (folder / "probes").mkdir()
    (folder / "probes/making.yaml").write_text(MAKING)
    (folder / "probes/reading.yaml").write_text(READING)
    (folder / "synthmon.yaml").write_text(SETTINGS.format(url=url))


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    options = ["--settings", str(folder / "synthmon.yaml"), "--store", f"sqlite:///{folder / 'store.db'}"]
    environ = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    asked = [sys.executable, "-m", "synthmon", words[0], *options, *words[1:]]
    return subprocess.run(asked, cwd=folder, env=environ, capture_output=True, text=True, timeout=180, check=False)


def orphans(folder: Path, daemon: DaemonProcess, things: Things) -> None:
    """Let a daemon die while it has something in the target."""
    things.slowest_s = 0.5
    daemon.start()
    wait_for(lambda: len(things.left()) > 0)
    daemon.kill()
    things.slowest_s = 0.0


def test_over_the_budget_nothing_is_created_reads_go_on_and_after_a_restart_all_is_repaid(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        daemon.start()
        wait_for(lambda: len(things.made) > 0)
        things.fault = "error"

        wait_for(lambda: daemon.metric("synthmon_debts_over_budget", system="things") == 1)
        skipped = daemon.metric("synthmon_run_reasons_total", journey="making", reason="debts")
        made = len(things.made)
        wait_for(lambda: daemon.metric("synthmon_run_reasons_total", journey="making", reason="debts") >= skipped + 3)
        told, page = daemon.get("/api/v1/debts"), daemon.text("/debts")

        assert len(things.made) == made, "something was created over the budget"
        assert told["budget"]["systems"]["things"]["over"] is True
        assert told["budget"]["systems"]["things"]["open"] == len(told["debts"]) > 3
        assert all(debt["by_hand"].split()[0] in ("DELETE",) for debt in told["debts"])
        assert "Nothing is created any more" in page
        assert daemon.metric("synthmon_run_reasons_total", journey="reading", reason="debts") == 0
        daemon.kill()
        things.fault = ""
        daemon.start()
        daemon.post("/api/v1/journeys/making/pause")
        wait_for(lambda: daemon.metric("synthmon_open_debts") == 0 and not things.left())
        wait_for(lambda: daemon.metric("synthmon_debts_over_budget", system="things") == 0)


def test_debts_are_listed_paid_and_forgotten_without_a_daemon(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        orphans(tmp_path, daemon, things)
        asked = len(things.requests)

        listed = json.loads(command(tmp_path, "debts", "--json").stdout)
        unsaid = command(tmp_path, "debts", "--forget", listed[0]["id"])
        forgotten = command(tmp_path, "debts", "--forget", listed[0]["id"][:12], "--because", "done by hand, OPS-7")
        after = json.loads(command(tmp_path, "debts", "--json").stdout)
        sent = len(things.requests) - asked
        daemon.start()
        while_it_runs = command(tmp_path, "debts", "--pay")
        daemon.kill()

    assert {debt["journey"] for debt in listed} == {"making"}
    assert listed[0]["by_hand"].startswith(f"DELETE {url}/things/")
    assert listed[0]["tag"].startswith("syn-")
    assert (sent, unsaid.returncode) == (0, 3)
    assert "--because" in unsaid.stderr
    assert forgotten.returncode == 0, forgotten.stderr
    assert "a debt was forgotten" in forgotten.stderr
    assert "OPS-7" in forgotten.stderr
    assert {debt["id"] for debt in after} == {debt["id"] for debt in listed[1:]}
    assert while_it_runs.returncode == 3
    assert "a daemon has this journal" in while_it_runs.stderr


def test_pay_takes_everything_back_and_says_how_much(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        orphans(tmp_path, daemon, things)
        things.fault = "error"
        refused = command(tmp_path, "debts", "--pay", "--json")
        things.fault = ""

        paid = command(tmp_path, "debts", "--pay")

    (left,) = json.loads(refused.stdout)[:1]
    assert refused.returncode == 1
    assert left["tries"] == 1
    assert "500" in left["last_fault"]
    assert (paid.returncode, things.left()) == (0, {}), paid.stderr
    assert "0 left" in paid.stderr
    _every_clean_up_bears_the_marks(things)


def _every_clean_up_bears_the_marks(things: Things) -> None:
    requests: list[tuple[str, str, dict[str, Any]]] = list(things.requests)
    for method, path, headers in requests:
        run = headers["x-correlation-id"]
        assert headers["traceparent"].split("-")[1] == run, (method, path)
        assert "synthetic_request=true" in headers["baggage"]
        assert f"synthmon.run={run}" in headers["baggage"]
        assert "synthetic" in headers["user-agent"]
        if method != "GET":
            assert headers["idempotency-key"].startswith(run)
    assert any(method == "DELETE" for method, _, _ in requests)


def test_with_the_journal_lost_a_sweep_finds_all_orphans_and_touches_nothing_else(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        for _ in range(2):
            orphans(tmp_path, daemon, things)
        for file in tmp_path.glob("store-journal*"):
            file.unlink()
        lost = set(things.left())
        for n in range(500):
            things.there[f"alike{n}"] = _look_alike(n)

        dry = command(tmp_path, "sweep", str(tmp_path / "probes"), "--dry-run", "--json")
        after_dry = set(things.left())
        done = command(tmp_path, "sweep", str(tmp_path / "probes"), "--json")

    assert lost
    assert (dry.returncode, done.returncode) == (0, 0), dry.stderr + done.stderr
    assert json.loads(dry.stdout)[0]["counts"]["orphan"] == len(lost)
    assert lost <= after_dry
    assert (
        json.loads(done.stdout)[0]["counts"] | {"removed": len(lost), "look-alike": 500, "left": 0}
        == (json.loads(done.stdout)[0]["counts"])
    )
    assert set(things.left()) == {f"alike{n}" for n in range(500)}
    _every_clean_up_bears_the_marks(things)


def test_a_sweep_leaves_alone_what_the_journal_knows(tmp_path: Path) -> None:
    things = Things()
    with serving_things(things) as url, DaemonProcess(tmp_path) as daemon:
        lay_out(tmp_path, url)
        orphans(tmp_path, daemon, things)
        owed = set(things.left())

        done = command(tmp_path, "sweep", "things", "--json")

    assert json.loads(done.stdout)[0]["counts"]["owed"] == len(owed)
    assert set(things.left()) == owed


def _look_alike(n: int) -> str:
    ours = namespace(f"{n:032x}", "acceptance", "")
    return (
        f"syn-{n:016x}",
        f"syn-{n:024x}",
        f"{ours}-copy",
        ours[:-1],
        namespace(f"{n:032x}", "another", ""),
        namespace(f"{n:032x}", "acceptance", "us"),
        "a customer's own words",
    )[n % 7]

"""`synthmon prove`: asks before it writes, tells what was missed, and cleans up when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner

from synthmon.cli.main import app
from tests.runtime.proved_shop import SECRET, SmallShop, journey, small_shop

WAITS_S = 60.0


@pytest.fixture
def shop(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallShop]:
    monkeypatch.setenv("PROVED_TOKEN", SECRET)
    monkeypatch.chdir(tmp_path)
    with small_shop(httpserver, tmp_path) as made:
        yield made


def prove(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["prove", "probe.yaml", "--store", "memory:", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_a_false_green_ends_with_one_and_its_remedy(shop: SmallShop) -> None:
    shop.load(journey("weak"))

    code, said, plan = prove("--yes", "--fault", "drop")

    assert code == 1, plan
    assert "weak: 1 faults: 1 missed" in said
    assert "read back what order made" in said.replace("\n", " ")
    assert "1 writes at most" in plan
    assert "1/1  order  drop: it never takes effect, or never comes  missed" in plan  # when its run was over


def test_as_json_every_fault_is_there_with_its_end(shop: SmallShop) -> None:
    shop.load(journey("weak"))

    code, said, plan = prove("--yes", "--json", "--fault", "body")

    assert code == 1, plan
    (proof,) = json.loads(said)["proofs"]
    missed = [one for one in proof["trials"] if one["finding"] == "missed"]
    assert {"at": "order", "fault": "body", "does": "currency changed", "by_rule": True}.items() <= missed[-1].items()
    assert missed[-1]["remedy"].startswith('add `- body.currency == "EUR"` to ')
    assert len(proof["good_runs"]) == 2
    assert proof["ends"]["missed"] == len(missed)
    assert sum(proof["ends"].values()) == len(proof["trials"])
    assert all((one["took_s"] > 0) is bool(one["run"]) for one in proof["trials"])


def test_without_leave_nothing_is_written_beyond_the_good_runs(shop: SmallShop) -> None:
    shop.load(journey("weak"))

    code, _, said = prove("--fault", "drop", "--fault", "delay")

    assert code == 2
    assert "`--yes`" in said
    assert shop.ever == 2
    assert shop.orders == {}


def test_one_that_is_red_without_a_fault_is_said_with_its_reason(shop: SmallShop) -> None:
    shop.load(journey("wrong", more='      - body.amount == "13.00"'))

    code, _, said = prove("--yes")

    assert code == 2
    assert "cannot prove: wrong is failed without a fault: order: " in said


def test_a_fault_that_does_not_exist_is_refused(shop: SmallShop) -> None:
    shop.load(journey("weak"))

    code, _, said = prove("--fault", "drip")

    assert code == 3
    assert "There are drop, delay, error, body, duplicate, reorder, stale." in said.replace("\n", " ")
    assert shop.log == []


def test_a_journey_that_may_not_write_is_invalid_here_too(shop: SmallShop) -> None:
    shop.load(journey("weak"))
    settings = shop.folder / "synthmon.yaml"
    settings.write_text(settings.read_text().replace("writes: true", "writes: false"))

    code, _, _ = prove("--yes")

    assert code == 3
    assert shop.log == []


def test_stopped_in_the_middle_it_takes_back_what_it_made(shop: SmallShop) -> None:
    slow = """
  - id: waiting
    http: GET /orders
    params: {tag: "${vars.tag}"}
    within: 60s after order
    expect: [status == 200, body.count == 1, 'body.orders[0].currency == "EUR"']
"""
    shop.load(journey("slow", slow).replace("deadline: 20s", "deadline: 90s"))
    command = [sys.executable, "-m", "synthmon", "prove", "probe.yaml", "--yes", "--store", "memory:"]
    with (shop.folder / "said.txt").open("w") as said:
        process = subprocess.Popen(
            [*command, "--fault", "error", "--every-run"], cwd=shop.folder, env={**os.environ}, stdout=said, stderr=said
        )
        try:
            until_s = time.monotonic() + WAITS_S
            # the third order is that of the run whose looks are answered 500: it waits for a minute
            while shop.ever < 3 and time.monotonic() < until_s and process.poll() is None:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            code = process.wait(WAITS_S)
        finally:
            process.kill()
            process.wait()

    told = (shop.folder / "said.txt").read_text()
    assert shop.ever == 3, told
    assert code == 2, told
    assert "stopped: " in told
    assert shop.orders == {}

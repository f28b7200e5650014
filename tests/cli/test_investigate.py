"""`synthmon investigate`, `compare` and `suspects`: what is read at three in the morning."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synthmon.cli.main import app
from synthmon.core.evidence import Wanted
from synthmon.core.fields import from_fields
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, ClauseRecord, Record, StepRecord
from synthmon.store.open import open_history, open_journal
from tests.core.told import STARTED, told

LOST, SWAPPED, OTHER = "aa11" * 8, "bb22" * 8, "cc33" * 8
NAMES = "placed paid booked shipped"


def run_of(names: str, number: int, run_id: str = "", **more: Any) -> Record:
    """One that happened in its own slot."""
    record = told(names, run_id=run_id or f"{number:032x}")
    return replace(record, slot=STARTED + timedelta(minutes=number), **more)


def failed(names: str, number: int, run_id: str, reason: Reason) -> Record:
    record = run_of(names, number, run_id, outcome=Outcome.FAILED, reason=reason, message=f"it was {reason}")
    last = record.evidence[-1].happening
    step = StepRecord("order", "http", "", Outcome.PASSED, attempts=(Attempt("order", "POST /orders → 202", 0.0, 4.0),))
    broken = ClauseRecord("follows: [paid, booked]", "probes/orders.yaml:7", "fail", "paid was not followed", (last,))
    held = ClauseRecord("once: paid", "probes/orders.yaml:8", "pass", "paid happened once")
    return replace(record, steps=(step,), clauses=(broken, held))


async def keep(url: str, records: Sequence[Record]) -> None:
    kept = await open_history(url)
    await kept.save(records)
    await kept.aclose()


async def keep_text(url: str, version: str, text: str) -> None:
    journal = open_journal(url)
    await journal.keep_text(version, text)
    await journal.aclose()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/store.db"
    bad = [
        failed("placed paid", 40, LOST, Reason.LOST),
        failed("placed paid shipped booked", 41, SWAPPED, Reason.ORDER),
        failed("placed paid shipped booked", 42, OTHER, Reason.ORDER),
    ]
    asyncio.run(keep(url, [*(run_of(NAMES, number) for number in range(30)), *bad]))
    return url


def ask(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code, done.output
    return done.output


def test_an_investigation_ends_with_what_it_comes_to_and_what_to_do(store: str) -> None:
    said = ask("investigate", LOST[:12], "--store", store)

    lines = said.splitlines()
    assert lines[0].startswith("✗ orders  failed (lost)")
    assert any(line.split() == "+0 ms synthmon order: POST /orders → 202 4 ms".split() for line in lines)
    missed = next(at for at, line in enumerate(lines) if "no booked (shop): 30 of 30 good runs have it" in line)
    assert "10 ms after paid" in lines[missed]
    assert "✗  follows: [paid, booked]" in lines[missed - 1]
    assert "paid" in lines[missed - 2]
    assert "✗ follows: [paid, booked]: paid was not followed  orders.yaml:7" in said
    assert "✓ 1 of 2 clauses held" in said
    assert "What differs from 30 good runs (version v1)" in said
    assert "booked did not happen  (0 of 30 good)  ← first divergence" in said
    assert any(line.split()[1:7] == "shipped<booked 2 of 3 0 of".split() for line in lines)
    verdict = next(line for line in lines if line.startswith("Verdict: "))
    assert "booked (shop) did not happen, nor 1 more that comes after it: the chain ends behind paid" in verdict
    assert lines[-1] == "  synthmon guardrail aa11aa11aa11 --suspect 'missing(booked)'"


def test_a_swapped_pair_is_offered_for_a_replay(store: str) -> None:
    said = ask("investigate", SWAPPED, "--store", store)

    assert "shipped (shop) came 10 ms before booked (shop): nothing made it wait" in said
    assert "in none of 30 good runs, and in 2 of 3 failing ones (suspect 1)" in said
    assert "synthmon replay bb22bb22bb22 --order 'shipped<booked'" in said


def test_an_investigation_as_json_says_the_same(store: str) -> None:
    found = json.loads(ask("investigate", LOST, "--store", store, "--json"))

    assert found["verdict"].startswith("booked (shop) did not happen")
    assert found["comparison"]["first"]["predicate"] == "missing(booked)"
    assert [line["form"] for line in found["story"]] == ["told", "told", "told", "missed", "missed"]
    assert found["suspects"]["bad"] == 3


def test_the_order_of_neighbours_is_unknown_where_clocks_may_differ(tmp_path: Path, store: str) -> None:
    apart = told(NAMES, Outcome.FAILED, "dd44" * 8, paid={"clock": "elsewhere"})
    asyncio.run(keep(store, [replace(apart, slot=STARTED + timedelta(hours=2))]))
    (tmp_path / "synthmon.yaml").write_text("evidence:\n  logs: {jsonl: '*.jsonl', skew: 35ms}\n")

    assert "⇅  order unknown (clock ±35 ms)" in ask("investigate", "dd44dd44", "--store", store)


def test_a_comparison_shows_the_first_divergence_and_where_the_time_went(store: str) -> None:
    said = ask("compare", SWAPPED[:8], "--store", store, "--good", "20")

    assert "What differs from 20 good runs (version v1)" in said
    assert "shipped came before booked  (0 of 20 good)  ← first divergence" in said
    assert "Where the time went, and what is usual (median)" in said
    assert json.loads(ask("compare", SWAPPED, "--store", store, "--json"))["good"] == 30


def test_a_run_is_compared_with_another(store: str) -> None:
    said = ask("compare", LOST, SWAPPED, "--store", store)

    assert "What differs from the other run" in said
    assert "shipped did not happen  ← first divergence" in said


def test_suspects_are_ranked_and_say_on_how_many_runs_they_are_based(store: str) -> None:
    said = ask("suspects", "orders", "--store", store, "--limit", "1")

    assert said.splitlines()[0] == "Suspects of orders, based on 3 failing runs and 30 good ones of version v1"
    assert said.splitlines()[2].split()[1] == "shipped<booked"
    assert len(said.splitlines()) == 3
    assert json.loads(ask("suspects", "orders", "--store", store, "--json"))["enough"] is True


def test_one_failing_run_is_not_enough(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    asyncio.run(keep(url, [run_of(NAMES, 1), failed("placed paid", 2, LOST, Reason.LOST)]))

    assert "not enough yet: 1 failing run and 1 good ones" in ask("suspects", "orders", "--store", url)
    assert "Suspects of" not in ask("investigate", LOST, "--store", url)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("compare", "feed12"), "there is no run feed12; `synthmon history` lists what there is"),
        (("compare", LOST, "feed12"), "there is no run feed12"),
        (("investigate", "feed12"), "no source of evidence can tell of the past"),
        (("investigate", "ORD-1", "--since", "later"), "--since later: "),
        (("investigate", "ORD-1", "--wait", "5"), "--wait 5: "),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_remedy(store: str, arguments: tuple[str, ...], said: str) -> None:
    assert said in ask(*arguments, "--store", store, code=3)


def test_without_a_history_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    ask("investigate", "feed12", code=3)
    ask("suspects", "orders", code=3)

    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_request_is_found_in_the_logs_beside_the_good_runs_of_a_journey(
    tmp_path: Path, store: str
) -> None:
    now = datetime.now(UTC)
    for number, step in enumerate(("placed", "paid")):
        at = (now - timedelta(seconds=30 - number)).isoformat()
        with (tmp_path / "shop.jsonl").open("a") as log:
            log.write(json.dumps({"time": at, "step": step, "service": "shop", "order": "ORD-77"}) + "\n")
    (tmp_path / "synthmon.yaml").write_text("evidence:\n  logs: {jsonl: '*.jsonl', lag: 1ms}\n")
    before = (tmp_path / "store.db").read_bytes()

    said = ask("investigate", "ORD-77", "--like", "orders", "--since", "10m", "--store", store)

    assert said.startswith("ORD-77  2 records, not a run of synthmon")
    assert "booked (shop) did not happen" in said
    assert "synthmon replay" not in said
    assert (tmp_path / "store.db").read_bytes() == before


LIKE = """
journey: orders
every: 1m
steps:
  - {id: order, http: GET https://shop.example.com/orders, expect: [status == 200]}
events:
  paid: {from: logs, step: paid}
  shipped: {from: logs, step: shipped}
verify:
  within: 5s
  expect:
    - before: [paid, shipped]
    - once: paid
    - happens: paid
      within: 10s after order
"""


def test_somebody_elses_request_is_held_to_the_clauses_of_the_journey(tmp_path: Path, store: str) -> None:
    now = datetime.now(UTC)
    for number, step in enumerate(("placed", "shipped", "paid")):
        at = (now - timedelta(seconds=60 - number)).isoformat()
        with (tmp_path / "shop.jsonl").open("a") as log:
            log.write(json.dumps({"time": at, "step": step, "service": "shop", "order": "ORD-78"}) + "\n")
    (tmp_path / "synthmon.yaml").write_text("evidence:\n  logs: {jsonl: '*.jsonl', lag: 1ms}\n")
    asyncio.run(keep_text(store, "v1", json.dumps({"file": "orders.yaml", "text": LIKE})))
    asked = ("investigate", "ORD-78", "--like", "orders", "--since", "10m", "--store", store)

    said, found = ask(*asked), json.loads(ask(*asked, "--json"))

    assert "before: [paid, shipped]: would have failed: shipped at " in said
    assert "1 of its clauses were not judged: they are about our own steps" in said
    assert "1 of 2 clauses held" in said
    assert {clause["text"]: clause["verdict"] for clause in found["clauses"]} == {
        "before: [paid, shipped]": "fail",
        "once: paid": "pass",
    }


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp\u2066\r"


@pytest.mark.parametrize(
    "command", [["investigate"], ["show"], ["compare"], ["show", "--json"], ["investigate", "--json"]]
)
def test_what_others_wrote_commands_no_terminal_and_begins_no_line(store: str, command: list[str]) -> None:
    record = failed("placed paid", 50, "dd44" * 8, Reason.LOST)
    forged = f"paid{HOSTILE}\n     +0 ms  shop  forged by a log line"
    names = dict.fromkeys(("step", "status", "service", "dependency", "workflow", "id", forged, "error"), forged)
    told = names | {"time": record.evidence[-1].at_ns + 1, "correlationId": record.run_id}
    odd = from_fields("logs", told, Wanted(record.run_id, record.run_id, 0), 0, {})
    assert odd is not None
    broken = replace(record.clauses[0], text=f"a{HOSTILE}", said=f"b{HOSTILE}")
    asyncio.run(
        keep(store, [replace(record, evidence=(*record.evidence, odd), clauses=(broken,), message=f"m{HOSTILE}")])
    )

    done = CliRunner().invoke(app, [command[0], "dd44dd44", "--store", store, *command[1:]])

    assert done.exit_code in (0, 1), done.output
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", done.output)
    assert not re.search("^ +.0 ms  shop  forged", done.output, re.MULTILINE)
    if "--json" in command:
        assert json.loads(done.stdout)  # the same texts, written with escapes

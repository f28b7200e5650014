"""`synthmon guardrail`: what it writes is loaded, judged by promtool, and would have caught the run."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from synthmon.cli.main import app
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record, StepRecord
from synthmon.language.load import load
from synthmon.store.open import open_history
from tests.core.told import told
from tests.servers.process import program

PROBE = """\
journey: orders
title: An order is booked
owner: shop-oncall
every: 15s
system: shop
events:
  a: {from: logs, step: a, status: ok}
steps:
  - id: look
    http: GET /
    expect:
      - status == 200
verify:
  within: 2s
  expect:
    - happens: a
"""
SETTINGS = """\
systems:
  shop: {base: "http://127.0.0.1:1", networks: [127.0.0.0/8]}
evidence:
  logs: {jsonl: "*.jsonl"}
store: sqlite:///store.db
"""
STEP = StepRecord("look", "http", "", Outcome.PASSED)
BAD = replace(told("a c b", Outcome.FAILED, "b" * 32), steps=(STEP,))


def good(count: int, names: str = "a b c") -> list[Record]:
    return [
        replace(told(names, run_id=f"{n:032x}"), slot=BAD.slot - timedelta(minutes=n), steps=(STEP,))
        for n in range(1, count + 1)
    ]


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthmon.yaml").write_text(SETTINGS)
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes/orders.yaml").write_text(PROBE)
    return tmp_path / "probes/orders.yaml"


def keep(records: Sequence[Record]) -> None:
    async def save() -> None:
        history = await open_history("sqlite:///store.db")
        await history.save(records)
        await history.aclose()

    asyncio.run(save())


def ask(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["guardrail", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_a_suspect_becomes_a_clause_with_alerts_that_promtool_accepts(probe: Path) -> None:
    keep([BAD, *good(60)])

    told = json.loads(ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--json"))

    assert told["backtest"]["bad"]["verdict"] == "fail"
    assert (told["backtest"]["passed"], told["backtest"]["wrong"]) == (50, [])
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        done = subprocess.run(
            [program("promtool"), *command], cwd="guard", capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert probe.read_text() == PROBE


def test_the_patch_is_the_probe_with_the_clause(probe: Path) -> None:
    keep([BAD, *good(60)])
    ask("bbbbbb", "--suspect", "c<b", "--out", "guard")

    patched = subprocess.run(
        ["patch", "-p1", "-d", str(probe.parent), "-i", str(Path("guard/probe.patch").absolute())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert patched.returncode == 0, patched.stdout
    loaded = load(["probes"], ["synthmon.yaml"])
    assert not loaded.errors
    clause = loaded.journeys[0].promises.clauses[-1]
    assert (clause.word, clause.events, clause.name) == ("before", ("b", "c"), "b-before-c")


def test_apply_changes_the_probe(probe: Path) -> None:
    keep([BAD, *good(20)])

    ask("bbbbbb", "--suspect", "c<b", "--name", "Paid first", "--apply")

    assert "name: paid-first" in probe.read_text()
    assert not load(["probes"], ["synthmon.yaml"]).errors


@pytest.mark.parametrize(
    ("suspect", "names", "clause"),
    [
        ("missing(c)", "a b", ("happens", ("c",))),
        ("dup(c)", "a b c c", ("once", ("c",))),
        ("slow(c)", "a b " + "x " * 300 + "c", ("happens", ("c",))),
    ],
)
def test_every_form_of_suspect_has_its_clause(
    probe: Path, suspect: str, names: str, clause: tuple[str, tuple[str, ...]]
) -> None:
    keep([replace(told(names, Outcome.FAILED, "b" * 32), steps=(STEP,)), *good(20)])

    ask("bbbbbb", "--suspect", suspect, "--apply")

    found = load(["probes"], ["synthmon.yaml"]).journeys[0].promises.clauses[-1]
    assert (found.word, found.events) == clause


def test_a_retry_becomes_a_clause_about_second_attempts(probe: Path) -> None:
    tried = told("a b c", Outcome.FAILED, "b" * 32)
    again = replace(tried.evidence[1], attempt=2, at_ns=tried.evidence[1].at_ns + 1)
    keep([replace(tried, steps=(STEP,), evidence=(*tried.evidence, again)), *good(20)])

    ask("bbbbbb", "--suspect", "retry(b)", "--apply")

    found = load(["probes"], ["synthmon.yaml"]).journeys[0].promises
    assert (found.clauses[-1].word, found.clauses[-1].events) == ("never", ("b_again",))


def test_a_suspect_that_good_runs_have_too_is_refused(probe: Path) -> None:
    keep([BAD, *good(60, "a c b")])

    told = ask("bbbbbb", "--suspect", "c<b", "--out", "guard", code=1)

    assert "The good run 000000000000 would fail" in told
    assert not Path("guard").exists()


def test_a_suspect_that_the_bad_run_does_not_have_is_refused(probe: Path) -> None:
    keep([BAD, *good(60)])

    assert "The bad run would be pass" in ask("bbbbbb", "--suspect", "b<a", code=1).replace("\n", " ")


def test_too_few_good_runs_guard_nothing(probe: Path) -> None:
    keep([BAD, *good(9)])

    assert "only 9 good runs" in ask("bbbbbb", "--suspect", "c<b", code=1)


def test_a_clause_that_the_probe_has_gets_alerts_and_no_patch(probe: Path) -> None:
    probe.write_text(PROBE.replace("    - happens: a\n", "    - name: booked\n      happens: b\n"))
    probe.write_text(probe.read_text().replace("step: a, status: ok}", "step: a}\n  b: {from: logs, step: b}"))
    probe.write_text(probe.read_text().replace("  a: {from: logs, step: a}\n", ""))
    keep([replace(told("a c", Outcome.FAILED, "b" * 32), steps=(STEP,)), *good(20)])

    ask("bbbbbb", "--clause", "booked", "--out", "guard")

    assert sorted(file.name for file in Path("guard").iterdir()) == ["RUNBOOK.md", "rules.yml", "rules_test.yml"]
    assert 'clause="booked"' in Path("guard/rules.yml").read_text().replace("\\", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bbbbbb"], "say what is to be guarded"),
        (["bbbbbb", "--suspect", "c<b", "--clause", "x"], "say what is to be guarded"),
        (["bbbbbb", "--suspect", "c>b"], "is no predicate"),
        (["bbbbbb", "--suspect", "z<b"], "no run tells of 'z'"),
        (["bbbbbb", "--clause", "gone"], "orders has no clause 'gone'; there are: happens: a"),
        (["cccccc", "--suspect", "c<b"], "there is no run cccccc"),
        (["bbbbbb", "--suspect", "c<b", "--probes", "."], "the probe"),
    ],
)
def test_what_cannot_be_guarded_is_told_with_the_remedy(probe: Path, arguments: list[str], said: str) -> None:
    keep([BAD, *good(20)])
    if arguments[-1] == ".":
        probe.unlink()
        said = "there is no journey 'orders'"

    assert said in ask(*arguments, code=3).replace("\n", " ")

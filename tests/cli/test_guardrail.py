"""`synthmon guardrail`: what it writes is loaded, judged by promtool, and would have caught the run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
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


def patched(probe: Path) -> bytes:
    """What `patch` makes of the probe, by the command that is printed."""
    done = subprocess.run(
        [program("patch"), "--binary", "-o", "patched.yaml", str(probe), "guard/probe.patch"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return Path("patched.yaml").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        PROBE.rstrip(),
        PROBE.replace("\n", "\r\n"),
        PROBE + "# a\u2028# b\x85# c\n",
        "\ufeff" + PROBE,
        PROBE + "  # \t\n\n",
    ],
    ids=["no newline at the end", "carriage returns", "other line separators", "byte order mark", "blanks at the end"],
)
def test_the_patch_gives_what_apply_writes_to_the_byte(probe: Path, text: str) -> None:
    probe.write_bytes(text.encode())
    keep([BAD, *good(20)])

    ask("bbbbbb", "--suspect", "c<b", "--out", "guard")
    by_patch = patched(probe)
    ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply")

    assert by_patch == probe.read_bytes()
    assert not load(["probes"], ["synthmon.yaml"]).errors


def test_the_second_time_it_says_that_it_is_there_already(probe: Path) -> None:
    keep([BAD, *good(20)])
    ask("bbbbbb", "--suspect", "c<b", "--name", "Paid first", "--out", "guard", "--apply")
    once = probe.read_text()

    told = ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply", code=3)

    assert "orders promises that already: paid-first. --clause paid-first writes its alerts." in told.replace("\n", " ")
    assert probe.read_text() == once
    ask("bbbbbb", "--clause", "paid-first", "--out", "guard")


def test_a_runbook_that_was_filled_in_stays(probe: Path) -> None:
    keep([BAD, *good(20)])
    ask("bbbbbb", "--suspect", "c<b", "--out", "guard")
    Path("guard/RUNBOOK.md").write_text("Call Ada.")
    Path("guard/rules.yml").write_text("old")

    ask("bbbbbb", "--suspect", "c<b", "--out", "guard")

    assert Path("guard/RUNBOOK.md").read_text() == "Call Ada."
    assert "SynthmonGuardrailViolated" in Path("guard/rules.yml").read_text()


def test_a_link_stays_a_link_and_who_may_read_the_probe_stays_as_it_was(probe: Path) -> None:
    keep([BAD, *good(20)])
    real = Path("kept.yaml").absolute()
    probe.rename(real)
    real.chmod(0o640)
    probe.symlink_to(real)

    ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply")

    assert probe.is_symlink()
    assert "b-before-c" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    assert {file.name for file in real.parent.iterdir() if file.name.startswith(".")} == set()


def in_a_process(*before: str) -> subprocess.CompletedProcess[str]:
    """The command, begun by another one."""
    asked = ["guardrail", "bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply"]
    command = [*before, sys.executable, "-m", "synthmon", *asked]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_probe_that_may_not_be_written_is_as_it_was_and_the_patch_is_named(probe: Path) -> None:
    keep([BAD, *good(20)])
    probe.chmod(0o444)

    # root may write what nobody may write, unless it gives that up
    done = in_a_process(*([program("setpriv"), "--bounding-set=-dac_override"] if os.geteuid() == 0 else []))

    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert "orders.yaml is as it was: [Errno 13] Permission denied. To change it by hand: patch --binary" in said
    assert probe.read_text() == PROBE
    assert patched(probe) != PROBE.encode()


def test_a_probe_that_cannot_be_written_whole_is_as_it_was(probe: Path) -> None:
    long = PROBE + "".join(f"# this is line {n} of a long comment\n" for n in range(8000))
    probe.write_text(long)
    keep([BAD, *good(20)])

    done = in_a_process(program("prlimit"), "--fsize=200000")

    assert done.returncode == 1
    assert "is as it was: [Errno 27] File too large" in " ".join(done.stderr.split())
    assert probe.read_text() == long
    assert [file.name for file in probe.parent.iterdir()] == ["orders.yaml"]


@pytest.mark.parametrize(
    ("step", "event"),
    [
        ("in", "event_in"),
        ("null", "event_null"),
        ("1st", "event_1st"),
        ("größe", "gr_e"),
        ("a", "a_2"),
        ("日本", "event"),
    ],
)
def test_an_event_has_a_name_that_the_probe_can_hold(probe: Path, step: str, event: str) -> None:
    probe.write_text(PROBE.replace("step: a, status: ok}", "step: other}"))
    keep([replace(told(f"{step} b", Outcome.FAILED, "b" * 32), steps=(STEP,)), *good(20, f"b {step}")])

    ask("bbbbbb", "--suspect", f"{step}<b", "--apply")

    loaded = load(["probes"], ["synthmon.yaml"])
    assert not loaded.errors
    assert loaded.journeys[0].promises.clauses[-1].events == ("b", event)


def test_a_retry_of_a_step_that_begins_with_a_digit_has_a_name_too(probe: Path) -> None:
    tried = told("1b", Outcome.FAILED, "b" * 32)
    again = replace(tried.evidence[0], attempt=2, at_ns=tried.evidence[0].at_ns + 1)
    keep([replace(tried, steps=(STEP,), evidence=(*tried.evidence, again)), *good(20, "1b")])

    ask("bbbbbb", "--suspect", "retry(1b)", "--apply")

    assert load(["probes"], ["synthmon.yaml"]).journeys[0].promises.clauses[-1].events == ("event_1b_again",)


def test_of_a_case_the_alerts_watch_its_own_series_and_the_rest_is_said(probe: Path) -> None:
    probe.write_text(PROBE.replace("system: shop\n", "system: shop\ncases:\n  eu: {x: 1}\n  us: {x: 2}\n"))
    keep([replace(one, journey="orders/eu") for one in (BAD, *good(20))])

    said = ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply").replace("\n", " ")

    assert 'journey="orders/eu", case="eu"' in Path("guard/rules.yml").read_text().replace("\\", "")
    assert "holds for all 2 cases of orders; it was tested on orders/eu alone" in said
    assert [len(one.promises.clauses) for one in load(["probes"], ["synthmon.yaml"]).journeys] == [2, 2]


def test_a_clause_named_like_a_path_writes_below_this_folder(probe: Path) -> None:
    probe.write_text(PROBE.replace("    - happens: a\n", "    - name: ../../up && rm\n      happens: b\n"))
    probe.write_text(probe.read_text().replace("  a: {from: logs, step: a, status: ok}", "  b: {from: logs, step: b}"))
    keep([replace(told("a c", Outcome.FAILED, "b" * 32), steps=(STEP,)), *good(20)])

    ask("bbbbbb", "--clause", "../../up && rm")

    assert Path("guardrail-orders-up-rm/rules.yml").exists()
    assert not list(probe.parents[2].glob("up*"))


def test_a_probe_that_must_be_changed_by_hand_is_told_with_the_lines_and_the_next_command(probe: Path) -> None:
    text = PROBE.replace("  expect:\n    - happens: a\n", "  expect: [{happens: a}]\n")
    probe.write_text(text)
    keep([BAD, *good(20)])

    told = ask("bbbbbb", "--suspect", "c<b", "--out", "guard", "--apply", code=3)

    assert "- name: b-before-c" in told
    assert "Then --clause b-before-c writes its alerts. Nothing was written." in told
    assert probe.read_text() == text
    assert not Path("guard").exists()

"""The alerts of a clause, judged by promtool over what `/metrics` really says."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthmon.core.journey import Journey, Promises
from synthmon.core.run import ClauseRecord, Record
from synthmon.core.sequence.clauses import Clause, Word
from synthmon.language.yaml_text import lines
from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page, Wanted
from synthmon.metrics.guard_rules import BLIND, VIOLATED, guard_rules
from synthmon.metrics.own import Own
from tests.metrics.some import PLACE, a_journey, a_record
from tests.servers.process import program

ODD = [
    "b before a",
    'say "no" \\ and \\\\ twice',
    "two\nlines\tand a tab",
    "{{ .Value }} {{ $labels.journey }} {{",
    "}} $1 ${x} 'quoted' %s",
    'x"} or vector(1) # {',
    "größer 日本 \u2028 \U0001f642",
    "cr\rreturn",
    "- yes: no # not a comment",
    "\x01\x7f",
    " ",
]


def a_guarded(clause: str, name: str = "order/eu", **more: Any) -> Journey:
    promises = Promises((), (Clause(Word.BEFORE, ("a", "b"), PLACE, clause),))
    return a_journey(name, promises=promises, **more)


def write(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_bytes(("\n".join(lines(value)) + "\n").encode())


def promtool(folder: Path, *command: str) -> None:
    done = subprocess.run(
        [program("promtool"), *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def exposed(board: Board) -> dict[str, str]:
    """Series → value, as the page has them."""
    text = b"".join([part async for part in Page(board, Own("1")).render(Wanted())]).decode()
    return dict(re.findall(r"^(synthmon_(?:clause|journey_paused)[^\n]*\}) (\S+)$", text, re.MULTILINE))


async def in_time(journey: Journey, verdicts: Sequence[str], paused: bool = False) -> list[dict[str, str]]:
    """A minute a verdict: what Prometheus would read after each, as `input_series` of promtool."""
    board = Board(home="eu")
    board.load([journey])
    board.pause(journey.name, paused)
    read = [await exposed(board)]
    for verdict in verdicts:
        if verdict:
            board.record(of(journey, verdict), journey)
        read.append(await exposed(board))
    return [{"series": series, "values": " ".join(one[series] for one in read)} for series in read[0]]


def of(journey: Journey, verdict: str) -> Record:
    clauses = tuple(ClauseRecord(clause.text, "", verdict) for clause in journey.promises.clauses)
    return a_record(journey, random.Random(3), clauses=clauses, location="eu")


def fires(series: Sequence[dict[str, str]], *firing: str) -> dict[str, Any]:
    """That just these alerts fire at the end; their labels and words are judged elsewhere."""
    minutes = len(series[0]["values"].split()) - 1
    counted = [
        {
            "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)',
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": "{}", "value": int(name in firing)}],
        }
        for name in (VIOLATED, BLIND)
    ]
    return {"interval": "1m", "input_series": list(series), "promql_expr_test": counted}


def asks(folder: Path, *cases: dict[str, Any]) -> None:
    """Promtool judges `rules.yml` by these."""
    write(folder, "seen.yml", {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases})
    promtool(folder, "test", "rules", "seen.yml")


@pytest.mark.parametrize("name", ["order", "order/eu"])
async def test_an_alert_fires_for_what_the_page_says_of_its_clause_and_for_nothing_else(
    name: str, tmp_path: Path
) -> None:
    journey = a_guarded("paid first", name)
    other = a_guarded("paid first", "order/elsewhere")
    bare = replace(journey, promises=Promises())
    write(tmp_path, "rules.yml", guard_rules(journey, "paid first", 60, "rules.yml", "RUNBOOK.md").rules)

    asks(
        tmp_path,
        fires(await in_time(journey, ["pass"] * 80)),
        fires(await in_time(journey, [*["pass"] * 78, "fail", "pass"]), VIOLATED),  # the first of all
        fires(await in_time(journey, ["unknown", "unknown", "pass"] * 30), BLIND),
        fires(await in_time(journey, [""] * 90), BLIND),
        fires(await in_time(other, ["pass"] * 90), BLIND),
        fires(await in_time(bare, ["pass"] * 90), BLIND),
        fires(await in_time(journey, [""] * 90, paused=True)),
    )


async def test_however_a_clause_is_called_its_alerts_watch_its_series(tmp_path: Path) -> None:
    journeys = [a_guarded(odd, f"order/{n}", title=odd, owner=odd, runbook=odd) for n, odd in enumerate(ODD)]
    made = [guard_rules(journey, odd, 60, "rules.yml", "x") for journey, odd in zip(journeys, ODD, strict=True)]
    for n, one in enumerate(made):
        write(tmp_path, f"{n}.yml", one.rules)
        write(tmp_path, f"{n}_test.yml", {**one.test, "rule_files": [f"{n}.yml"]})
    write(tmp_path, "rules.yml", {"groups": [group for one in made for group in one.rules["groups"]]})

    promtool(tmp_path, "check", "rules", "rules.yml")
    promtool(tmp_path, "test", "rules", *(f"{n}_test.yml" for n in (3, 5, 9)))
    series = [one for journey in journeys for one in await in_time(journey, [*["pass"] * 78, "fail", "pass"])]
    violated = {"expr": f'count(ALERTS{{alertname="{VIOLATED}", alertstate="firing"}})', "eval_time": "80m"}
    violated["exp_samples"] = [{"labels": "{}", "value": len(ODD)}]  # type: ignore[assignment]
    asks(tmp_path, {"interval": "1m", "input_series": series, "promql_expr_test": [violated]})


def test_the_test_of_a_journey_of_every_month_is_done_as_soon_as_that_of_every_minute(tmp_path: Path) -> None:
    intervals_s = [10, 301, 86_400, 31 * 86_400]
    for every_s in intervals_s:
        made = guard_rules(a_guarded("paid first"), "paid first", every_s, f"{every_s}.yml", "RUNBOOK.md")
        write(tmp_path, f"{every_s}.yml", made.rules)
        write(tmp_path, f"{every_s}_test.yml", made.test)
        values = made.test["tests"][0]["input_series"][0]["values"]
        assert int(values.rpartition("x")[2]) <= 200

    promtool(tmp_path, "test", "rules", *(f"{every_s}_test.yml" for every_s in intervals_s))


def test_a_clause_named_like_a_template_is_shown_as_it_is(tmp_path: Path) -> None:
    made = guard_rules(a_guarded("x"), "{{ .Value }}", 60, "rules.yml", "RUNBOOK.md")

    said = json.dumps(made.rules)

    assert "{{ .Value }} is violated" not in said
    assert "{{ .Value }} is violated" in json.dumps(made.test)


async def test_a_reload_keeps_the_counts_of_clauses_that_stay_and_drops_those_that_go() -> None:
    journey = a_guarded("paid first")
    new = Clause(Word.ONCE, ("a",), PLACE, "new")
    more = replace(journey, digest="e" * 64, promises=Promises((), (new, *journey.promises.clauses)))
    less = replace(journey, digest="f" * 64, promises=Promises((), (new,)))
    board = Board(home="eu")
    board.load([journey])
    board.record(of(journey, "fail"), journey)

    board.load([more])
    both = await exposed(board)
    board.record(of(journey, "fail"), journey)  # it began before the reload
    board.load([less])
    board.record(of(journey, "fail"), journey)
    left = await exposed(board)

    assert {value for series, value in both.items() if 'clause="new"' in series} == {"0"}
    assert [value for series, value in both.items() if 'clause="paid first",verdict="fail"' in series] == ["1"]
    assert not [series for series in left if "paid first" in series]
    assert len([series for series in left if 'clause="new"' in series]) == 3

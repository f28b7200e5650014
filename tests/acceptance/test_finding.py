"""A failure that no function shows, from the first red run to the guard that catches the next: one story."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from synthmon.demo.client import break_fault, mend
from tests.acceptance.daemon import environment
from tests.acceptance.shop import lay_out_shipped, open_shop
from tests.servers.process import program

JOURNEY = "signup-onboarding"
GUILTY = "credits-granted<profile-created"
GUARD = "profile-created-before-credits-granted"
GOOD, BAD = 12, 2


def test_an_order_that_no_function_shows_is_found_confirmed_and_guarded(tmp_path: Path) -> None:
    with open_shop(tmp_path / "shop") as shop:
        lay_out_shipped(tmp_path, shop, "15s")
        settings = tmp_path / "synthmon.yaml"
        settings.write_text(settings.read_text().replace("lag: 1s", "lag: 200ms"))
        probe = tmp_path / "probes" / f"{JOURNEY}.yaml"
        probe.write_text(probe.read_text().replace("within: 4s", "within: 2s"))

        def run(times: int) -> list[dict[str, Any]]:
            told = json.loads(ask("run", str(probe), "--times", str(times), "--json", code=None))
            runs: list[dict[str, Any]] = told if isinstance(told, list) else [told]
            return runs

        def ask(*arguments: str, code: int | None = 0) -> str:
            asked = [*arguments, "--settings", str(settings), "--store", f"sqlite:///{tmp_path / 'store.db'}"]
            done = subprocess.run(
                [sys.executable, "-m", "synthmon", *asked],
                cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            assert code is None or done.returncode == code, done.stdout + done.stderr
            return done.stdout

        # given: good runs, and then some in which the order is another one, and every function answers ok
        good = [one for one in run(GOOD) if one["outcome"] in ("passed", "flaky")]
        assert len(good) >= GOOD - 2, "the shop is not well"
        break_fault(shop.url, "swap-order", 1.0)
        bad = run(BAD)

        # then: the shipped journey is red, and no function has said a word
        assert [one["outcome"] for one in bad] == ["failed"] * BAD
        assert {told["status"] for one in bad for told in one["evidence"]} <= {"ok", "retry"}

        # the pair is named first
        suspects = json.loads(ask("suspects", JOURNEY, "--json"))["suspects"]
        assert _text(suspects[0]) == GUILTY, suspects[:3]
        red = bad[-1]["run_id"]
        assert re.search(r"credits-granted \(credits\) came .* before profile-created", ask("investigate", red))

        # forced, it fails; forced the other way round, it does not
        confirmed = json.loads(ask("replay", red, "--order", GUILTY, "--yes", "--json"))
        assert confirmed["finding"]["verdict"] == "confirmed", confirmed["finding"]
        assert confirmed["finding"]["p"] < 0.01

        # it becomes a clause with alerts that promtool accepts
        ask("guardrail", red, "--suspect", GUILTY, "--good", "10", "--out", str(tmp_path / "guard"), "--apply")
        tested = subprocess.run(
            [program("promtool"), "test", "rules", "rules_test.yml"],
            cwd=tmp_path / "guard", capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert tested.returncode == 0, tested.stdout + tested.stderr

        # and the guard catches the next one, and no good one
        (caught,) = run(1)
        assert _verdict(caught) == "fail"
        mend(shop.url, "swap-order")
        (whole,) = run(1)
        assert _verdict(whole) == "pass"


def _text(suspect: dict[str, Any]) -> str:
    predicate = suspect["predicate"]
    return predicate if isinstance(predicate, str) else "<".join(predicate["names"])


def _verdict(run: dict[str, Any]) -> str:
    return next(str(clause["verdict"]) for clause in run["clauses"] if clause["text"] == GUARD)

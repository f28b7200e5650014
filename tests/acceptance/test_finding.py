"""A failure that no function shows, from the first red run to the guard that catches the next: one story."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synthmon.demo.client import mend
from tests.acceptance.guilty_order import FAULT, GUILTY, Desk, said_by_functions, verdict_of_guard
from tests.acceptance.rare_swap import as_promised, figures, look
from tests.acceptance.shop import lay_out_shipped, open_shop

GOOD, BAD = 12, 2


def test_an_order_that_no_function_shows_is_found_confirmed_and_guarded(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"sqlite:///{tmp_path / 'store.db'}")
    with open_shop(tmp_path / "shop") as shop:
        lay_out_shipped(tmp_path, shop, "15s")
        desk.hurry()

        def run(times: int) -> list[dict[str, Any]]:
            told = json.loads(desk.ask("run", str(desk.probe), "--times", str(times), "--json", code=None))
            runs: list[dict[str, Any]] = told if isinstance(told, list) else [told]
            return runs

        # given: good runs, and then some in which the order is another one, and every function answers ok
        good = [one for one in run(GOOD) if one["outcome"] in ("passed", "flaky")]
        assert len(good) >= GOOD - 2, "the shop is not well"
        desk.break_(shop.url, "--rate", "1")
        bad = run(BAD)

        # then: the shipped journey is red, and no function has said a word
        assert [one["outcome"] for one in bad] == ["failed"] * BAD
        assert set().union(*map(said_by_functions, bad)) <= {"ok", "retry"}

        # the pair is named first
        assert desk.suspects()[0] == GUILTY, desk.suspects()[:3]
        red = bad[-1]["run_id"]
        assert desk.is_named_in(red)

        # forced, it fails; forced the other way round, it does not
        confirmed = json.loads(desk.ask("replay", red, "--order", GUILTY, "--yes", "--json"))
        assert confirmed["finding"]["verdict"] == "confirmed", confirmed["finding"]
        assert confirmed["finding"]["p"] < 0.01

        # it becomes a clause with alerts that promtool accepts
        tested = desk.write_guard(red)
        assert tested.returncode == 0, tested.stdout + tested.stderr

        # and the guard catches the next one, and no good one
        (caught,) = run(1)
        assert verdict_of_guard(caught) == "fail"
        mend(shop.url, FAULT)
        (whole,) = run(1)
        assert verdict_of_guard(whole) == "pass"


@pytest.mark.torture
def test_the_same_holds_of_what_strikes_three_runs_of_a_hundred(tmp_path: Path) -> None:
    seen = look(tmp_path, minutes=15)

    assert as_promised(seen), "\n".join(figures(seen))

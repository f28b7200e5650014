"""So much left behind that nothing more may be created: which runs that stops, and which not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synthmon.core.journey import Journey
from synthmon.core.system import System
from synthmon.core.undo.debt_budget import creates_in, debt_budget
from tests.core.scripted import journey, step

SYSTEMS = {
    "shop": System("shop", {"": "http://shop"}, ("shop",), budget_debts=2),
    "bank": System("bank", {"": "http://bank"}, ("bank",), budget_debts=2),
}
READING = journey(step("look", "GET /a"))
MAKING = journey(step("order", "POST /o", undo="DELETE /o"))
CLOSING = journey(replace(step("close", "POST /close"), leaves="nothing"))
PAYING = journey(step("look", "GET /a"), replace(step("pay", "POST /p", undo="DELETE /p"), system="bank"))


@pytest.mark.parametrize(
    ("by_system", "in_all", "stopped"),
    [
        ({}, 0, []),
        ({"shop": 2}, 10, []),
        ({"shop": 3}, 10, [MAKING]),
        ({"bank": 3}, 10, [PAYING]),
        ({"shop": 2, "bank": 2}, 3, [MAKING, PAYING]),
        ({"gone": 4}, 3, [MAKING, PAYING]),
        ({"gone": 4}, 10, []),
    ],
)
def test_over_the_budget_only_what_creates_there_is_stopped(
    by_system: dict[str, int], in_all: int, stopped: list[Journey]
) -> None:
    budget = debt_budget(by_system, SYSTEMS, in_all)

    assert [one for one in (READING, MAKING, CLOSING, PAYING) if budget.refusal(one)] == stopped


def test_the_words_say_where_how_many_and_how_many_may_be() -> None:
    assert debt_budget({"shop": 3}, SYSTEMS, 10).refusal(MAKING) == (
        "3 open debts in shop, 2 are allowed: nothing is created"
    )
    assert debt_budget({"shop": 1, "bank": 1}, SYSTEMS, 1).refusal(MAKING) == (
        "2 open debts in all systems together, 1 are allowed: nothing is created"
    )


def test_a_write_that_leaves_nothing_creates_nothing() -> None:
    assert (creates_in(CLOSING), creates_in(PAYING)) == (frozenset(), {"bank"})

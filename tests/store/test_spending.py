"""Budgets hold: over an hour and a day, over processes that share a store, and over kill -9."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from synthmon.core.spending import Budget, Spend, Spending, Use
from synthmon.store.open import open_history, open_spending
from tests.core.scripted import START

RUNS, CREATES = Budget("shop", Use.RUNS, 5), Budget("shop", Use.CREATES, 10)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "memory":
            return "memory:"
        case "sqlite":
            return f"sqlite:///{tmp_path}/synthmon.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/synthmon.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def spending(url: str) -> AsyncIterator[Spending]:
    opened = open_spending(url)
    yield opened
    await opened.aclose()


async def granted(spending: Spending, budget: Budget, at: datetime, times: int) -> int:
    """How many of so many wishes were granted at an instant."""
    return [await spending.spend([Spend(budget)], at) for _ in range(times)].count(None)


async def test_no_more_is_granted_than_the_budget_has(spending: Spending) -> None:
    told = await asyncio.gather(*(spending.spend([Spend(RUNS)], START) for _ in range(20)))

    assert told.count(None) == RUNS.most
    assert set(told) == {None, RUNS}
    assert await spending.spent(RUNS, START) == RUNS.most


@pytest.mark.parametrize(
    ("budget", "last_refused", "first_free"),
    [
        (RUNS, timedelta(minutes=59, seconds=59.9), timedelta(minutes=60)),
        (CREATES, timedelta(hours=23, minutes=59, seconds=59.9), timedelta(hours=24)),
    ],
)
async def test_what_was_spent_at_once_is_free_again_when_the_window_has_passed_and_not_before(
    spending: Spending, budget: Budget, last_refused: timedelta, first_free: timedelta
) -> None:
    assert await granted(spending, budget, START, budget.most + 1) == budget.most

    assert await granted(spending, budget, START + last_refused, 1) == 0
    assert await granted(spending, budget, START + first_free, budget.most + 1) == budget.most


async def test_a_schedule_that_just_fits_is_never_refused(spending: Spending) -> None:
    budget = Budget("shop", Use.RUNS, 60)

    slots = [START + timedelta(seconds=17, minutes=n) for n in range(150)]

    assert [slot for slot in slots if await spending.spend([Spend(budget)], slot) is not None] == []


async def test_of_twice_as_much_as_fits_no_hour_that_begins_with_a_minute_sees_more(spending: Spending) -> None:
    budget = Budget("shop", Use.RUNS, 30)
    slots = [START + timedelta(minutes=n) for n in range(150)]

    taken = [slot for slot in slots if await spending.spend([Spend(budget)], slot) is None]

    for begin in slots:
        assert sum(begin <= slot < begin + timedelta(hours=1) for slot in taken) <= 30
    assert len(taken) >= 60


async def test_several_budgets_are_spent_together_or_not_at_all(spending: Spending) -> None:
    wish = [Spend(RUNS), Spend(CREATES, 6)]

    first, second = await spending.spend(wish, START), await spending.spend(wish, START)

    assert (first, second) == (None, CREATES)
    assert (await spending.spent(RUNS, START), await spending.spent(CREATES, START)) == (1, 6)


async def test_what_a_machine_with_a_clock_ahead_has_spent_counts(spending: Spending) -> None:
    await granted(spending, RUNS, START + timedelta(minutes=7), RUNS.most)

    assert await granted(spending, RUNS, START, 1) == 0


async def test_two_processes_that_share_a_store_stay_within_one_budget(shared_url: str) -> None:
    await (await open_history(shared_url)).aclose()
    both = [_spend_all(shared_url, "shop", 40, 60) for _ in range(2)]

    told = [await asyncio.to_thread(process.communicate, timeout=120) for process in both]

    assert [process.returncode for process in both] == [0, 0], told
    assert sum(len(out.split()) for out, _ in told) == 40


async def test_kill_9_never_makes_room_for_what_has_happened(shared_url: str) -> None:
    await (await open_history(shared_url)).aclose()
    happened = 0
    for _ in range(3):
        process = _spend_all(shared_url, "shop", 10_000, 5_000)
        assert process.stdout is not None
        for _ in range(25):
            happened += bool(await asyncio.to_thread(process.stdout.readline))
        process.kill()
        out, _ = await asyncio.to_thread(process.communicate)
        happened += out.count("\n")

    spending = open_spending(shared_url)
    counted = await spending.spent(Budget("shop", Use.RUNS, 10_000), START)
    await spending.aclose()

    assert happened >= 75
    assert counted >= happened


async def test_a_store_that_cannot_be_written_says_so_and_grants_nothing(tmp_path: Path) -> None:
    spending = open_spending(f"sqlite:///{tmp_path}/missing/synthmon.db")

    with pytest.raises(OSError, match="No such file"):
        await spending.spend([Spend(RUNS)], START)
    await spending.aclose()


def _spend_all(url: str, system: str, most: int, tries: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.spend_all", url, system, str(most), str(tries)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

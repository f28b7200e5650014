"""The normal order, learnt from good runs."""

from __future__ import annotations

from synthmon.core.finding.happened import MOST_NAMES, happened
from synthmon.core.finding.normal import FEWEST_RUNS, Normal
from synthmon.core.finding.predicates import Sequenced, orders
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Orders
from tests.core.told import at, run_of, told


def told_of(run: Sequenced, clocks: Clocks = TRUSTED) -> list[tuple[str, str]]:
    return orders(run, Orders(clocks))


def learn(normal: Normal, run: Sequenced, clocks: Clocks = TRUSTED) -> None:
    normal.learn(run, told_of(run, clocks))


def learnt(*runs: tuple[str, int]) -> Normal:
    normal = Normal()
    for names, times in runs:
        for _ in range(times):
            learn(normal, happened(told(names)))
    return normal


def test_an_order_that_hundred_good_runs_never_had_is_odd() -> None:
    normal = learnt(("a b c", FEWEST_RUNS))

    assert [odd.text for odd in normal.odd(told_of(happened(told("a c b"))))] == ["c<b"]
    assert normal.odd(told_of(happened(told("a b c")))) == ()


def test_nothing_is_odd_before_hundred_good_runs() -> None:
    normal = learnt(("a b c", FEWEST_RUNS - 1))

    assert normal.odd(told_of(happened(told("a c b")))) == ()


def test_an_order_that_one_good_run_of_fifty_has_is_not_odd() -> None:
    normal = learnt(("a b", 196), ("b a", 4))

    assert normal.odd(told_of(happened(told("b a")))) == ()
    assert normal.share("b", "a") == (4, 200)


def test_a_name_that_is_new_is_not_odd() -> None:
    normal = learnt(("a b", FEWEST_RUNS))

    assert normal.odd(told_of(happened(told("x a b")))) == ()


def test_orders_that_clocks_cannot_tell_are_neither_learnt_nor_odd() -> None:
    normal, clocks = learnt(("a b", FEWEST_RUNS)), Clocks(skew_ns=5_000_000)
    near = happened(run_of(at("b", 10, clock="one"), at("a", 12, clock="two")))

    learn(normal, near, clocks)

    assert normal.share("b", "a") == (0, FEWEST_RUNS)
    assert normal.odd(told_of(near, clocks)) == ()


def test_at_most_sixty_names_are_learnt() -> None:
    normal = Normal()
    for start in (0, 40, 80):
        learn(normal, happened(run_of(*(at(f"n{start + number}", number) for number in range(40)))))

    assert len({name for pair in normal._first for name in pair}) == MOST_NAMES

"""Clocks that are off make orders unknown and never wrong; what runs taught of them narrows that down."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthmon.core.evidence import Evidence
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import (
    FAR_NS,
    MOST_CLOCKS,
    OURS,
    Clocks,
    Order,
    Orders,
    clock_of,
    closed,
    edges,
    learn,
    tightened,
)
from synthmon.core.sequence.offsets import FEWEST_RUNS, RUNS, Offsets
from synthmon.core.sequence.sightings import Sightings, least
from tests.core.clock_offsets import MS, Shop, Told, judged, sighted, tally
from tests.core.told import BEGIN_NS, at, run_of, told


def taught(runs: int, **off_ms: float) -> Offsets:
    """Runs in which the clocks of x and y are off by so much; records come 5 ms after our first byte, and to us 5 ms
    after they happened."""
    offsets = Offsets()
    for _ in range(runs):
        offsets.learn(shown(**off_ms))
    return offsets


def shown(wide_ms: float = 5, **off_ms: float) -> dict[tuple[str, str], int]:
    ahead = {(OURS, name): round((ms + wide_ms) * MS) for name, ms in off_ms.items()}
    return ahead | {(name, OURS): round((wide_ms - ms) * MS) for name, ms in off_ms.items()}


def seen(name: str, clock: str, truly_ms: float, off_ms: float, received_ms: float) -> Evidence:
    return at(name, truly_ms + off_ms, clock=clock, received_ns=BEGIN_NS + round(received_ms * MS))


@pytest.mark.parametrize(("sd_ms", "trusted_wrong"), [(25.0, 0.1), (100.0, 0.2), (500.0, 0.3)])
def test_learnt_bounds_tell_no_wrong_order_where_trust_does(sd_ms: float, trusted_wrong: float) -> None:
    learnt, trusted = judged(seed=3, sd_ms=sd_ms, runs=120)

    assert learnt.wrong == 0
    assert learnt.share(learnt.unknown) < 0.3
    assert trusted.share(trusted.wrong) > trusted_wrong


def test_a_clock_that_is_set_makes_orders_unknown_and_never_wrong() -> None:
    shop, offsets, after = Shop.with_clocks(7, 25.0), Offsets(), Told()
    for number in range(300):
        if number == 150:
            shop.off_ns["payments"] += 800 * MS
        record, truly = shop.run(number)
        if number >= 150:
            tally(record, truly, sighted(record, offsets.clocks), after)
        offsets.learn(least(record))

    assert after.wrong == 0
    assert after.share(after.unknown) < 0.4
    assert not offsets.clocks.unsteady


def test_bounds_that_contradict_each_other_leave_those_of_the_newer_runs() -> None:
    offsets = taught(100, x=0, y=0)
    for _ in range(3):
        offsets.learn(shown(x=300, y=0))

    assert offsets.clocks.bounds("y", "x") == (290 * MS, 310 * MS)


def test_a_bound_is_forgotten_after_two_hundred_runs() -> None:
    offsets = taught(1, x=0)
    for _ in range(RUNS - 1):
        offsets.learn(shown(wide_ms=9, x=0))
    before = offsets.clocks.apart[OURS, "x"]
    offsets.learn(shown(wide_ms=9, x=0))

    assert (before, offsets.clocks.apart[OURS, "x"]) == (5 * MS, 9 * MS)


def test_several_clocks_behind_one_name_are_no_clock() -> None:
    offsets, within_a_run = Offsets(), taught(5, x=0, y=0)
    for number in range(30):
        offsets.learn(shown(x=300 * (number % 2), y=0))
    within_a_run.learn(shown(y=0) | {(OURS, "x"): 5 * MS, ("x", OURS): -295 * MS})

    for learnt in (offsets, within_a_run):
        assert learnt.clocks.unsteady == {"x"}
        far_apart = at("a", 0, clock="x"), at("b", 60_000, clock="y")
        assert learnt.clocks.order(*far_apart) is Order.UNKNOWN
        assert learnt.clocks.order(at("a", 0, clock="x"), at("b", 9, clock="x")) is Order.UNKNOWN


def test_an_unsteady_name_gets_another_chance() -> None:
    offsets = taught(5, x=0, y=0)
    offsets.learn(shown(y=0) | {(OURS, "x"): 5 * MS, ("x", OURS): -295 * MS})
    for _ in range(RUNS):
        offsets.learn(shown(x=0, y=0))

    assert not offsets.clocks.unsteady


def test_the_least_of_the_last_runs_is_what_a_look_at_all_of_them_would_tell() -> None:
    chance, offsets, values = random.Random(5), Offsets(), []
    for _ in range(3 * RUNS):
        values.append(chance.randrange(100, 1_000_000))
        offsets.learn({("x", "y"): values[-1]})
        assert offsets.clocks.apart["x", "y"] == min(values[-RUNS:])


class Anew(Offsets):
    """Closes all bounds again after every run that moved one."""

    def _moves(self, moved: Mapping[tuple[str, str], int | None]) -> bool:
        return False


@pytest.mark.parametrize(("seed", "names"), [(1, 3), (2, 3), (3, 5), (4, 22)])
def test_bounds_that_follow_what_moved_are_those_that_a_look_at_all_of_them_would_tell(seed: int, names: int) -> None:
    chance, offsets, naive = random.Random(seed), Offsets(), Anew()
    clocks = [OURS, *(f"x{number}" for number in range(names))]
    ahead = {name: chance.randrange(-1_000, 1_000) for name in clocks}

    for number in range(2 * RUNS if names < MOST_CLOCKS else 30):
        if number % 150 == 149:
            ahead[chance.choice(clocks)] += chance.choice((50, 5_000))  # somebody set it
        run = {}
        for a, b in permutations(clocks, 2):
            if chance.random() < 0.2:
                continue
            run[a, b] = ahead[b] - ahead[a] + chance.randrange(10 if OURS in (a, b) else 200, 2_000)
        offsets.learn(run)
        naive.learn(run)
        assert offsets.clocks == naive.clocks


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")).filter(lambda pair: pair[0] != pair[1]),
        st.integers(0, 40),
    ),
    st.permutations("abcde"),
    st.integers(-30, 40),
)
def test_one_bound_that_became_less_closes_to_what_all_of_them_close_to(
    direct: dict[tuple[str, str], int], names: list[str], bound: int
) -> None:
    pair = names[0], names[1]
    known = closed(direct)

    if bound < known.get(pair, FAR_NS):
        tightened(known, pair, bound)

    told = closed({**direct, pair: min(bound, direct.get(pair, FAR_NS))})
    clash = any((name, name) in told for name in "abcde")
    assert any((name, name) in known for name in "abcde") is clash
    assert clash or known == told


def test_what_is_told_of_many_records_at_once_is_what_is_told_of_each_two() -> None:
    chance = random.Random(8)
    for _ in range(60):
        clocks = Clocks({("x", "y"): chance.randrange(9), ("y", "x"): chance.randrange(9)}, skew_ns=chance.randrange(5))
        records = [
            Evidence("logs", "e", chance.randrange(20), clock=chance.choice("xyz"), seq=chance.randrange(2), id=str(n))
            for n in range(8)
        ]
        records[3:6] = [replace(one, causes=(str(chance.randrange(8)),)) for one in records[3:6]]

        naive = {
            (i, j) if order is Order.BEFORE else (j, i)
            for i, j in combinations(range(8), 2)
            if (order := clocks.order(records[i], records[j])) is not Order.UNKNOWN
        }

        assert set(Orders(clocks).told(records)) == naive


def test_too_little_was_learnt_of_a_new_clock_to_do_without_an_assumption() -> None:
    few, enough = taught(FEWEST_RUNS - 1, x=0, y=0).clocks, taught(FEWEST_RUNS, x=0, y=0).clocks
    near = at("a", 0, clock="x"), at("b", 5, clock="y")

    assert replace(few, skew_ns=MS).order(*near) is Order.BEFORE
    assert replace(enough, skew_ns=MS).order(*near) is Order.UNKNOWN
    assert replace(enough, skew_ns=MS, vouched=True).order(*near) is Order.BEFORE


def test_what_was_vouched_for_gives_way_to_what_refutes_it() -> None:
    clocks = replace(taught(30, x=0, y=300).clocks, skew_ns=MS, vouched=True)

    assert clocks.order(at("a", 0, clock="x"), at("b", 200, clock="y")) is Order.AFTER


def test_one_side_of_a_bound_says_nothing_of_the_other() -> None:
    clocks = Clocks({("x", "y"): -50 * MS}, skew_ns=MS)

    assert clocks.order(at("a", 100, clock="x"), at("b", 0, clock="y")) is Order.UNKNOWN
    assert clocks.order(at("a", 0, clock="x"), at("b", 0, clock="y")) is Order.BEFORE


def test_a_run_refutes_by_itself_that_clocks_are_together() -> None:
    first, second = seen("a", "x", 50, 300, 60), seen("b", "y", 150, 0, 160)  # x is 300 ms ahead
    trusting = Sightings(Clocks(skew_ns=10 * MS))
    for record in (first, second):
        trusting.see(record, BEGIN_NS)

    assert Clocks(skew_ns=10 * MS).order(first, second) is Order.AFTER
    assert trusting.order(first, second) is Order.UNKNOWN
    assert "clocks" in trusting.doubt(first, second)


def test_a_clock_that_was_set_since_the_last_run_is_no_longer_what_was_learnt() -> None:
    known = taught(50, x=0, y=0).clocks
    first, second = seen("a", "x", 50, 300, 60), seen("b", "y", 150, 0, 160)
    now = Sightings(known)
    for record in (first, second):
        now.see(record, BEGIN_NS)

    assert known.order(first, second) is Order.AFTER
    assert now.order(first, second) is Order.UNKNOWN


def test_a_record_that_a_key_alone_joins_need_not_come_after_us() -> None:
    record = replace(seen("a", "x", 50, 0, 60), matched_by="email (key)")

    assert set(least(a_run(record))) == {("x", OURS)}
    assert set(least(a_run(replace(record, matched_by="email")))) == {(OURS, "x"), ("x", OURS)}
    assert not least(a_run(replace(record, matched_by="count")))


def test_whole_seconds_may_be_anywhere_within_their_second() -> None:
    coarse, fine = at("a", 3_000, clock="x"), at("a", 3_000.123456, clock="x")

    def apart(record: Evidence) -> int:
        return least(a_run(replace(record, matched_by="trace")))[OURS, "x"]

    assert apart(coarse) == (3_000 + 1_000 + 1) * MS
    assert apart(fine) < 3_002 * MS


def test_a_service_on_several_machines_has_several_clocks() -> None:
    one, other = (at("a", 0, clock="shop", attrs={"host": host}) for host in ("pod-1", "pod-2"))

    assert (clock_of(one), clock_of(other)) == ("shop@pod-1", "shop@pod-2")
    assert clock_of(at("a", 0, clock="pod-1", attrs={"host": "pod-1"})) == "pod-1"
    assert clock_of(at("a", 0, clock="")) == "logs"
    assert Clocks(skew_ns=MS).order(one, replace(other, at_ns=one.at_ns + 10)) is Order.UNKNOWN


def test_a_consumer_that_began_to_wait_before_the_message_teaches_nothing_false() -> None:
    sent = at("send", 100, clock="x")
    taken = at("take", 120, clock="y", start_ns=BEGIN_NS, causes=("send",), attrs={"kind": "consumer"})

    assert edges([sent, taken]) == [("x", "y", 20 * MS)]


def test_bounds_along_a_chain_are_sums_and_a_contradiction_shows_in_itself() -> None:
    assert closed({("x", "y"): 5, ("y", "z"): 7})["x", "z"] == 12
    assert closed({("x", "y"): 5, ("y", "x"): -7})["x", "x"] == -2
    assert ("x", "x") not in closed({("x", "y"): 5, ("y", "x"): 7})
    assert learn([("x", "y", 5), ("y", "x", 7)]).bounds("x", "y") == (-7, 5)


def test_names_that_come_and_go_do_not_pile_up() -> None:
    offsets = Offsets()
    for number in range(3_000):
        offsets.learn(shown(**{f"pod-{number}": 0.0}))

    assert len(offsets.clocks.apart) <= 20 * 19
    assert len(offsets._pairs) <= 1_000
    assert len(offsets._seen) <= 500


def a_run(*records: Evidence) -> Record:
    return replace(run_of(*records), steps=Shop.with_clocks(0, 0).run(0)[0].steps)


def test_a_run_without_evidence_teaches_nothing() -> None:
    assert not least(replace(told("a"), evidence=()))

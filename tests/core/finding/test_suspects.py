"""Which predicates go along with failure."""

from __future__ import annotations

import random
import time

import pytest

from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import Form, Predicate, Sequenced, holding, parse, usual
from synthmon.core.finding.suspects import suspects
from synthmon.core.sequence.clocks import Clocks, Order
from tests.bench.suspicion import trial
from tests.core.told import at, run_of, told

GOOD = [happened(told("a b c d"))] * 60 + [happened(told("b a c d"))] * 20


def test_the_order_that_only_failing_runs_have_is_first() -> None:
    bad = [happened(told("a c b d"))] * 2 + [happened(told("c b a d"))]

    found = suspects(GOOD, bad)

    assert found[0].predicate.text == "c<b"
    assert (found[0].bad_with, found[0].bad, found[0].good_with, found[0].good) == (3, 3, 0, 80)
    assert found[0].ochiai == 1.0


def test_what_held_in_one_failing_run_alone_is_no_suspect() -> None:
    bad = [happened(told("a c b d")), happened(told("a b c d"))]

    assert "c<b" not in [suspect.predicate.text for suspect in suspects(GOOD, bad)]


def test_a_predicate_that_good_runs_have_as_often_is_below_one_that_they_have_not() -> None:
    bad = [happened(told("a c b d"))] * 2

    found = [suspect.predicate.text for suspect in suspects(GOOD, bad)]

    assert found.index("c<b") < found.index("a<b")


def test_equal_scores_go_to_the_larger_increase() -> None:
    # x is told of in failing runs alone; c and b in every run: that c<b says more
    bad = [happened(told("a c b d x"))] * 2

    found = suspects(GOOD, bad)

    assert [found[0].predicate.text, found[0].ochiai] == ["c<b", 1.0]
    assert any(suspect.predicate.text == "a<x" and suspect.ochiai == 1.0 for suspect in found)


def test_of_orders_that_are_equal_the_one_comes_first_that_is_usually_far_apart() -> None:
    good = [happened(run_of(at("profile", 10), at("welcome", 12), at("credits", 60)))] * 20
    late = [happened(run_of(at("welcome", 12), at("credits", 60), at("profile", 200)))] * 2

    found = suspects(good, late)

    assert [suspect.predicate.text for suspect in found[:2]] == ["credits<profile", "welcome<profile"]
    assert (found[0].ochiai, found[0].increase) == (found[1].ochiai, found[1].increase)


def test_retries_duplicates_and_gaps_are_suspects_too() -> None:
    tried = run_of(at("a", 10), at("b", 20, status="retry"), at("b", 60, attempt=2), at("c", 80), at("c", 90, id="c2"))

    found = {suspect.predicate.text: suspect for suspect in suspects(GOOD, [happened(tried)] * 2)}

    assert found["retry(b)"].good_with == 0
    assert found["dup(c)"].bad_with == 2
    assert found["missing(d)"].ochiai == 1.0


def test_slow_is_what_is_beyond_the_good_runs() -> None:
    good = [happened(told("a b", b={"duration_ms": 10.0 + number})) for number in range(100)]
    slow = happened(told("a b", b={"duration_ms": 500.0}))

    assert Predicate(Form.SLOW, ("b",)) in list(holding(slow, usual(good)))
    assert Predicate(Form.SLOW, ("b",)) not in list(holding(good[50], usual(good)))


def test_an_order_that_the_clocks_cannot_tell_is_no_predicate() -> None:
    run = happened(run_of(at("a", 10, clock="one"), at("b", 12, clock="two")))

    assert not list(holding(run, usual([run]), Clocks(skew_ns=5_000_000)))
    assert [p.text for p in holding(run, usual([run]), Clocks(skew_ns=1_000_000))] == ["a<b"]


def observed(predicate: Predicate, run: Sequenced, clocks: Clocks) -> bool:
    """Whether a run could tell at all, by a look at it alone."""
    if predicate.form is Form.MISSING:
        return True
    found = [run[name].first for name in predicate.names if name in run]
    if len(found) < len(predicate.names):
        return False
    return predicate.form is not Form.BEFORE or clocks.order(found[0], found[1]) is not Order.UNKNOWN


def test_increase_counts_the_runs_that_could_tell() -> None:
    chance = random.Random(4)
    clocks = Clocks(skew_ns=12_000_000)

    def a_run() -> Sequenced:
        names = chance.sample("abcdef", chance.randrange(3, 7))
        records = [at(name, chance.randrange(60), clock=chance.choice(("one", "two"))) for name in names]
        records += [at(names[0], 70, id="again")] * chance.randrange(2)
        return happened(run_of(*records))

    good, bad = [a_run() for _ in range(30)], [a_run() for _ in range(12)]

    found = suspects(good, bad, clocks)

    assert {one.predicate.form for one in found} >= {Form.BEFORE, Form.DUPLICATE, Form.MISSING}
    for one in found:
        bad_seen, good_seen = (sum(observed(one.predicate, run, clocks) for run in runs) for runs in (bad, good))
        failing = one.bad_with / (one.bad_with + one.good_with)
        assert one.increase == failing - bad_seen / (bad_seen + good_seen)


def test_no_failing_runs_name_nobody() -> None:
    assert suspects(GOOD, []) == ()


@pytest.mark.parametrize("text", ["b<a", "retry(x)", "dup(x)", "slow(x)", "missing(x)"])
def test_a_predicate_reads_as_it_is_written(text: str) -> None:
    assert parse(text).text == text


def test_names_may_have_dashes_dots_and_spaces() -> None:
    assert parse(" profile-created < process order.paid ").names == ("profile-created", "process order.paid")


@pytest.mark.parametrize("text", ["", "a", "a<", "a<a", "a<b<c", "gone(x)", "retry()"])
def test_what_is_no_predicate_is_told_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write "):
        parse(text)


@pytest.mark.parametrize(
    "text", [" " * 400, " " * 400 + "<" + " " * 400 + "(", "dup(" + " " * 400 + "<", "a<" + "b" * 10_000]
)
def test_a_text_that_is_meant_to_be_hard_to_read_is_told_at_once(text: str) -> None:
    begun_s = time.process_time()

    with pytest.raises(ValueError, match="predicate"):
        parse(text)

    assert time.process_time() - begun_s < 5  # it was hours


def test_in_a_history_with_noise_the_guilty_order_comes_first_while_error_rates_name_nobody() -> None:
    found = [trial(seed, runs=200) for seed in range(4)]

    assert [one.runs is not None for one in found] == [True] * 4
    for one in found:
        assert max(one.refused.values()) < 0.05

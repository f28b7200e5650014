"""One run against good ones."""

from __future__ import annotations

from synthmon.core.finding.compare import Turn, compare
from tests.core.told import at, run_of, told

GOOD = [told("a b c d")] * 50


def test_a_swapped_pair_is_the_first_divergence() -> None:
    found = compare(told("a c b d"), GOOD)

    assert found.first is not None
    assert (found.first.turn, found.first.names) == (Turn.ORDER, ("c", "b"))
    assert (found.first.good_with, found.first.good) == (0, 50)
    assert [one.turn for one in found.differences] == [Turn.ORDER]


def test_what_is_missing_shows_where_it_was_due() -> None:
    found = compare(told("a b"), GOOD)

    assert [(one.turn, one.names) for one in found.differences] == [(Turn.MISSING, ("c",)), (Turn.MISSING, ("d",))]
    assert 20.0 < found.differences[0].at_ms < 21.0


def test_what_good_runs_do_not_have_is_extra() -> None:
    found = compare(told("a b c x d"), GOOD)

    assert [(one.turn, one.names) for one in found.differences] == [(Turn.EXTRA, ("x",))]


def test_retries_and_duplicates_differ_where_good_runs_have_none() -> None:
    run = run_of(
        at("a", 10), at("b", 20, status="retry"), at("b", 25, attempt=2), at("c", 30), at("c", 35, id="c2"), at("d", 40)
    )

    found = {(one.turn, one.names) for one in compare(run, GOOD).differences}

    assert found == {(Turn.RETRY, ("b",)), (Turn.DUPLICATE, ("c",))}


def test_an_order_that_a_third_of_the_good_runs_has_is_no_difference() -> None:
    good = [told("a b c d")] * 40 + [told("a c b d")] * 20

    assert compare(told("a c b d"), good).differences == ()


def test_the_time_is_told_as_waiting_work_and_retries() -> None:
    def slow(wait_ms: float, work_ms: float) -> tuple[object, ...]:
        begin_ms = 10 + wait_ms
        return (
            at("a", 10, id="a1"),
            at(
                "b",
                begin_ms + work_ms,
                id="b1",
                start_ns=at("b", begin_ms).at_ns,
                duration_ms=work_ms,
                causes=("a1",),
            ),
        )

    good = [run_of(*slow(5, 20)) for _ in range(30)]  # type: ignore[arg-type]
    spent = {one.name: one for one in compare(run_of(*slow(400, 25)), good).spent}  # type: ignore[arg-type]

    assert (spent["b"].wait_ms, spent["b"].usual_wait_ms) == (400.0, 5.0)
    assert (spent["b"].work_ms, spent["b"].usual_work_ms) == (25.0, 20.0)


def test_attempts_in_vain_are_told_apart_from_work() -> None:
    run = run_of(
        at("b", 20, status="retry", start_ns=at("b", 10).at_ns, duration_ms=10.0),
        at("b", 80, attempt=2, start_ns=at("b", 70).at_ns, duration_ms=10.0),
    )

    spent = compare(run, GOOD).spent[0]

    assert (spent.retry_ms, spent.work_ms) == (60.0, 10.0)


def test_without_good_runs_nothing_differs() -> None:
    assert compare(told("a b"), []).differences == ()

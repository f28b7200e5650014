"""What a person reads of a run: the lines, and what stands between them."""

from __future__ import annotations

from dataclasses import replace

from synthmon.core.evidence import COUNTED
from synthmon.core.finding.story import Line, Missed, Silence, Told, story
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Attempt, ClauseRecord, StepRecord
from synthmon.core.sequence.clocks import Clocks
from tests.core.told import at, run_of, told

GOOD = [told("a b c d")] * 20


def names(lines: tuple[Line, ...]) -> list[str]:
    """What happened, and what did not in brackets."""
    return [line.moment.what if isinstance(line, Told) else f"({type(line).__name__})" for line in lines]


def test_what_good_runs_have_is_missed_where_it_was_due() -> None:
    lines = story(told("a b"), GOOD)

    assert names(lines) == ["a", "b", "(Missed)", "(Missed)"]
    first, second = lines[2:]
    assert isinstance(first, Missed)
    assert isinstance(second, Missed)
    assert (first.name, first.after, first.usual_ms, first.who) == ("c", "b", 10.0, "shop")
    assert first.said == "no c (shop): 20 of 20 good runs have it, 10 ms after b"
    assert (second.name, second.usual_ms) == ("d", 20.0)


def test_what_is_missing_in_the_midst_stands_in_the_midst() -> None:
    assert names(story(told("a b d", d={"at_ns": told("a b c d").evidence[3].at_ns}), GOOD)) == [
        "a",
        "b",
        "(Missed)",
        "d",
    ]


def test_a_silence_is_told_that_is_long_beside_those_of_good_runs() -> None:
    run = run_of(at("a", 10), at("b", 20), at("c", 2330), at("d", 2340))

    lines = story(run, GOOD)

    assert names(lines) == ["a", "b", "(Silence)", "c", "d"]
    silence = lines[2]
    assert isinstance(silence, Silence)
    assert silence.said == "2.31 s of silence before c; 10 ms in good runs"


def test_a_silence_that_good_runs_have_too_is_none() -> None:
    slow = run_of(at("a", 10), at("b", 2000))

    assert names(story(slow, [slow] * 20)) == ["a", "b"]
    assert names(story(slow, [told("a b")] * 4)) == ["a", "b"], "four runs do not tell what is usual"


def test_neighbours_whose_clocks_leave_their_order_open_say_so() -> None:
    run = run_of(at("a", 10, clock="one"), at("b", 20, clock="two"), at("c", 90, clock="one"))

    lines = story(run, clocks=Clocks(skew_ns=35_000_000))

    assert [line.unsure_ms for line in lines if isinstance(line, Told)] == [None, 35.0, None]


def test_a_poll_is_one_line_and_keeps_its_neighbours_apart() -> None:
    looks = tuple(Attempt(f"booked#{n}", "GET /ledger → 200", 12.0 + n, 1.0) for n in range(5))
    step = StepRecord("booked", "http", "", Outcome.FAILED, attempts=looks)
    run = replace(run_of(at("a", 10), at("b", 30)), steps=(step,))

    lines = story(run)

    assert names(lines) == ["a", "GET /ledger → 200", "b"]
    poll = lines[1]
    assert isinstance(poll, Told)
    assert (poll.times, poll.until_ms) == (5, 16.0)


def test_what_two_sources_tell_of_one_happening_is_one_line() -> None:
    logged = at("a", 10, span_id="ab" * 8, trace_id="cd" * 16)
    traced = replace(logged, source="spans", at_ns=logged.at_ns + 1000, matched_by="linked trace")
    again = replace(logged, at_ns=logged.at_ns + 5_000_000, attempt=2)

    lines = [line for line in story(run_of(logged, traced, again)) if isinstance(line, Told)]

    assert [(line.moment.source, line.moment.also, line.moment.attempt) for line in lines] == [
        ("logs", ("spans",), 1),
        ("logs", (), 2),
    ]


def test_two_happenings_of_one_source_stay_two_even_in_one_span() -> None:
    one = at("a", 10, id="e1", span_id="ab" * 8)

    assert names(story(run_of(one, replace(one, id="e2", at_ns=one.at_ns + 1)))) == ["a", "a"]


def test_a_count_says_how_much_a_place_holds_and_is_no_name_of_the_run() -> None:
    count = replace(at("count", 15, attrs={"count": "3"}, matched_by=COUNTED, clock=""), source="dead")
    run = replace(run_of(at("a", 10), at("b", 20)), evidence=(at("a", 10), count, at("b", 20)))

    assert names(story(run, [told("a b")] * 20)) == ["a", "holds 3", "b"]


def test_the_records_that_decided_a_clause_bear_it() -> None:
    clause = ClauseRecord("before: [a, b]", "x.yaml:1", "fail", "b came first", ("b:b", "a:a"))
    run = replace(run_of(at("b", 10), at("a", 20)), clauses=(clause,))

    decided = [line.moment.decides for line in story(run) if isinstance(line, Told)]

    assert decided == [(("before: [a, b]", "fail"),), (("before: [a, b]", "fail"),)]

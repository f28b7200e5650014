"""A run as its names tell it."""

from __future__ import annotations

from dataclasses import replace

from synthmon.core.finding.happened import MOST_NAMES, happened
from tests.core.told import at, run_of, told


def test_names_stand_in_order_of_time_however_they_came() -> None:
    record = told("a b c")

    found = happened(replace(record, evidence=tuple(reversed(record.evidence))))

    assert list(found) == ["a", "b", "c"]


def test_a_retry_is_an_attempt_and_its_completion_is_the_last_one() -> None:
    found = happened(
        run_of(at("a", 10, id="1", status="retry"), at("a", 60, id="1", attempt=2), at("b", 30), at("c", 90))
    )

    assert list(found) == ["b", "a", "c"]
    assert (found["a"].attempts, found["a"].count) == (2, 1)


def test_another_id_is_a_duplicate_and_the_earliest_completion_counts() -> None:
    found = happened(run_of(at("a", 50, id="2"), at("a", 10, id="1"), at("b", 30)))

    assert list(found) == ["a", "b"]
    assert (found["a"].attempts, found["a"].count) == (1, 2)


def test_what_a_second_source_tells_of_a_name_does_not_double_it() -> None:
    spans = replace(at("a", 12, id="span"), source="spans")

    found = happened(run_of(at("a", 10), spans))

    assert found["a"].count == 1
    assert found["a"].first.source == "logs"


def test_more_names_than_sixty_are_cut_to_the_first() -> None:
    record = run_of(*(at(f"n{number:03}", number) for number in range(100)))

    assert list(happened(record)) == [f"n{number:03}" for number in range(MOST_NAMES)]


def test_a_record_without_a_name_is_no_happening() -> None:
    assert not happened(run_of(at("", 10)))

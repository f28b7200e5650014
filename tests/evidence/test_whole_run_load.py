"""A whole run with more reported of it than it may take: counted, bounded, told, and never long at a time."""

from __future__ import annotations

import pytest

from synthmon.core.evidence import MOST_BYTES, MOST_RECORDS
from synthmon.core.outcomes import Outcome
from tests.evidence.whole_run_load import WAYS, cost_of

LONGEST_SHARE = 0.35
"""Of all the time that the loop worked, in one piece: 5,000 records in one go would be nearly all of it."""


@pytest.mark.parametrize("way", WAYS)
async def test_five_thousand_records_are_taken_in_small_pieces(way: str) -> None:
    cost = await cost_of(way)

    assert cost.record.outcome is Outcome.PASSED, cost.record.message
    assert len(cost.record.evidence) == MOST_RECORDS
    assert cost.kept_bytes <= MOST_BYTES
    assert cost.longest_ms < LONGEST_SHARE * cost.worked_ms, cost.pieces_ms[-5:]


async def test_what_is_more_is_left_out_and_what_was_not_seen_is_not_called_absent() -> None:
    cost = await cost_of("jsonl", MOST_RECORDS + 200)

    assert cost.record.outcome is Outcome.UNKNOWN
    assert "more than 5000 records or 2 MiB came of this run" in cost.record.message
    assert len(cost.record.evidence) == MOST_RECORDS


async def test_two_mebibytes_are_the_most_whatever_their_number() -> None:
    cost = await cost_of("jsonl", 3000, wide=True)

    assert cost.record.outcome is Outcome.UNKNOWN
    assert "more than 5000 records or 2 MiB came of this run" in cost.record.message
    assert 0 < len(cost.record.evidence) < 3000
    assert cost.kept_bytes <= MOST_BYTES

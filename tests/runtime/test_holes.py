"""What a daemon finds when it starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from synthmon.core.intents import Claim
from synthmon.core.journey import Every
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import next_slot
from synthmon.runtime.holes import find_holes
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.core.scripted import journey, step

PROBE = journey(step("read", "GET /a"))
NAME, NOW = PROBE.name, datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = next_slot(Every(60), NAME, NOW - timedelta(minutes=10))


def slot(n: int) -> datetime:
    return FIRST + timedelta(minutes=n)


async def passed(history: MemoryHistory, n: int) -> None:
    await history.save([Record(NAME, slot(n), Outcome.PASSED, Reason.NONE, run_id=f"{n:032x}", started=slot(n))])


async def test_a_new_journey_has_no_hole() -> None:
    assert await find_holes({NAME: PROBE}, MemoryJournal(), MemoryHistory(), "", NOW, alone=True) == ([], [])


async def test_the_slots_that_nobody_was_there_for_are_one_record_that_ends_where_the_gap_ends() -> None:
    history = MemoryHistory()
    await passed(history, 0)

    closed, (gap,) = await find_holes({NAME: PROBE}, MemoryJournal(), history, "", slot(4), alone=True)

    assert (closed, gap.outcome, gap.reason, gap.slots, gap.slot) == ([], Outcome.MISSED, Reason.DOWN, 4, slot(4))


async def test_a_second_start_does_not_tell_the_same_gap_again() -> None:
    history = MemoryHistory()
    await passed(history, 0)
    _, gaps = await find_holes({NAME: PROBE}, MemoryJournal(), history, "", slot(4), alone=True)
    await history.save(gaps)

    _, (gap,) = await find_holes({NAME: PROBE}, MemoryJournal(), history, "", slot(6), alone=True)

    assert (gap.slots, gap.slot) == (2, slot(6))


async def test_a_claimed_slot_without_a_record_was_interrupted_and_is_not_part_of_the_gap() -> None:
    history, journal = MemoryHistory(), MemoryJournal()
    await passed(history, 0)
    await journal.claim(Claim(NAME, slot(1), "", "f" * 32, slot(1)))

    ((claim, record),), (gap,) = await find_holes({NAME: PROBE}, journal, history, "", slot(3), alone=True)

    assert (claim.slot, record.outcome, record.reason) == (slot(1), Outcome.UNKNOWN, Reason.INTERRUPTED)
    assert (gap.slots, gap.slot) == (2, slot(3))


async def test_a_slot_that_was_claimed_early_and_had_not_come_is_missed() -> None:
    journal = MemoryJournal()
    await journal.claim(Claim(NAME, slot(5), "", "f" * 32, slot(5) - timedelta(seconds=1)))

    ((_, record),), _ = await find_holes(
        {NAME: PROBE}, journal, MemoryHistory(), "", slot(5) - timedelta(seconds=0.5), alone=True
    )

    assert (record.outcome, record.reason) == (Outcome.MISSED, Reason.PREPARED)


async def test_the_claims_of_another_location_are_left_alone() -> None:
    journal = MemoryJournal()
    await journal.claim(Claim(NAME, slot(1), "eu", "f" * 32, slot(1)))

    assert await find_holes({NAME: PROBE}, journal, MemoryHistory(), "us", NOW, alone=True) == ([], [])


async def test_who_is_not_alone_leaves_a_young_claim_to_the_process_that_may_be_running_it() -> None:
    journal = MemoryJournal()
    await journal.claim(Claim(NAME, slot(1), "", "f" * 32, slot(1)))

    young, _ = await find_holes({NAME: PROBE}, journal, MemoryHistory(), "", slot(2), alone=False)
    old, _ = await find_holes({NAME: PROBE}, journal, MemoryHistory(), "", slot(60), alone=False)

    assert (len(young), len(old)) == (0, 1)

"""What a daemon finds when it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from synthmon.core.journey import Every
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import next_slot
from synthmon.core.undo.intents import Claim, Journal
from synthmon.runtime.gaps import Closed
from synthmon.runtime.holes import close_holes, close_the_deads
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.memory import MemoryHistory
from tests.core.scripted import journey, step

PROBE = journey(step("read", "GET /a"))
NAME, NOW = PROBE.name, datetime(2026, 3, 1, 12, tzinfo=UTC)
FIRST = next_slot(Every(60), NAME, NOW - timedelta(minutes=10))
RUN = "f" * 32


def slot(n: int) -> datetime:
    return FIRST + timedelta(minutes=n)


def claim(n: int, run_id: str = RUN) -> Claim:
    return Claim(NAME, slot(n), "", run_id, slot(n) - timedelta(seconds=1))


async def passed(history: MemoryHistory, n: int) -> None:
    await history.save([Record(NAME, slot(n), Outcome.PASSED, Reason.NONE, run_id=f"{n:032x}", started=slot(n))])


async def find(journal: Journal, history: MemoryHistory, now: datetime) -> tuple[Sequence[Closed], Sequence[Closed]]:
    return await close_holes({NAME: PROBE}, journal, history, "", now)


@pytest.fixture
async def dead(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    """The journal of a process that dies with `aclose`; `ours` is the one that comes after it or lives beside it."""
    journal = SqliteJournal(tmp_path / "journal.db", ballast_bytes=0)
    yield journal
    await journal.aclose()


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal(tmp_path / "journal.db", ballast_bytes=0)
    yield journal
    await journal.aclose()


async def test_a_new_journey_has_no_hole() -> None:
    assert await find(MemoryJournal(), MemoryHistory(), NOW) == ([], [])


async def test_the_slots_that_nobody_was_there_for_are_one_record_that_ends_where_the_gap_ends() -> None:
    history = MemoryHistory()
    await passed(history, 0)

    closed, ((_, gap),) = await find(MemoryJournal(), history, slot(4))

    assert (closed, gap.outcome, gap.reason, gap.slots, gap.slot) == ([], Outcome.MISSED, Reason.DOWN, 4, slot(4))


async def test_a_second_start_does_not_tell_the_same_gap_again() -> None:
    history, journal = MemoryHistory(), MemoryJournal()
    await passed(history, 0)
    _, ((taken, first),) = await find(journal, history, slot(4))
    await history.save([first])
    await journal.release([taken])

    _, ((_, gap),) = await find(journal, history, slot(6))

    assert (gap.slots, gap.slot) == (2, slot(6))


async def test_of_two_that_start_at_once_one_tells_the_gap(dead: SqliteJournal, ours: SqliteJournal) -> None:
    history = MemoryHistory()
    await passed(history, 0)

    (_, first), (_, second) = await asyncio.gather(find(dead, history, slot(4)), find(ours, history, slot(4)))

    assert [gap.slots for _, gap in (*first, *second)] == [4]


async def test_slots_of_the_gap_that_another_daemon_takes_meanwhile_are_left_to_it() -> None:
    history = MemoryHistory()
    await passed(history, 0)

    class Late(MemoryJournal):
        async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
            await self.claim(claim(1))  # the other daemon is quicker
            return await super().claim_gaps(claims)

    _, ((_, gap),) = await find(Late(), history, slot(4))

    assert (gap.slots, gap.slot) == (3, slot(4))


async def test_who_starts_while_another_has_claimed_the_gap_and_not_told_it_yet_leaves_it_alone(
    dead: SqliteJournal, ours: SqliteJournal
) -> None:
    history = MemoryHistory()
    await passed(history, 0)
    await find(dead, history, slot(4))

    assert await find(ours, history, slot(4)) == ([], [])


async def test_a_claimed_slot_without_a_record_was_interrupted_and_is_not_part_of_the_gap() -> None:
    history, journal = MemoryHistory(), MemoryJournal()
    await passed(history, 0)
    await journal.claim(claim(1))

    ((taken, record),), ((_, gap),) = await find(journal, history, slot(3))

    assert (taken, record.outcome, record.reason) == (claim(1), Outcome.UNKNOWN, Reason.INTERRUPTED)
    assert (gap.slots, gap.slot) == (2, slot(3))


async def test_a_slot_that_was_claimed_early_and_had_not_come_is_missed() -> None:
    journal = MemoryJournal()
    await journal.claim(claim(5))

    ((_, record),), _ = await find(journal, MemoryHistory(), slot(5) - timedelta(seconds=0.5))

    assert (record.outcome, record.reason) == (Outcome.MISSED, Reason.PREPARED)


async def test_the_claims_of_another_location_are_left_alone() -> None:
    journal = MemoryJournal()
    await journal.claim(Claim(NAME, slot(1), "eu", RUN, slot(1)))

    assert await close_holes({NAME: PROBE}, journal, MemoryHistory(), "us", NOW) == ([], [])


async def test_what_another_process_claimed_is_closed_when_that_one_is_dead_and_not_before(
    dead: SqliteJournal, ours: SqliteJournal
) -> None:
    await dead.claim(claim(1))
    history = MemoryHistory()
    await passed(history, 1)

    beside = await find(ours, history, slot(60))
    while_it_lives = await close_the_deads({NAME: PROBE}, ours, "", slot(60))
    await dead.aclose()
    after = await close_the_deads({NAME: PROBE}, ours, "", slot(60))

    assert (beside[0], while_it_lives) == ([], [])
    assert [(taken, record.outcome) for taken, record in after] == [(claim(1), Outcome.UNKNOWN)]


async def test_what_this_process_claims_is_never_given_up_by_it(ours: SqliteJournal) -> None:
    await ours.claim(claim(1))

    assert await close_the_deads({NAME: PROBE}, ours, "", slot(60)) == []


async def test_a_gap_that_a_dead_process_claimed_and_could_not_tell_is_told_by_the_next_as_it_was_claimed(
    dead: SqliteJournal, ours: SqliteJournal
) -> None:
    history = MemoryHistory()
    await passed(history, 0)
    await find(dead, history, slot(4))
    await dead.aclose()

    ((taken, told),), ((new, gap),) = await find(ours, history, slot(6))

    assert (told.outcome, told.reason, told.slots, told.slot) == (Outcome.MISSED, Reason.DOWN, 4, slot(4))
    assert (gap.slots, gap.slot) == (2, slot(6))
    assert await ours.unrecorded() == [taken, new]


async def test_a_gap_of_one_that_died_is_told_whole_by_one_that_lives(dead: SqliteJournal, ours: SqliteJournal) -> None:
    history = MemoryHistory()
    await passed(history, 0)
    await find(dead, history, slot(4))
    await passed(history, 5)
    await dead.aclose()

    ((_, told),) = await close_the_deads({NAME: PROBE}, ours, "", slot(6))

    assert (told.outcome, told.reason, told.slots, told.slot) == (Outcome.MISSED, Reason.DOWN, 4, slot(4))


async def test_a_slot_that_a_dead_process_took_to_tell_it_as_missed_is_told_so() -> None:
    history, journal = MemoryHistory(), MemoryJournal()
    await passed(history, 3)
    await journal.claim(claim(1, run_id=""))

    ((_, record),), _ = await find(journal, history, slot(3))

    assert (record.outcome, record.reason, record.slot) == (Outcome.MISSED, Reason.DOWN, slot(1))

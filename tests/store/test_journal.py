"""What every journal promises, tried on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from synthmon.core.undo.intents import Claim, Entry, Fenced, Journal, Learned, OpenRun, Settled
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.journal_postgres import PostgresJournal
from synthmon.store.journal_sqlite import SqliteJournal
from tests.store.samples import a_claim, intent, opened, run_id, slot

RUN = run_id(1)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    made: Journal
    match request.param:
        case "memory":
            made = MemoryJournal()
        case "sqlite":
            made = SqliteJournal(tmp_path / "journal.db")
        case _:
            made = PostgresJournal(request.getfixturevalue("postgres_url"))
    yield made
    await made.aclose()


async def test_a_slot_is_claimed_once(journal: Journal) -> None:
    again = Claim("checkout", slot(0), "", run_id(99), slot(5))

    assert await journal.claim(a_claim(0)) is True
    assert await journal.claim(again) is False
    assert await journal.claim(a_claim(1)) is True
    assert await journal.claim(a_claim(0, location="fra")) is True


async def test_of_many_who_claim_a_slot_at_once_one_gets_it(journal: Journal) -> None:
    rivals = [Claim("checkout", slot(n % 10), "", run_id(n), slot(0)) for n in range(50)]

    taken = await asyncio.gather(*(journal.claim(claim) for claim in rivals))

    assert sum(taken) == 10


async def test_a_released_slot_stays_taken_but_is_no_longer_unrecorded(journal: Journal) -> None:
    for number in range(3):
        await journal.claim(a_claim(number))

    await journal.release([a_claim(0), a_claim(2)])

    assert await journal.unrecorded() == [a_claim(1)]
    assert await journal.claim(a_claim(0)) is False


async def test_a_claim_that_was_refused_is_not_unrecorded(journal: Journal) -> None:
    first = a_claim(0)
    await journal.claim(first)
    await journal.claim(Claim("checkout", slot(0), "", run_id(99), slot(5)))

    assert await journal.unrecorded() == [first]


def a_gap(first: int, last: int, location: str = "") -> Claim:
    return Claim("checkout", slot(last), location, "", slot(last), first=slot(first))


async def test_a_gap_is_claimed_once_however_many_slots_it_has(journal: Journal) -> None:
    await journal.claim(a_claim(0))

    assert await journal.claim_gaps([a_gap(1, 90), a_gap(1, 90, "fra")]) == [None, None]
    assert await journal.claim_gaps([a_gap(1, 95)]) == [slot(90)]
    assert await journal.claim_gaps([a_gap(91, 95)]) == [None]
    assert await journal.unrecorded() == [a_claim(0), a_gap(1, 90), a_gap(1, 90, "fra"), a_gap(91, 95)]


async def test_a_gap_of_which_somebody_has_a_slot_is_refused_whole_and_says_the_newest(journal: Journal) -> None:
    await journal.claim(a_claim(3))
    await journal.claim(a_claim(7))

    refused = await journal.claim_gaps([a_gap(2, 9), a_gap(5, 6)])

    assert refused == [slot(7), slot(7)]
    assert await journal.claim(a_claim(2)) is True
    assert await journal.claim(a_claim(9)) is True


async def test_no_slot_of_a_gap_that_was_claimed_can_be_claimed_for_a_run(journal: Journal) -> None:
    await journal.claim(a_claim(0))
    await journal.claim_gaps([a_gap(2, 9)])

    assert [await journal.claim(a_claim(n)) for n in (1, 2, 3, 8, 9, 10)] == [True, False, False, False, False, True]


async def test_of_many_who_claim_gaps_that_begin_with_one_slot_one_gets_it(journal: Journal) -> None:
    rivals = [journal.claim_gaps([a_gap(1, n)]) for n in range(10, 30)]

    taken = await asyncio.gather(*rivals, journal.claim(a_claim(1)))

    assert sum(each == [None] for each in taken) + (taken[-1] is True) == 1
    assert len(await journal.unrecorded()) == 1


async def test_a_gap_that_is_told_is_no_longer_unrecorded(journal: Journal) -> None:
    await journal.claim_gaps([a_gap(1, 9)])

    await journal.release([a_gap(1, 9)])

    assert await journal.unrecorded() == []
    assert await journal.claim_gaps([a_gap(1, 9)]) == [slot(9)]


async def test_entries_are_numbered_from_one(journal: Journal) -> None:
    assert await journal.append(RUN, opened(), 0) == 1
    assert await journal.append(RUN, intent(), 1) == 2
    assert await journal.append(run_id(2), opened(), 0) == 1


async def test_an_entry_after_somebody_elses_is_fenced_and_leaves_no_trace(journal: Journal) -> None:
    await journal.append(RUN, opened(), 0)
    await journal.append(RUN, intent(), 1)

    assert await journal.append(RUN, intent("late"), 1) == Fenced(2)
    assert await journal.append(RUN, intent("early"), 7) == Fenced(2)
    assert await journal.append(run_id(2), intent("unknown"), 3) == Fenced(0)

    assert await journal.open_runs() == [OpenRun(RUN, (opened(), intent()))]


async def test_of_many_who_append_after_the_same_number_one_wins(journal: Journal) -> None:
    await journal.append(RUN, opened(), 0)

    answers = await asyncio.gather(*(journal.append(RUN, intent(f"step{n}"), 1) for n in range(20)))

    assert answers.count(2) == 1
    assert answers.count(Fenced(2)) == 19


async def test_a_run_is_open_while_one_of_its_intents_is_not_settled(journal: Journal) -> None:
    entries: tuple[Entry, ...] = (opened(), intent("a", 1), intent("b", 2), Settled("a", "closed"))
    for number, entry in enumerate(entries):
        await journal.append(RUN, entry, number)

    assert await journal.open_runs() == [OpenRun(RUN, entries)]

    await journal.append(RUN, Settled("b", "never_left"), 4)
    assert list(await journal.open_runs()) == []


async def test_a_run_that_meant_to_do_nothing_is_not_open(journal: Journal) -> None:
    await journal.append(RUN, opened(), 0)
    await journal.append(RUN, Learned("look", {"id": 1}), 1)

    assert list(await journal.open_runs()) == []


async def test_what_was_learned_comes_back_with_the_intent(journal: Journal) -> None:
    entries: tuple[Entry, ...] = (opened(), intent(), Learned("order", {"id": "o-1", "deep": [{"é": None}]}))
    for number, entry in enumerate(entries):
        await journal.append(RUN, entry, number)

    (owing,) = await journal.open_runs()

    assert owing.entries == entries


async def test_the_oldest_debt_comes_first(journal: Journal) -> None:
    for number in (9, 3, 5):
        await journal.append(run_id(number), opened(), 0)
        await journal.append(run_id(number), intent(), 1)

    assert [owing.run_id for owing in await journal.open_runs()] == [run_id(9), run_id(3), run_id(5)]


async def test_a_journeys_text_is_kept_by_its_digest(journal: Journal) -> None:
    await journal.keep_text("v1", "steps: [é]")
    await journal.keep_text("v1", "steps: [é]")

    assert await journal.text("v1") == "steps: [é]"
    assert await journal.text("v2") is None


async def test_prune_forgets_what_is_old_and_owes_nothing(journal: Journal) -> None:
    for number in (0, 1, 20):
        await journal.claim(a_claim(number))
    await journal.release([a_claim(0), a_claim(20)])
    for number, settled in ((1, True), (2, False), (20, True)):
        await journal.append(run_id(number), opened(number), 0)
        await journal.append(run_id(number), intent(), 1)
        if settled:
            await journal.append(run_id(number), Settled("order", "closed"), 2)

    forgotten = await journal.prune(slot(10))

    assert forgotten == 2  # the claim of slot 0, the run of minute 1
    assert await journal.unrecorded() == [a_claim(1)]
    assert [owing.run_id for owing in await journal.open_runs()] == [run_id(2)]
    assert await journal.append(run_id(1), intent(), 3) == Fenced(0)
    assert await journal.append(run_id(20), intent(), 3) == 4
    assert await journal.claim(a_claim(20)) is False


async def test_an_entry_without_a_time_zone_is_refused_and_leaves_the_journal_working(journal: Journal) -> None:
    naive = Claim("checkout", slot(0).replace(tzinfo=None), "", RUN, slot(0))

    others = asyncio.gather(*(journal.claim(a_claim(number)) for number in range(1, 5)))
    with pytest.raises(ValueError, match="time zone"):
        await journal.claim(naive)

    assert await others == [True] * 4

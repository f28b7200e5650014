"""What every history promises, tried on each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from synthmon.core.history import History
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import ClauseRecord
from synthmon.store.open import open_history
from tests.store.samples import a_record, run_id, slot, some_evidence

A_CLAUSE = ClauseRecord("happens order.placed", "checkout.yaml:9", "pass", "it happened", ("order.placed:1",))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def history(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[History]:
    match request.param:
        case "memory":
            url = "memory:"
        case "sqlite":
            url = f"sqlite:///{tmp_path}/synthmon.db"
        case _:
            url = request.getfixturevalue("postgres_url")
    opened = await open_history(url)
    yield opened
    await opened.aclose()


async def test_a_record_comes_back_whole(history: History) -> None:
    record = a_record()

    assert await history.save([record]) == [record]

    assert await history.run(record.run_id) == record


async def test_nothing_saved_is_nothing_new(history: History) -> None:
    assert list(await history.save([])) == []


async def test_a_slot_is_kept_once_and_the_first_record_stays(history: History) -> None:
    first, second = a_record(), a_record(run_id=run_id(77), outcome=Outcome.FAILED)

    assert await history.save([first]) == [first]
    assert list(await history.save([second])) == []

    assert [kept.run_id for kept in await history.recent()] == [first.run_id]


async def test_the_same_slot_twice_in_one_call_is_new_once(history: History) -> None:
    record, again = a_record(), a_record()

    assert len(await history.save([record, again])) == 1


async def test_the_same_slot_of_another_journey_or_location_is_another(history: History) -> None:
    records = [a_record(), a_record(journey="signup"), a_record(location="fra")]

    assert len(await history.save(records)) == 3


async def test_of_many_who_save_the_same_slot_one_is_told_that_it_was_new(history: History) -> None:
    rivals = [[a_record(number, run_id=run_id(100 * rival + number)) for number in range(20)] for rival in range(5)]

    new = await asyncio.gather(*(history.save(records) for records in rivals))

    assert sorted(record.slot for kept in new for record in kept) == [slot(number) for number in range(20)]


async def test_manual_runs_are_kept_beside_the_slot_once_by_their_id(history: History) -> None:
    scheduled = a_record()
    manual = [a_record(run_id=run_id(number), cause="manual") for number in (5, 6)]

    assert len(await history.save([scheduled, *manual])) == 3
    assert list(await history.save(manual)) == []


async def test_a_run_is_found_by_its_first_digits(history: History) -> None:
    await history.save([a_record(0x12345601), a_record(0x12345602), a_record(0xABCDEF00)])

    found = await history.run("abcdef")

    assert found is not None
    assert found.run_id == run_id(0xABCDEF00)
    assert await history.run("123457") is None
    with pytest.raises(LookupError, match="Several runs start with '123456'"):
        await history.run("123456")
    with pytest.raises(LookupError, match="at least 6 digits"):
        await history.run("12345")


async def test_the_whole_id_is_found_even_when_another_one_begins_with_it(history: History) -> None:
    await history.save([a_record(0, run_id="abcdef"), a_record(1, run_id="abcdef01")])

    found = await history.run("abcdef")

    assert found is not None
    assert found.run_id == "abcdef"


async def test_recent_tells_the_newest_first_without_steps(history: History) -> None:
    await history.save([a_record(number) for number in (1, 3, 2)])

    recent = await history.recent(limit=2)

    assert recent == [replace(a_record(number), steps=(), verify=(), undo=()) for number in (3, 2)]


async def test_recent_can_be_narrowed_and_continued(history: History) -> None:
    outcomes = (Outcome.PASSED, Outcome.FAILED, Outcome.FLAKY, Outcome.MISSED)
    for journey in ("checkout", "signup"):
        await history.save([a_record(n, journey, outcome=outcomes[n % 4], run_id="") for n in range(12)])

    bad = await history.recent("signup", (Outcome.FAILED, Outcome.FLAKY), limit=3)
    more = await history.recent("signup", (Outcome.FAILED, Outcome.FLAKY), limit=3, before=bad[-1].slot)

    assert [record.slot for record in bad] == [slot(10), slot(9), slot(6)]
    assert [record.slot for record in more] == [slot(5), slot(2), slot(1)]
    assert {record.journey for record in (*bad, *more)} == {"signup"}
    assert len(await history.recent(outcomes=(Outcome.PASSED,))) == 6


async def test_the_last_slot_of_each_journey_and_location_counts_the_schedule_alone(history: History) -> None:
    await history.save([a_record(number) for number in range(5)])
    await history.save([a_record(2, location="fra"), a_record(1, journey="signup")])
    for journey in ("a by hand", "checkout", "z by hand"):  # before, among and after the others
        await history.save([a_record(9, journey, cause="manual")])

    assert await history.last_slots() == {
        ("checkout", ""): slot(4),
        ("checkout", "fra"): slot(2),
        ("signup", ""): slot(1),
    }


async def test_a_history_without_records_has_no_last_slot(history: History) -> None:
    assert await history.last_slots() == {}
    assert await history.totals() == {}
    assert list(await history.recent()) == []


async def test_totals_count_slots_and_not_records(history: History) -> None:
    gap = a_record(9, outcome=Outcome.MISSED, reason=Reason.DOWN, slots=7, run_id="", steps=())
    await history.save([a_record(1), a_record(2), gap, a_record(3, journey="signup")])

    assert await history.totals("checkout") == {
        ("checkout", Outcome.PASSED, ""): 2,
        ("checkout", Outcome.MISSED, "down"): 7,
    }
    assert sum((await history.totals()).values()) == 10


async def test_prune_forgets_the_good_first_and_the_bad_later(history: History) -> None:
    bad = {0: Outcome.FAILED, 3: Outcome.UNKNOWN, 6: Outcome.FLAKY}
    await history.save([a_record(number, outcome=bad.get(number, Outcome.PASSED)) for number in range(10)])

    forgotten = await history.prune(before=slot(8), keep_failed_before=slot(2))

    assert forgotten == 5 + 1
    assert [record.slot for record in await history.recent()] == [slot(9), slot(8), slot(6), slot(3)]


async def test_prune_forgets_more_than_fits_in_one_batch(history: History) -> None:
    await history.save([a_record(number, steps=()) for number in range(1300)])

    assert await history.prune(before=slot(1300), keep_failed_before=slot(0)) == 1300
    assert list(await history.recent()) == []


async def test_a_record_that_cannot_be_kept_leaves_the_others_alone(history: History) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await history.save([a_record(slot=slot(1).replace(tzinfo=None))])

    assert len(await history.save([a_record(2)])) == 1


async def test_instants_of_another_zone_are_the_same_slot(history: History) -> None:
    berlin = slot(0).astimezone(ZoneInfo("Europe/Berlin"))

    assert len(await history.save([a_record(slot=berlin)])) == 1
    assert list(await history.save([a_record()])) == []
    assert await history.last_slots() == {("checkout", ""): slot(0)}


async def test_many_callers_at_once_each_hear_of_their_own(history: History) -> None:
    records = [a_record(number, steps=()) for number in range(400)]

    answers = await asyncio.gather(*(history.save([record]) for record in records))

    assert answers == [[record] for record in records]
    assert len(await history.recent(limit=1000)) == 400


async def test_a_caller_that_goes_away_does_not_disturb_the_others(history: History) -> None:
    leaving = [asyncio.create_task(history.save([a_record(number)])) for number in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)

    saved = await history.save([a_record(100, run_id=run_id(5))])

    assert len(saved) == 1


async def test_slots_apart_by_a_microsecond_are_two(history: History) -> None:
    records = [a_record(0), a_record(slot=slot(0) + timedelta(microseconds=1))]

    assert len(await history.save(records)) == 2


async def test_whole_runs_are_told_the_newest_first_and_can_be_narrowed_and_continued(history: History) -> None:
    outcomes = (Outcome.PASSED, Outcome.FAILED)
    runs = [
        a_record(n, outcome=outcomes[n % 2], version=f"v{n // 6}", evidence=some_evidence(3), clauses=(A_CLAUSE,))
        for n in range(10)
    ]
    without_run = a_record(20, outcome=Outcome.MISSED, steps=(), verify=(), run_id="")
    await history.save([*runs, without_run, a_record(3, "signup")])

    told = await history.told("checkout", limit=4)
    failed = await history.told("checkout", (Outcome.FAILED,), limit=2)
    more = await history.told("checkout", (Outcome.FAILED,), before=failed[-1].slot)
    newer = await history.told("checkout", version="v1")

    assert list(told) == runs[:5:-1]
    assert list(failed) == [runs[9], runs[7]]
    assert list(more) == [runs[5], runs[3], runs[1]]
    assert list(newer) == runs[:5:-1]
    assert list(await history.told("refund")) == []


async def test_a_run_with_very_much_evidence_comes_back_whole(history: History) -> None:
    record = a_record(evidence=some_evidence(5000))

    await history.save([record])

    assert await history.run(record.run_id) == record
    assert list(await history.told("checkout")) == [record]


async def test_of_good_runs_the_newest_keep_their_evidence_and_the_others_say_that_they_had_some(
    history: History,
) -> None:
    runs = [a_record(n, location=place, evidence=some_evidence(2)) for n in range(6) for place in ("", "fra")]
    runs = [replace(record, run_id=run_id(number)) for number, record in enumerate(runs)]
    bad = a_record(0, "signup", outcome=Outcome.FAILED, evidence=some_evidence(2))
    await history.save([*runs, bad, a_record(9, cause="manual", run_id=run_id(99))])

    forgotten = await history.forget_evidence(keep=4)
    again = await history.forget_evidence(keep=4)

    old, new = await history.run(runs[3].run_id), await history.run(runs[4].run_id)
    assert (forgotten, again) == (4, 0)
    assert old == replace(runs[3], evidence=(), evidence_forgotten=True)
    assert new == runs[4]
    assert list(await history.told("signup")) == [bad]
    without = await history.run(run_id(99))
    assert without is not None
    assert not without.evidence_forgotten


async def test_good_runs_beyond_those_that_keep_evidence_fit_in_more_than_one_batch(history: History) -> None:
    await history.save([a_record(number, evidence=some_evidence(1)) for number in range(1200)])

    assert await history.forget_evidence(keep=100) == 1100
    assert [bool(record.evidence) for record in await history.told("checkout", limit=101)] == [True] * 100 + [False]

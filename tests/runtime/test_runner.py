"""Every slot that is due ends as exactly one record, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from synthmon.core.journey import Every, Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Due, due, gap, next_slot
from synthmon.core.status import Busy
from synthmon.core.undo.intents import Claim
from synthmon.identities.pools import MemoryLeases
from synthmon.language.settings import Accounts, QuietWindow, Settings
from synthmon.runtime.people import People
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import Stage, make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

SLOT = START + timedelta(minutes=1)
READ = journey(step("read", "GET /a"))


def at(slot: datetime) -> Due:
    return Due(slot, slot)


async def settled(stage: Stage, seconds: float = 300.0) -> Record:
    """The only record, once everything has happened."""
    await asyncio.sleep(seconds)
    (record,) = stage.told
    return record


def test_a_slot_runs_at_its_instant_and_is_kept_before_it_is_told() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200), clock)

        stage.runner.take(READ, at(SLOT))
        record = await settled(stage)

        assert (record.outcome, record.slot, record.started, record.lateness_ms) == (Outcome.PASSED, SLOT, SLOT, 0.0)
        assert await stage.history.run(record.run_id) == record
        assert not await stage.journal.unrecorded()

    run_virtual(story)


def test_a_slot_that_another_daemon_took_is_not_told_twice() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal = MemoryJournal()
        stage = make_stage(lambda request, envelope: Answer(200), clock, journal=journal)
        await journal.claim(Claim(READ.name, SLOT, "", "f" * 32, START))

        stage.runner.take(READ, at(SLOT))
        await asyncio.sleep(300)

        assert stage.told == []

    run_virtual(story)


def test_a_run_that_is_still_going_makes_the_next_slot_missed() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        slow = journey(step("read", "GET /a", timeout=100), deadline_s=80.0)
        stage = make_stage(lambda request, envelope: Answer(200, delay_s=90), clock)

        stage.runner.take(slow, at(SLOT))
        stage.runner.take(slow, at(SLOT + timedelta(minutes=1)))
        await asyncio.sleep(400)

        assert [(r.outcome, r.reason) for r in stage.told] == [
            (Outcome.MISSED, Reason.OVERLAP),
            (Outcome.FAILED, Reason.DEADLINE),
        ]

    run_virtual(story)


def test_due_times_that_came_too_late_are_one_record_that_counts_them() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200), clock)
        await asyncio.sleep(300)
        come = gap(READ.schedule, READ.name, START - timedelta(minutes=1), START + timedelta(minutes=4))
        assert come is not None

        stage.runner.take(READ, due(come, READ.schedule, READ.name, clock.now()))
        await asyncio.sleep(300)

        assert stage.count() == {Outcome.MISSED: 5}
        assert [record.slot for record in stage.told] == [come.last]

    run_virtual(story)


def test_a_paused_journey_is_skipped_not_green() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200), clock)
        stage.runner.paused = lambda name: True

        stage.runner.take(READ, at(SLOT))
        record = await settled(stage)

        assert (record.outcome, record.reason) == (Outcome.SKIPPED, Reason.PAUSED)

    run_virtual(story)


def test_nothing_starts_in_a_quiet_window() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        window = QuietWindow("0 0 * * *", 3600.0, ("prob*",))
        asked: list[str] = []
        stage = make_stage(
            lambda request, envelope: asked.append(request) or Answer(200), clock, Settings(quiet=(window,))
        )

        stage.runner.take(READ, at(SLOT))
        record = await settled(stage)

        assert (record.outcome, record.reason, asked) == (Outcome.SKIPPED, Reason.QUIET, [])

    run_virtual(story)


def test_without_a_free_place_until_the_next_slot_the_slot_is_missed() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200, delay_s=100), clock, Settings(concurrency=1))
        slow = journey(step("read", "GET /a", timeout=200), deadline_s=150)

        stage.runner.take(replace(slow, name="first"), at(SLOT))
        stage.runner.take(replace(slow, name="second"), at(SLOT))
        await asyncio.sleep(400)

        assert {(r.journey, r.outcome, r.reason) for r in stage.told} == {
            ("first", Outcome.PASSED, Reason.NONE),
            ("second", Outcome.MISSED, Reason.BACKLOG),
        }

    run_virtual(story)


def test_no_free_account_is_ours() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        source = Accounts("clerks.yaml", 0.0, None, ({"name": "clerk-1", "email": "c@example.com"},))
        stage = make_stage(lambda request, envelope: Answer(200, delay_s=5), clock)
        stage.runner.lent = replace(stage.runner.lent, people=People({"clerk": source}, MemoryLeases()))
        lent = journey(step("read", "GET /${identity.email}", timeout=9), identity="clerk")

        stage.runner.take(replace(lent, name="a"), at(SLOT))
        stage.runner.take(replace(lent, name="b"), at(SLOT))
        stage.runner.take(replace(lent, name="a"), at(SLOT + timedelta(minutes=1)))
        await asyncio.sleep(400)

        assert [(r.outcome, r.reason) for r in stage.told] == [
            (Outcome.UNKNOWN, Reason.NO_IDENTITY),
            (Outcome.PASSED, Reason.NONE),
            (Outcome.PASSED, Reason.NONE),
        ]

    run_virtual(story)


class FullDisk(MemoryHistory):
    """A history whose disk is full for a while."""

    full = True

    async def save(self, records: Sequence[Record]) -> Sequence[Record]:
        if self.full:
            raise OSError(28, "No space left on device")
        return await super().save(records)


def test_a_run_that_cannot_be_kept_is_never_green_and_is_kept_later() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        history = FullDisk()
        stage = make_stage(lambda request, envelope: Answer(200), clock, history=history)
        stage.runner.take(READ, at(SLOT))
        await asyncio.sleep(100)
        history.full = False

        stage.runner.take(READ, at(SLOT + timedelta(minutes=1)))
        await asyncio.sleep(100)

        assert [(r.outcome, r.reason) for r in stage.told] == [
            (Outcome.UNKNOWN, Reason.HISTORY_UNWRITABLE),
            (Outcome.PASSED, Reason.NONE),
        ]
        assert sum((await history.totals()).values()) == 2

    run_virtual(story)


class DeadJournal(MemoryJournal):
    """A journal on a disk that fails."""

    async def claim(self, claim: Claim) -> bool:
        raise OSError(5, "Input/output error")


def test_without_a_journal_nothing_leaves() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        asked: list[str] = []
        stage = make_stage(lambda request, envelope: asked.append(request) or Answer(200), clock, journal=DeadJournal())

        stage.runner.take(READ, at(SLOT))
        record = await settled(stage)

        assert (record.outcome, record.reason, asked) == (Outcome.UNKNOWN, Reason.JOURNAL_UNWRITABLE, [])

    run_virtual(story)


def test_stopping_interrupts_runs_which_undo_what_they_made() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        asked: list[str] = []

        def shop(request: str, envelope: object) -> Answer:
            asked.append(request)
            if request.startswith("DELETE"):
                return Answer(204 if asked.count(request) == 1 else 404)
            return Answer(200, {"id": "7", "n": 0})

        making = journey(
            step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}"),
            step("wait", "GET /w", expect=("body.n == 1",), within=40),
        )
        stage = make_stage(shop, clock)
        stage.runner.take(making, at(SLOT))
        await asyncio.sleep(70)

        await stage.runner.stop(grace_s=20)

        (record,) = stage.told
        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.INTERRUPTED)
        assert "DELETE /o/7" in asked
        assert not await stage.journal.open_runs()

    run_virtual(story)


def test_a_slot_that_waits_when_the_daemon_stops_is_missed_as_prepared() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200), clock)
        stage.runner.take(READ, at(START + timedelta(seconds=3)))
        await asyncio.sleep(1)

        await stage.runner.stop(grace_s=20)

        (record,) = stage.told
        assert (record.outcome, record.reason) == (Outcome.MISSED, Reason.PREPARED)

    run_virtual(story)


def test_a_manual_run_is_refused_while_one_is_going_on() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200, delay_s=2), clock)

        run_id = stage.runner.run_now(READ)
        with pytest.raises(Busy, match="running already"):
            stage.runner.run_now(READ)
        record = await settled(stage)

        assert (record.run_id, record.cause, record.outcome) == (run_id, "manual", Outcome.PASSED)

    run_virtual(story)


@pytest.mark.parametrize("stall_s", [0.0, 45.0, 700.0])
def test_whatever_stalls_every_slot_is_accounted_for(stall_s: float) -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda request, envelope: Answer(200, delay_s=0.5), clock)
        frequent: Journey = replace(READ, schedule=Every(10.0))
        at, rung, slots = START, 0, 0
        while slots < 120:
            slot = next_slot(frequent.schedule, frequent.name, at)
            await asyncio.sleep(max(0.0, (slot - clock.now()).total_seconds() - 1))
            if rung == 30:
                loop.stall(stall_s)
            come = gap(frequent.schedule, frequent.name, at, max(slot, clock.now() + timedelta(seconds=1)))
            assert come is not None
            stage.runner.take(frequent, due(come, frequent.schedule, frequent.name, clock.now()))
            at, rung, slots = come.last, rung + 1, slots + come.count
        await asyncio.sleep(60)

        assert sum(record.slots for record in stage.told) == slots
        assert len({record.slot for record in stage.told}) == len(stage.told)

    run_virtual(story)

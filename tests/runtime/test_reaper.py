"""What dead runs owe is repaid: soon when the target is well, patiently when it is not, and never forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Due
from synthmon.store.journal_memory import MemoryJournal
from tests.core.scripted import journey, step
from tests.runtime.actors import make_stage
from tests.runtime.owing import ORDERING, Target, a_reaper, at_system, owe, settings_of
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

HOUR_S = 3600.0
MANY = 500
READ = journey(step("read", "GET /a"))


def down_until(until_s: float, how: int | Reason = Reason.REFUSED) -> Callable[[float], int | Reason | None]:
    return lambda now_s: how if now_s < until_s else None


def test_after_a_restart_with_a_healthy_target_everything_is_repaid_within_a_minute() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock)
        await owe(journal, target, MANY)
        reaper = a_reaper(target, journal)

        working = asyncio.create_task(reaper.run())
        await asyncio.sleep(60)

        assert (target.there, list(await journal.open_runs()), list(reaper.debts())) == (set(), [], [])
        working.cancel()

    run_virtual(story)


@pytest.mark.parametrize(
    ("how", "debts", "minutes"),
    [(Reason.REFUSED, MANY, 60), *((how, 30, 10) for how in (Reason.TIMEOUT, 503, 500, 429, 401))],
)
def test_a_target_that_is_down_is_tried_once_a_minute_and_no_debt_is_lost(
    how: int | Reason, debts: int, minutes: int
) -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock, down_until(minutes * 60, how))
        await owe(journal, target, debts)
        reaper = a_reaper(target, journal)

        working = asyncio.create_task(reaper.run())
        await asyncio.sleep(minutes * 60)
        tries = [target.tries(minute * 60, minute * 60 + 60) for minute in range(minutes)]
        lost = debts - len(await journal.open_runs())
        await asyncio.sleep(60 + 2 * debts * target.delay_s + 10)

        assert (max(tries), lost) == (1, 0)
        assert sum(tries) >= 0.8 * minutes, "it hardly asked at all"
        assert (target.there, list(await journal.open_runs())) == (set(), [])
        working.cancel()

    run_virtual(story)


def test_the_tries_of_many_debts_are_shared_so_that_one_that_is_always_refused_keeps_none_from_being_paid() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock)
        await owe(journal, target, 20)
        target.broken = "probe-0"
        reaper = a_reaper(target, journal)

        working = asyncio.create_task(reaper.run())
        await asyncio.sleep(300)

        assert target.there == {"probe-0"}
        assert [owing.debt.path for owing in reaper.debts()] == ["order"]
        working.cancel()

    run_virtual(story)


def test_a_dead_target_does_not_delay_what_is_owed_to_another() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock)
        await owe(journal, target, 50, "other", "probe-at-other")
        await owe(journal, target, 50)
        target.broken = "probe-at-other"
        reaper = a_reaper(target, journal, settings_of("shop", "other"))

        working = asyncio.create_task(reaper.run())
        await asyncio.sleep(59)

        assert {owing.debt.system for owing in reaper.debts()} == {"other"}
        dead = [request for _, request in target.asked if "probe-at-other" in request]
        assert (len(reaper.debts()), len(dead)) == (50, 1)
        working.cancel()

    run_virtual(story)


def test_the_tries_and_their_reasons_survive_a_restart(tmp_path: Path) -> None:
    journal = MemoryJournal()
    kept = tmp_path / "tries.json"

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        target = Target(clock, down_until(HOUR_S))
        await owe(journal, target, 1)
        first = a_reaper(target, journal, tries=kept)
        await first.look()
        for debt in first._arrears.due():  # a file is written in a thread, which a virtual loop cannot wait for
            first._arrears.tried(debt.id, "DELETE /o/7 → 500")
        first._arrears.keep()

        second = a_reaper(target, journal, tries=kept)
        await second.look()

        (owing,) = second.debts()
        assert (owing.tried.times, owing.tried.reason) == (1, "DELETE /o/7 → 500")
        assert owing.next_try is None, "a restart tries at once"

    run_virtual(story)
    kept.write_bytes(b"not json")
    run_virtual(lambda loop, clock: a_reaper(Target(clock), journal, tries=kept).look())


def test_a_debt_tells_what_a_person_would_do_by_hand() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock, down_until(HOUR_S))
        await owe(journal, target, 1)
        reaper = a_reaper(target, journal)

        await reaper.look()

        (told,) = [owing.told(clock.now()) for owing in reaper.debts()]
        assert str(told["by_hand"]).startswith("DELETE http://shop/o/probe-0 ")
        assert told["id"] == f"{told['run']}:order"
        assert str(told["tag"]).startswith("syn-")

    run_virtual(story)


def test_what_may_still_be_running_is_no_debt() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, target = MemoryJournal(), Target(clock)
        await owe(journal, target, 3, started=START)
        reaper = a_reaper(target, journal)

        await reaper.round()
        early = (len(reaper.debts()), len(target.asked))
        await asyncio.sleep(600)
        await reaper.round()

        assert early == (0, 0)
        assert target.there == set()

    run_virtual(story)


def test_over_the_budget_no_run_that_creates_starts_until_enough_is_repaid() -> None:
    """Also the runs that leave the debts: each counts from the moment it is told, before the next look."""

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        target = Target(clock)
        settings = settings_of("shop", in_each=3)
        journal = MemoryJournal()
        reaper = a_reaper(target, journal, settings)
        making, told = at_system(ORDERING, "shop"), list[Record]()

        def tell(record: Record, probe: Journey) -> None:
            told.append(record)
            if any(debt.state == "owed" for debt in record.debts):
                reaper.take_over(record, probe)

        stage = make_stage(target.answer, clock, settings, journal, tell=tell)
        stage.runner.indebted = lambda probe: reaper.budget().refusal(probe)
        target.deaf = "DELETE"
        for minute in range(1, 11):
            stage.runner.take(making, Due(slot := START + timedelta(minutes=minute), slot))
            stage.runner.take(replace(READ, name=f"read-{minute}"), Due(slot, slot))
        await asyncio.sleep(1200)
        made = sum(request.startswith("POST") for _, request in target.asked)
        outcomes = Counter((record.outcome, record.reason) for record in told)
        target.deaf = ""
        await reaper.round()
        stage.runner.take(making, Due(slot := clock.now(), slot))
        await asyncio.sleep(60)

        assert made == 4, "three are allowed; the fourth makes it too many"
        assert outcomes[Outcome.SKIPPED, Reason.DEBTS] == 6
        assert outcomes[Outcome.PASSED, Reason.NONE] == 14, "those that only read go on"
        assert told[-1].outcome is Outcome.PASSED
        assert target.there == set()

    run_virtual(story)

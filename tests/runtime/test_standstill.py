"""The daemon, or the machine under it, stands still for hours: each slot is told once, and it costs next to nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from synthmon.core.journey import Every, Journey
from synthmon.core.outcomes import Reason
from synthmon.core.run import Record
from synthmon.core.slots import Gap, due, gap, next_slot
from synthmon.core.undo.intents import Claim
from synthmon.runtime.clock import ALARMS_AT_ONCE, Bell
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.late import AT_ONCE
from synthmon.runtime.runner import Runner
from synthmon.store.journal_memory import MemoryJournal
from synthmon.store.memory import MemoryHistory
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

DAY_S = 86_400.0
READ = replace(journey(step("read", "GET /a")), schedule=Every(60.0))


@dataclass
class Counted(MemoryJournal):
    """A journal that counts what it is asked to write."""

    def __post_init__(self) -> None:
        super().__init__()
        self.claims = self.gaps = self.batches = 0

    async def claim(self, claim: Claim) -> bool:
        self.claims += 1
        return await super().claim(claim)

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        self.gaps += len(claims)
        self.batches += 1
        return await super().claim_gaps(claims)


def test_a_day_asleep_of_ten_thousand_journeys_is_one_record_and_one_claim_for_each_and_they_go_on() -> None:
    probes = {f"journey-{n}": replace(READ, name=f"journey-{n}") for n in range(10_000)}
    journal, told = Counted(), list[Record]()

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda *_: Answer(200), clock, journal=journal, tell=lambda record, _: told.append(record))
        stage.runner.paused = lambda name: True  # its slots are claimed and told as ever; ten thousand runs take long
        bell = Bell(lambda name, come: _take(stage.runner, probes[name], come, clock), clock)
        bell.keep(((name, probe.schedule) for name, probe in probes.items()), clock.now())
        loop.stall(DAY_S)

        for name in probes:
            bell.look(name)
        await asyncio.sleep(30)

    run_virtual(story)
    gaps = [record for record in told if record.reason is Reason.LATE_BELL]
    until = START + timedelta(seconds=DAY_S + 1)
    wanted = [gap(probe.schedule, name, START, until) for name, probe in probes.items()]
    assert len(gaps) == len({record.journey for record in gaps}) == 10_000
    assert sum(record.slots for record in told) == sum(each.count for each in wanted if each)
    assert journal.gaps == 10_000
    assert journal.claims == len(told) - 10_000 <= 10_000
    assert journal.batches <= 10_000 / AT_ONCE + 1
    assert journal.claims > 2_000, "the newest slots that are still valid are filled"


def _take(runner: Runner, probe: Journey, come: Gap, clock: VirtualClock) -> None:
    runner.take(probe, due(come, probe.schedule, probe.name, clock.now()))


async def test_alarms_that_are_all_due_at_once_ring_a_few_at_a_time() -> None:
    clock, rung, at_once = SteadyClock(), Counter[str](), [0]
    all_rung = asyncio.Event()

    def ring(name: str, come: Gap) -> None:
        rung[name] += come.count
        at_once[-1] += 1
        if len(rung) == 500:
            all_rung.set()

    async def watch() -> None:
        while True:
            await asyncio.sleep(0)
            at_once.append(0)

    bell = Bell(ring, clock)
    bell.keep(((f"journey-{n}", Every(3600.0)) for n in range(500)), clock.now() - timedelta(days=1))
    watching = asyncio.create_task(watch())
    bell.start()
    async with asyncio.timeout(60):
        await all_rung.wait()
    bell.stop()
    watching.cancel()

    assert max(at_once) <= ALARMS_AT_ONCE
    assert min(rung.values()) >= 24


def test_a_run_that_was_to_start_while_the_machine_slept_is_missed() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda *_: Answer(200), clock)
        slot = START + timedelta(seconds=30)
        _take(stage.runner, READ, Gap(1, slot, slot), clock)
        await asyncio.sleep(29.5)
        loop.stall(DAY_S)
        await asyncio.sleep(60)

        (record,) = stage.told
        assert (record.outcome, record.reason, record.slot) == ("missed", Reason.LATE_BELL, slot)

    run_virtual(story)


class Frozen:
    """A daemon's way to its store: whatever it asks for waits while it stands still, before and after it is done."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop, self.until_s = loop, 0.0

    async def thaw(self) -> None:
        while (left_s := self.until_s - self._loop.time()) > 0:  # noqa: ASYNC110  it may freeze again meanwhile
            await asyncio.sleep(left_s)


class FrozenJournal(MemoryJournal):
    def __init__(self, inner: MemoryJournal, frozen: Frozen) -> None:
        super().__init__()
        self._inner, self._frozen = inner, frozen

    async def claim(self, claim: Claim) -> bool:
        await self._frozen.thaw()
        taken = await self._inner.claim(claim)
        await self._frozen.thaw()
        return taken

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        await self._frozen.thaw()
        taken = await self._inner.claim_gaps(claims)
        await asyncio.sleep(0.01)  # time enough to fall asleep in
        await self._frozen.thaw()
        return taken

    async def release(self, claims: Sequence[Claim]) -> None:
        await self._inner.release(claims)


class FrozenHistory(MemoryHistory):
    def __init__(self, inner: MemoryHistory, frozen: Frozen) -> None:
        super().__init__()
        self._inner, self._frozen = inner, frozen

    async def save(self, records: Sequence[Record]) -> Sequence[Record]:
        await self._frozen.thaw()
        return await self._inner.save(records)


@pytest.mark.parametrize("seed", range(4))
def test_two_daemons_that_stand_still_as_they_like_together_tell_each_slot_once(seed: int) -> None:
    chance, hours = random.Random(seed), 12
    probes = [replace(READ, name=f"probe-{n}", schedule=Every([60.0, 300.0, 3600.0][n % 3])) for n in range(6)]
    told: Counter[str] = Counter()
    counted = 0

    def tell(record: Record, _: object) -> None:
        told[record.journey] += record.slots

    def count(slots: int) -> None:
        nonlocal counted
        counted += slots

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        journal, history, end = MemoryJournal(), MemoryHistory(), START + timedelta(hours=hours)

        async def live(probe: Journey, runner: Runner, frozen: Frozen) -> None:
            at = START
            while (slot := next_slot(probe.schedule, probe.name, at)) <= end:
                await asyncio.sleep(max(0.0, (slot - clock.now()).total_seconds() - 1.0))
                await frozen.thaw()
                come = gap(probe.schedule, probe.name, at, max(slot, min(end, clock.now() + timedelta(seconds=1))))
                assert come is not None
                _take(runner, probe, come, clock)
                at = come.last

        async def freeze(frozens: Sequence[Frozen]) -> None:
            while clock.now() < end:
                await asyncio.sleep(chance.expovariate(1 / 900))
                for frozen in chance.choice([frozens[:1], frozens[1:], frozens]):
                    frozen.until_s = loop.time() + chance.choice([0.5, 30.0, 400.0, 7_000.0])

        frozens = [Frozen(loop), Frozen(loop)]
        lives = []
        for frozen in frozens:
            stores = FrozenJournal(journal, frozen), FrozenHistory(history, frozen)
            stage = make_stage(lambda *_: Answer(200), clock, journal=stores[0], history=stores[1], tell=tell)
            stage.runner.scheduled = count
            lives += [asyncio.create_task(live(probe, stage.runner, frozen)) for probe in probes]
        freezing = asyncio.create_task(freeze(frozens))
        await asyncio.gather(*lives)
        freezing.cancel()
        await asyncio.sleep(8_000)

    run_virtual(story)
    due_slots = {each.name: gap(each.schedule, each.name, START, START + timedelta(hours=hours)) for each in probes}
    assert told == {name: slots.count for name, slots in due_slots.items() if slots}
    assert counted == sum(told.values())

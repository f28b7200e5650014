"""Starts stay spread: at the beginning, after a restart, and after the machine stood still for ten minutes."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from synthmon.core.journey import Every
from synthmon.core.run import Record
from synthmon.core.slots import due, gap, next_slot
from synthmon.language.settings import Settings
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.dead_target import Target
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

EVERY_S, FREEZE_S = 60.0, 600.0
READ = journey(step("read", "GET /a"))


@dataclass
class Spread:
    """When runs started, and how many of each journey came late."""

    starts: Target = field(default_factory=lambda: Target(lambda at_s: Answer(200)))
    late: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    slots: int = 0


def spread(journeys: int, freeze_s: float) -> Spread:
    """Three minutes from a start in the midst of things; with a freeze, that long before the last two."""
    seen = Spread()
    probes = [replace(READ, name=f"journey-{n}", schedule=Every(EVERY_S)) for n in range(journeys)]

    def tell(record: Record, _: object) -> None:
        seen.slots += record.slots
        seen.gaps[record.journey] += record.slots > 1
        if record.started is not None:
            seen.late[record.journey] += record.lateness_ms > 250

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        def ask(request: str, envelope: object) -> Answer:
            seen.starts.asked_s.append(loop.time())
            return Answer(200)

        stage = make_stage(ask, clock, Settings(concurrency=journeys), tell=tell)
        end = START + timedelta(seconds=3 * EVERY_S + freeze_s)

        async def ring(name: str) -> None:
            probe, at = by_name[name], START
            while (slot := next_slot(probe.schedule, name, at)) <= end:
                await asyncio.sleep(max(0.0, (slot - clock.now()).total_seconds() - 1.0))
                come = gap(probe.schedule, name, at, max(slot, clock.now() + timedelta(seconds=1)))
                assert come is not None
                stage.runner.take(probe, due(come, probe.schedule, name, clock.now()))
                at = come.last

        by_name = {probe.name: probe for probe in probes}
        rings = [asyncio.create_task(ring(probe.name)) for probe in probes]
        if freeze_s:
            await asyncio.sleep(EVERY_S)
            loop.stall(freeze_s)
        await asyncio.gather(*rings)
        await asyncio.sleep(EVERY_S)

    run_virtual(story)
    return seen


@pytest.mark.parametrize(
    "late_s", [0.0, FREEZE_S, 3 * 86_400.0], ids=["restart", "ten minutes frozen", "three days asleep"]
)
def test_no_second_sees_more_than_twice_the_mean_of_ten_thousand_starts(late_s: float) -> None:
    thaw, target = START + timedelta(seconds=late_s), Target(lambda at_s: Answer(200))
    for n in range(10_000):
        name, every = f"journey-{n}", Every(EVERY_S)
        come = gap(every, name, START, thaw)
        decided = due(come, every, name, thaw) if come else None
        slot = next_slot(every, name, thaw)
        starts = [decided.start] if decided and decided.start else []
        starts += [slot, slot + timedelta(seconds=EVERY_S)]
        target.asked_s += [(start - thaw).total_seconds() for start in starts]
    target.asked_s.sort()

    assert target.most_in_a_second() <= 2 * 10_000 / EVERY_S


FREEZES = pytest.mark.parametrize(
    "freeze_s", [0.0, FREEZE_S, 86_400.0], ids=["a restart", "ten minutes of standing still", "a day's sleep"]
)


@FREEZES
def test_each_journey_catches_up_once_at_most_and_every_slot_is_told_a_gap_as_one_record(freeze_s: float) -> None:
    seen = spread(200, freeze_s)

    assert max(seen.late.values()) <= 1
    assert sum(seen.late.values()) > 0 or not freeze_s
    assert seen.slots == 200 * (3 + freeze_s / EVERY_S)
    assert set(seen.gaps.values()) == ({1} if freeze_s else {0})


@pytest.mark.torture
@FREEZES
def test_ten_thousand_journeys_stay_spread(freeze_s: float) -> None:
    seen = spread(10_000, freeze_s)

    print(f"10,000 journeys: at most {seen.starts.most_in_a_second()} starts in a second, mean {10_000 / EVERY_S:.0f}")
    assert seen.starts.most_in_a_second() <= 2 * 10_000 / EVERY_S
    assert max(seen.late.values()) <= 1

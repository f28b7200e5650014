"""A daemon learns from its runs: clocks that are off, and orders that are odd."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import BaseModel

from synthmon.core.door import OpenEar
from synthmon.core.evidence import Evidence, Tell, Wanted, Watermark
from synthmon.core.finding.normal import FEWEST_RUNS
from synthmon.core.journey import Journey, Promises
from synthmon.core.outcomes import Outcome
from synthmon.core.run import ODD_ORDER, Record
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sources import Means, Source
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.learning import Learning
from synthmon.store.memory import MemoryHistory
from tests.core.clock_offsets import Shop
from tests.core.scripted import PLACE, Answer, journey, step
from tests.core.told import STARTED, told
from tests.runtime.actors import Stage, make_stage
from tests.runtime.virtual import VirtualClock, VirtualLoop, run_virtual

SPANS = Source("spans", "simulated", None, lag_s=0.05)
MS = 1_000_000


def promising(*clauses: Clause) -> Journey:
    events = (EventSpec("charge", "spans", {"step": "charge"}), EventSpec("post", "spans", {"step": "post"}))
    return journey(step("order", "POST /orders"), promises=Promises(events, clauses, (SPANS,), within_s=2.0))


ORDERS = promising(Clause(Word.BEFORE, ("charge", "post"), PLACE))
GOOD = replace(told("charge post mail"), journey=ORDERS.name, version=ORDERS.digest)
ODD = replace(told("post charge mail"), journey=ORDERS.name, version=ORDERS.digest)


def learning(probe: Journey = ORDERS) -> Learning:
    made = Learning(lambda: "")
    made.load([probe])
    return made


async def recalled(history: MemoryHistory, made: Learning) -> Learning:
    """Once it has read everything."""
    task = asyncio.create_task(made.recall(history))
    async with asyncio.timeout(30):
        while made._unread or any(known.unread for known in made._clocks.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return made


async def test_of_replays_nothing_is_learnt_for_their_order_may_have_been_forced() -> None:
    forced = replace(ODD, outcome=Outcome.PASSED, cause="replay")
    history = MemoryHistory()
    await history.save([in_history(forced, number) for number in range(FEWEST_RUNS)])
    made = await recalled(history, learning())

    for _ in range(FEWEST_RUNS):
        made.take(forced, ORDERS)
        made.take(GOOD, ORDERS)

    assert made.take(ODD, ORDERS).notes == (f"{ODD_ORDER}post came before charge",)


async def test_an_order_that_good_runs_do_not_have_is_noted_after_a_hundred_of_them() -> None:
    made = await recalled(MemoryHistory(), learning())

    before = [made.take(GOOD, ORDERS) for _ in range(FEWEST_RUNS)]
    odd = made.take(replace(ODD, outcome=Outcome.FAILED), ORDERS)

    assert not any(record.notes for record in before)
    assert made.take(GOOD, ORDERS).notes == ()
    assert odd.notes == (f"{ODD_ORDER}post came before charge",)
    assert odd.outcome is Outcome.FAILED


async def test_what_history_remembers_need_not_be_learnt_again() -> None:
    history = MemoryHistory()
    await history.save([in_history(GOOD, number) for number in range(FEWEST_RUNS)])

    made = await recalled(history, learning())

    assert made.take(ODD, ORDERS).notes == (f"{ODD_ORDER}post came before charge",)


async def test_another_version_begins_anew() -> None:
    history = MemoryHistory()
    await history.save([in_history(GOOD, number) for number in range(FEWEST_RUNS)])
    made = await recalled(history, learning())

    made.load([replace(ORDERS, digest="another")])

    assert made.take(ODD, ORDERS).notes == ()


async def test_clocks_are_known_from_history_in_order_of_time() -> None:
    history, shop = MemoryHistory(), Shop.with_clocks(1, 100.0)
    for number in range(60):
        if number == 30:
            shop.off_ns["payments"] += 2_000 * MS  # somebody set it
        record, _ = shop.run(number)
        await history.save([replace(record, journey=ORDERS.name)])

    clocks = (await recalled(history, learning())).clocks(ORDERS)

    low_ns, high_ns = clocks.bounds("orders", "payments")
    assert low_ns <= shop.off_ns["payments"] - shop.off_ns["orders"] <= high_ns
    assert high_ns - low_ns < 100 * MS


async def test_runs_of_another_place_are_measured_by_another_clock_than_ours() -> None:
    history = MemoryHistory()
    await history.save([replace(in_history(GOOD, 1), location="fra")])

    assert not (await recalled(history, learning())).clocks(ORDERS).apart


async def test_what_comes_while_history_is_read_is_learnt_after_it() -> None:
    made, shop = learning(), Shop.with_clocks(1, 100.0)
    now, _ = shop.run(5)
    made.take(replace(now, journey=ORDERS.name), ORDERS)
    early = made.clocks(ORDERS)

    await recalled(MemoryHistory(), made)

    assert not early.apart
    assert made.clocks(ORDERS).apart


async def test_journeys_that_are_gone_are_forgotten() -> None:
    made = await recalled(MemoryHistory(), learning())
    made.take(GOOD, ORDERS)

    made.load([])

    assert not made._clocks
    assert not made._normal
    assert made.take(GOOD, ORDERS) is GOOD


async def test_learning_from_a_run_with_twenty_names_costs_little() -> None:
    made = await recalled(MemoryHistory(), learning())
    chance, names = random.Random(1), [f"step-{number}" for number in range(20)]
    records = []
    for _ in range(50):
        chance.shuffle(names)
        records.append(replace(told(" ".join(names)), journey=ORDERS.name))

    began_s = time.thread_time()
    for record in records:
        made.take(record, ORDERS)
    each_ms = (time.thread_time() - began_s) / len(records) * 1e3

    assert each_ms < 20  # of processor time; about 1 ms, but it must hold on any machine


def in_history(record: Record, number: int) -> Record:
    slot = STARTED + timedelta(minutes=number)
    return replace(record, slot=slot, run_id=f"{number:032x}")


# with the runner ------------------------------------------------------------------------------------------------------


class Ear:
    """Ends what tells."""

    where = "a simulation"

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


class Simulated:
    """Payments and a ledger that accept an order, then charge and post, 40 ms apart, each by a clock of its own.

    `off_ms` is how far that of the payments is ahead; `swapped`, whether the posting truly comes first.
    """

    word: str = "simulated"
    manual: str = ""
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = BaseModel
    secrets: frozenset[str] = frozenset()
    counts: bool = False

    def __init__(self, clock: VirtualClock, off_ms: float) -> None:
        self.clock, self.off_ms, self.swapped = clock, off_ms, False

    def base(self, keys: object) -> str:
        return ""

    def connection(self, keys: object) -> str:
        return ""

    async def watch(self, source: Source, wanted: Wanted, means: Means, tell: Tell) -> OpenEar:
        task = asyncio.create_task(self._tell(wanted, tell))
        return Ear(task)

    async def _tell(self, wanted: Wanted, tell: Tell) -> None:
        order = ("post", "charge") if self.swapped else ("charge", "post")
        for name, pause_s in zip(("accept", "receive", *order), (0.005, 0.0, 0.005, 0.040), strict=True):
            await asyncio.sleep(pause_s)
            tell(self._record(name, wanted.run_id))
        while True:
            await asyncio.sleep(0.1)
            tell(Watermark("spans", self.now_ns() + 10**9))

    def _record(self, name: str, run_id: str) -> Evidence:
        """Told 3 ms after it happened."""
        now_ns, of_payments = self.now_ns(), name in ("accept", "charge")
        return Evidence(
            "spans",
            name,
            now_ns - 3 * MS + (round(self.off_ms * MS) if of_payments else 0),
            clock="payments" if of_payments else "ledger",
            id=f"{run_id}-{name}",
            received_ns=now_ns,
            matched_by="trace",
        )

    def now_ns(self) -> int:
        return round(self.clock.now().timestamp() * 1e6) * 1000


def a_stage(clock: VirtualClock, source: Simulated) -> Stage:
    stage = make_stage(lambda request, envelope: Answer(201, delay_s=0.002), clock)
    gatherer = Gatherer({"simulated": source}, lambda: None, lambda name, key: "")
    stage.runner.lent = replace(stage.runner.lent, gatherer=gatherer)
    made = learning()
    for known in made._clocks.values():
        known.read(ORDERS.name)
    stage.runner.clocks, stage.runner.learn = made.clocks, made.take
    return stage


async def ran(stage: Stage) -> Record:
    before = len(stage.told)
    stage.runner.run_now(ORDERS)
    while len(stage.told) == before:  # noqa: ASYNC110  in virtual time
        await asyncio.sleep(0.5)
    return stage.told[-1]


@pytest.mark.parametrize("off_ms", [300.0, -300.0, 0.0])
def test_a_clock_that_is_off_turns_no_order_red_and_a_real_swap_is_caught(off_ms: float) -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        source = Simulated(clock, off_ms)
        stage = a_stage(clock, source)

        good = [await ran(stage) for _ in range(30)]
        source.swapped = True
        swapped = await ran(stage)

        assert {record.outcome for record in good} <= {Outcome.PASSED, Outcome.UNKNOWN}
        assert {record.outcome for record in good[1:]} == {Outcome.PASSED}
        assert swapped.outcome is Outcome.FAILED
        assert "came before" in swapped.message

    run_virtual(story)


def test_a_clock_that_somebody_sets_turns_no_order_red() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        source = Simulated(clock, 0.0)
        stage = a_stage(clock, source)

        outcomes = []
        for number in range(60):
            source.off_ms = 0.0 if number < 30 else 500.0
            outcomes.append((await ran(stage)).outcome)
        source.swapped = True

        assert set(outcomes) <= {Outcome.PASSED, Outcome.UNKNOWN}
        assert set(outcomes[-20:]) == {Outcome.PASSED}
        assert (await ran(stage)).outcome is Outcome.FAILED

    run_virtual(story)

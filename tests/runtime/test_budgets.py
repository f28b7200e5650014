"""What is over a budget is skipped and said, what cannot be counted is not run, and clean-up is never held back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from synthmon.core.door import Envelope
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.slots import Due
from synthmon.core.spending import Budget, Spend, spends_of
from synthmon.core.system import System
from synthmon.language.settings import Settings
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import Stage, make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

READ = journey(step("read", "GET /a"))
MAKE = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}"))
POLL = journey(
    step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", within=10, repeatable=True)
)


def settings(**budget: int) -> Settings:
    return Settings(systems={"shop": System("shop", {"": "http://shop"}, ("shop",), writes=True, **budget)})  # type: ignore[arg-type]


async def run(stage: Stage, probe: Journey, times: int) -> None:
    for n in range(times):
        slot = START + timedelta(seconds=60 * n)
        stage.runner.take(replace(probe, name=f"journey-{n}"), Due(slot, slot))
        await asyncio.sleep(60)


def test_over_the_budget_of_runs_a_slot_is_skipped_with_its_reason() -> None:
    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(lambda _, __: Answer(200), clock, settings(budget_runs_per_h=2))

        await run(stage, READ, 4)

        assert [r.outcome for r in stage.told] == [Outcome.PASSED] * 2 + [Outcome.SKIPPED] * 2
        assert stage.told[-1].reason is Reason.BUDGET
        assert stage.told[-1].message == "the budget of 2 runs an hour of shop is used up"

    run_virtual(story)


def test_over_the_budget_of_creates_nothing_is_made_and_what_was_made_is_taken_back() -> None:
    asked: list[str] = []

    def shop(request: str, _: object) -> Answer:
        asked.append(request.split()[0])
        return Answer(201 if request.startswith("POST") else 404, {"id": "7"})

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(shop, clock, settings(budget_creates_per_d=1))

        await run(stage, MAKE, 3)

        assert asked.count("POST") == 1
        assert "DELETE" in asked
        assert [r.reason for r in stage.told[1:]] == [Reason.BUDGET] * 2

    run_virtual(story)


def test_each_further_look_of_a_poll_that_makes_something_is_counted_before_it_leaves() -> None:
    made: set[str] = set()  # by key: clean-up repeats the same

    def shop(request: str, envelope: Envelope) -> Answer:
        made.update([str(envelope.key)] if request.startswith("POST") else [])
        return Answer(503 if request.startswith("POST") else 404, {"id": "7"})

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(shop, clock, settings(budget_creates_per_d=3))

        await run(stage, POLL, 1)

        assert (stage.told[0].outcome, stage.told[0].reason) == (Outcome.UNKNOWN, Reason.BUDGET)

    run_virtual(story)
    assert len(made) == 3


def test_what_cannot_be_counted_is_not_run() -> None:
    asked: list[str] = []

    def ask(request: str, _: object) -> Answer:
        asked.append(request)
        return Answer(200)

    class Broken:
        async def spend(self, spends: Sequence[Spend], at: datetime) -> Budget | None:
            raise OSError("disk full")

        async def spent(self, budget: Budget, at: datetime) -> int:
            return 0

        async def aclose(self) -> None:
            return None

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        stage = make_stage(ask, clock, settings(budget_runs_per_h=9))
        stage.runner.spending = Broken()

        await run(stage, READ, 1)

        assert (stage.told[0].outcome, stage.told[0].reason) == (Outcome.UNKNOWN, Reason.UNCOUNTED)
        assert "disk full" in stage.told[0].message

    run_virtual(story)
    assert asked == []


def test_a_journey_whose_systems_have_no_budget_spends_nothing() -> None:
    assert spends_of(MAKE, settings().systems) == ()

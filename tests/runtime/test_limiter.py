"""Rates and concurrency in virtual time: no second sees more than the rate, whatever happens to our own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from synthmon.runtime.outbound.limits import Limiter, Saturated
from tests.runtime.dead_target import Target
from tests.runtime.virtual import VirtualClock, VirtualLoop, run_virtual


def most_in_a_second(left_s: list[float]) -> int:
    target = Target(lambda at_s: None)  # type: ignore[arg-type, return-value]
    target.asked_s = sorted(left_s)
    return target.most_in_a_second()


def told(story: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    async def run(loop: VirtualLoop, clock: VirtualClock) -> None:
        await story(loop)

    run_virtual(run)


def test_no_second_sees_more_than_the_rate_also_when_our_loop_stood_still() -> None:
    left_s: list[float] = []

    async def story(loop: VirtualLoop) -> None:
        limiter = Limiter("shop", 20, None, loop.time)

        async def ask() -> None:
            await limiter.enter(3600)
            left_s.append(loop.time())
            limiter.leave()

        asked = [asyncio.create_task(ask()) for _ in range(400)]
        for pause_s in (3.0, 0.4, 5.0):
            await asyncio.sleep(2.0)
            loop.stall(pause_s)
        await asyncio.gather(*asked)

    told(story)
    assert most_in_a_second(left_s) <= 20
    assert most_in_a_second([10 * at_s for at_s in left_s]) <= 4, "a tenth of a second saw a burst"
    assert max(left_s) <= 20 + 3 * 5.0


@pytest.mark.parametrize(("rate_per_s", "least_s"), [(0.5, 18.0), (2.5, 3.6), (100.0, 0.09)])
def test_a_rate_is_used_up_to_its_end(rate_per_s: float, least_s: float) -> None:
    left_s: list[float] = []

    async def story(loop: VirtualLoop) -> None:
        limiter = Limiter("shop", rate_per_s, None, loop.time)
        for _ in range(10):
            await limiter.enter(3600)
            left_s.append(loop.time())
            limiter.leave()

    told(story)
    assert left_s[-1] - left_s[0] == pytest.approx(least_s, abs=0.01)


def test_a_reload_with_other_numbers_neither_forgets_what_left_nor_what_is_in_flight() -> None:
    target = Target(lambda at_s: None)  # type: ignore[arg-type, return-value]

    async def story(loop: VirtualLoop) -> None:
        limiter = Limiter("shop", 10, 4, loop.time)

        async def ask() -> None:
            await limiter.enter(3600)
            target.asked_s.append(loop.time())
            target.inside += 1
            target.most_inside = max(target.most_inside, target.inside)
            await asyncio.sleep(0.5)
            target.inside -= 1
            limiter.leave()

        asked = [asyncio.create_task(ask()) for _ in range(60)]
        for _ in range(40):  # the same settings, again and again
            await asyncio.sleep(0.05)
            limiter.adapt(10, 4)
        assert (len(target.asked_s) <= 2 * 10, target.most_inside) == (True, 4)
        limiter.adapt(3, 2)
        await asyncio.sleep(0.6)  # what was in flight ends
        target.most_inside = 0
        await asyncio.sleep(3.0)
        assert target.most_inside <= 2
        limiter.adapt(None, None)
        await asyncio.gather(*asked)

    told(story)
    assert len(target.asked_s) == 60
    assert max(target.asked_s) <= 6.2
    assert target.most_in_a_second() >= 10, "the last numbers never came to hold"


def test_a_turn_that_would_come_too_late_is_refused_at_once_with_those_before_it_counted() -> None:
    async def story(loop: VirtualLoop) -> None:
        limiter = Limiter("shop", 1, None, loop.time)
        waiting = [asyncio.create_task(limiter.enter(60)) for _ in range(6)]
        await asyncio.sleep(0)

        with pytest.raises(Saturated, match="rate: 1/s"):
            await limiter.enter(3.0)

        assert loop.time() == 0.0
        await asyncio.gather(*waiting)

    told(story)


def test_a_place_that_was_given_to_somebody_who_left_is_given_on() -> None:
    async def story(loop: VirtualLoop) -> None:
        limiter = Limiter("shop", None, 1, loop.time)
        await limiter.enter(60)
        gone, next_one = asyncio.create_task(limiter.enter(60)), asyncio.create_task(limiter.enter(60))
        await asyncio.sleep(0)

        limiter.leave()
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

        await asyncio.wait_for(next_one, 1)

    told(story)

"""A system that gives no answer is not asked more than when it is well, is told as failing, and is found again."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from dataclasses import replace

import pytest

from synthmon.core.door import HttpAnswer, HttpRequest, Trouble
from synthmon.core.families import CONSECUTIVE
from synthmon.core.outcomes import Outcome, Reason, outcome_of
from synthmon.core.run import Record
from synthmon.core.secrets import Vault
from synthmon.metrics.board import Board
from synthmon.runtime.doors import Doors
from tests.core.scripted import START, Answer, journey, step
from tests.runtime.dead_target import ANSWERS_503, REFUSES, SILENT, down_until, main, simulate
from tests.runtime.door_servers import ENVELOPE, RUN, Target, shop, talking

GET = HttpRequest("GET", "/")


@pytest.mark.parametrize("mood", [REFUSES, SILENT, ANSWERS_503], ids=["refuses", "is silent", "answers 503"])
def test_a_dead_target_is_asked_no_more_than_a_healthy_one_and_every_slot_is_told(mood: Answer) -> None:
    account = simulate(300, 3, lambda _: mood, rate_per_s=8, concurrency=6)

    assert account.slots == 900
    assert account.amplification <= 1.1
    assert account.most_in_a_second <= 8
    assert account.most_inside <= 6
    assert account.outcomes.keys() <= {"failed", "unknown"}
    assert account.outcomes["failed"] >= 0.9 * account.slots


@pytest.mark.parametrize("mood", [REFUSES, SILENT], ids=["refused", "was silent"])
def test_after_an_hour_down_one_asks_for_all_and_every_journey_passes_within_an_interval(mood: Answer) -> None:
    account = simulate(20, 63, down_until(3600, mood), rate_per_s=8, concurrency=6, up_s=3600)

    assert account.inside_at_half_open == 1
    assert account.longest_s <= 60 + 10  # an interval, the longest rest, and a request that was on its way
    assert account.outcomes["failed"] >= 0.99 * 20 * 60


@pytest.mark.torture
def test_ten_thousand_journeys_on_a_dead_target_for_ten_minutes() -> None:
    assert main() == 0


def test_a_run_that_was_not_made_because_nobody_is_answered_keeps_the_alert_firing() -> None:
    probe = journey(step("read", "GET /a"))
    board = Board()
    board.load([probe])
    for n, reason in enumerate((Reason.REFUSED, Reason.CIRCUIT_OPEN, Reason.CIRCUIT_OPEN)):
        run = Record(probe.name, START, outcome_of(reason), reason, run_id=f"{n:032x}", system="shop", step="read")
        board.record(replace(run, outcome=outcome_of(reason)), probe)

    assert outcome_of(Reason.CIRCUIT_OPEN) is Outcome.FAILED
    assert board.value(CONSECUTIVE, probe.name) == 3


async def test_over_sockets_a_place_that_refuses_is_left_alone_and_found_again_when_it_answers() -> None:
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        async with Doors({"shop": shop(port)}) as doors:
            told = [await _ask(doors, n) for n in range(12)]
            reserved.close()
            target = Target()
            async with talking(target.talk, port=port):
                async with asyncio.timeout(30):
                    while not isinstance(await _ask(doors, 12), HttpAnswer):  # noqa: ASYNC110  each look is the test
                        await asyncio.sleep(0.05)
                after = await asyncio.gather(*(_ask(doors, n) for n in range(12)))
                circuits = doors.circuits()

    reasons = [answer.reason for answer in told if isinstance(answer, Trouble)]
    assert reasons[:5] == [Reason.REFUSED] * 5
    assert Reason.CIRCUIT_OPEN in reasons
    left_alone = next(answer for answer in told if isinstance(answer, Trouble) and answer.reason is Reason.CIRCUIT_OPEN)
    assert not left_alone.sent
    assert "refused the connection" in left_alone.detail
    assert all(isinstance(answer, HttpAnswer) for answer in after)
    assert circuits == {"shop": 0}


async def _ask(doors: Doors, number: int) -> HttpAnswer | Trouble:
    """A run of its own, of one of two journeys."""
    run_id, name = f"{number:02x}{RUN[2:]}", f"journey-{number % 2}"
    door = doors.open(run_id, name, Vault({}))
    try:
        return await door.http(GET, replace(ENVELOPE, run_id=run_id, journey=name))
    finally:
        await door.aclose()

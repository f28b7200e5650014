"""A run that had no account, or lost the one it had, is unknown and ours: never failed, never green."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.identities.pools import MemoryLeases, read_pool
from synthmon.language.settings import Accounts
from synthmon.runtime.people import People
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.test_runner import SLOT, at
from tests.runtime.virtual import VirtualClock, VirtualLoop, run_virtual

ROWS = ({"name": "clerk-1", "email": "c@example.com"},)
READ = journey(step("read", "GET /${identity.email}", timeout=9), identity="clerk")


def records(status: int, source: Accounts, steal: bool = False, runs: int = 1) -> list[Record]:
    """What is told of runs a minute apart whose answer takes five seconds, in the midst of which somebody may steal."""
    told: list[Record] = []

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        leases = MemoryLeases()
        stage = make_stage(lambda request, envelope: Answer(status, delay_s=5), clock)
        stage.runner.lent = replace(stage.runner.lent, people=People({"clerk": source}, leases))
        for number in range(runs):
            stage.runner.take(READ, at(SLOT + timedelta(minutes=number)))
        await asyncio.sleep((SLOT - clock.now()).total_seconds() + 2)
        if steal:  # as a machine whose clock is an hour ahead would
            an_hour = (SLOT + timedelta(hours=1)).timestamp()
            assert await leases.lease(read_pool("clerk", ROWS), "thief", an_hour, an_hour + 60)
        await asyncio.sleep(600)
        told.extend(stage.told)

    run_virtual(story)
    return told


def test_a_run_whose_account_was_lent_to_another_is_unknown_whatever_it_saw() -> None:
    for status, without in ((200, "without that: passed"), (500, "without that: failed")):
        (record,) = records(status, Accounts("clerks.yaml", 0.0, None, ROWS), steal=True)

        assert (record.outcome, record.reason) == (Outcome.UNKNOWN, Reason.FENCED)
        assert record.message.startswith("another run was lent clerk-1 of clerk before this one ended; ")
        assert without in record.message


def test_a_run_that_had_its_account_to_itself_is_judged() -> None:
    (record,) = records(200, Accounts("clerks.yaml", 0.0, None, ROWS))

    assert record.outcome is Outcome.PASSED


def test_an_account_that_rests_or_is_used_up_makes_the_next_run_unknown() -> None:
    resting = records(200, Accounts("clerks.yaml", 600.0, None, ROWS), runs=2)
    used_up = records(200, Accounts("clerks.yaml", 0.0, 1, ROWS), runs=2)

    for told in (resting, used_up):
        assert [(record.outcome, record.reason) for record in told] == [
            (Outcome.PASSED, Reason.NONE),
            (Outcome.UNKNOWN, Reason.NO_IDENTITY),
        ]
    assert "0 in use, 1 resting" in resting[1].message
    assert "1 used up. Add accounts or raise max_use." in used_up[1].message

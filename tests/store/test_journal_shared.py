"""Several processes on one journal: what is of the living is left to them, what is of the dead goes to one of them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from synthmon.core.undo.intents import Fenced, Journal, Taken, Whose
from tests.servers.process import until
from tests.store.hold_run import HELD, shared_journal
from tests.store.samples import a_claim, intent, opened, run_id


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/synthmon.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def journal(store: str) -> AsyncIterator[Journal]:
    made = shared_journal(store)
    yield made
    await made.aclose()


@pytest.fixture
async def other(store: str) -> AsyncIterator[Journal]:
    made = shared_journal(store)
    yield made
    await made.aclose()


@pytest.fixture
def holder(store: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has slot 1 and a run with a debt."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.hold_run", store], text=True, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


async def whose(journal: Journal) -> tuple[Whose, Whose]:
    """Whose the held run and the held slot are."""
    (run,) = await journal.open_runs()
    (claim,) = await journal.unrecorded()
    return run.whose, claim.whose


async def until_nobodys(journal: Journal) -> None:
    async def look() -> bool | None:
        return True if await whose(journal) == (Whose.NOBODYS, Whose.NOBODYS) else None

    await until(look, "the death of the other process", 60)


async def test_what_this_process_wrote_is_ours(journal: Journal) -> None:
    await journal.claim(a_claim(1))
    await journal.append(HELD, opened(1), 0)
    await journal.append(HELD, intent(), 1)

    assert await whose(journal) == (Whose.OURS, Whose.OURS)


async def test_the_run_of_a_living_process_cannot_be_taken_over(
    journal: Journal, holder: subprocess.Popen[str]
) -> None:
    assert await whose(journal) == (Whose.ANOTHERS, Whose.ANOTHERS)
    assert await journal.take_over(HELD, 2) is None

    said, _ = holder.communicate("go on\n", timeout=60)

    assert said == "3\n"


async def test_the_run_of_a_killed_process_is_taken_over_by_one(
    journal: Journal, other: Journal, holder: subprocess.Popen[str]
) -> None:
    await journal.open_runs()
    holder.kill()
    await until_nobodys(journal)
    await until_nobodys(other)

    taken = await asyncio.gather(journal.take_over(HELD, 2), other.take_over(HELD, 2))

    assert taken.count(3) == 1
    assert next(answer for answer in taken if answer != 3) in (None, Fenced(3))
    ours, theirs = (journal, other) if taken[0] == 3 else (other, journal)
    assert (await whose(ours))[0] is Whose.OURS
    assert (await whose(theirs))[0] is Whose.ANOTHERS
    assert isinstance((await theirs.open_runs())[0].entries[2], Taken)


async def test_what_a_process_left_that_ended_in_order_is_nobodys(store: str, journal: Journal) -> None:
    before = shared_journal(store)
    await before.claim(a_claim(1))
    await before.append(HELD, opened(1), 0)
    await before.append(HELD, intent(), 1)
    await before.aclose()

    await until_nobodys(journal)

    assert await journal.take_over(HELD, 2) == 3


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
async def test_who_was_cut_off_for_long_is_fenced_when_it_comes_back(
    journal: Journal, holder: subprocess.Popen[str]
) -> None:
    """On one machine the kernel knows that a stopped process lives; across machines nobody can."""
    holder.send_signal(signal.SIGSTOP)
    await until_nobodys(journal)
    taken = await journal.take_over(HELD, 2)
    holder.send_signal(signal.SIGCONT)
    said, _ = holder.communicate("go on\n", timeout=60)

    assert taken == 3
    assert said == f"{Fenced(3)}\n"


async def test_a_process_that_has_just_come_judges_nobody(postgres_url: str) -> None:
    import psycopg

    dead = shared_journal(postgres_url)
    await dead.append(HELD, opened(1), 0)
    await dead.append(HELD, intent(), 1)
    await dead._commits.aclose()  # type: ignore[attr-defined]
    with psycopg.connect(postgres_url, autocommit=True) as database:
        database.execute(
            "INSERT INTO journal_owners SELECT DISTINCT owner, now() - interval '1 day', now() - interval '1 hour'"
            " FROM journal_runs"
        )

    newcomer = shared_journal(postgres_url)
    (first,) = await newcomer.open_runs()
    refused = await newcomer.take_over(HELD, 2)
    await newcomer.aclose()

    assert (first.whose, refused) == (Whose.ANOTHERS, None)


async def test_runs_of_several_processes_are_told_apart(journal: Journal, other: Journal) -> None:
    for number, its in ((1, journal), (2, other)):
        await its.append(run_id(number), opened(number), 0)
        await its.append(run_id(number), intent(), 1)

    seen = {run.run_id: run.whose for run in await journal.open_runs()}

    assert seen == {run_id(1): Whose.OURS, run_id(2): Whose.ANOTHERS}

"""The journal's file: what a later process finds in it, and what happens when it cannot be written."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from synthmon.core.undo.intents import Fenced, OpenRun
from synthmon.store.failures import StoreUnusable
from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.journal_writer import WAITING
from tests.store.samples import a_claim, intent, opened, run_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def no_database(file: Path) -> Path:
    file.write_text("shopping list " * 100)
    return file


async def test_the_next_process_finds_everything(file: Path) -> None:
    first = SqliteJournal(file)
    await first.claim(a_claim(0))
    await first.append(run_id(0), opened(), 0)
    await first.append(run_id(0), intent(), 1)
    await first.keep_text("v1", "steps: []")
    await first.aclose()

    second = SqliteJournal(file)

    assert await second.claim(a_claim(0)) is False
    assert await second.unrecorded() == [a_claim(0)]
    assert await second.open_runs() == [OpenRun(run_id(0), (opened(), intent()))]
    assert await second.append(run_id(0), intent("stale"), 1) == Fenced(2)
    assert await second.text("v1") == "steps: []"
    await second.aclose()


async def test_a_text_is_forgotten_with_the_last_run_of_its_version(file: Path) -> None:
    journal = SqliteJournal(file)
    for number, version in ((0, "old"), (30, "used")):
        await journal.keep_text(version, version)
        await journal.append(run_id(number), opened(number, version), 0)
    with closing(sqlite3.connect(file)) as past:
        past.execute("UPDATE texts SET kept_us = 0")
        past.commit()

    await journal.prune(a_claim(10).slot)

    assert (await journal.text("old"), await journal.text("used")) == (None, "used")
    await journal.aclose()


async def test_one_entry_that_cannot_be_written_does_not_fail_those_beside_it(file: Path) -> None:
    journal = SqliteJournal(file)

    answers = await asyncio.gather(
        journal.claim(a_claim(0)),
        journal.keep_text("v1", "half \ud800"),
        journal.claim(a_claim(1)),
        return_exceptions=True,
    )

    assert (answers[0], answers[2]) == (True, True)
    assert isinstance(answers[1], OSError)
    assert await journal.text("v1") is None
    await journal.aclose()


async def test_more_than_thousands_who_wait_are_refused_at_once(file: Path) -> None:
    journal = SqliteJournal(file)
    await journal.claim(a_claim(0))

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # nobody else can write now
        waiting = [asyncio.create_task(journal.unrecorded()) for _ in range(WAITING)]
        refused = [asyncio.create_task(journal.claim(a_claim(n))) for n in range(1, 1000)]
        done, _ = await asyncio.wait(refused, return_when=asyncio.FIRST_COMPLETED)
        other.execute("ROLLBACK")
    await asyncio.gather(*waiting)
    answers = await asyncio.gather(*refused, return_exceptions=True)

    error = next(iter(done)).exception()
    assert isinstance(error, OSError)
    assert error.errno == errno.EAGAIN
    assert "wait already" in str(error)
    assert all(answer is True or isinstance(answer, OSError) for answer in answers)
    assert await journal.claim(a_claim(5000)) is True
    await journal.aclose()


async def test_a_journal_of_a_newer_version_is_refused_with_a_remedy(file: Path) -> None:
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("PRAGMA user_version=99")
    journal = SqliteJournal(file)

    for _ in "ab":
        with pytest.raises(StoreUnusable, match=r"written by a newer synthmon .*99.* name another file"):
            await journal.claim(a_claim(0))
    await journal.aclose()


async def test_a_file_that_is_no_database_is_said(no_database: Path) -> None:
    journal = SqliteJournal(no_database)

    with pytest.raises(OSError, match="not a SQLite database"):
        await journal.claim(a_claim(0))
    await journal.aclose()


async def test_a_closed_journal_takes_nothing(file: Path) -> None:
    journal = SqliteJournal(file)
    await journal.claim(a_claim(0))

    await journal.aclose()
    await journal.aclose()

    with pytest.raises(OSError, match="the journal is closed"):
        await journal.claim(a_claim(1))


async def test_what_waits_is_written_before_the_journal_closes(file: Path) -> None:
    journal = SqliteJournal(file)
    claims = [asyncio.create_task(journal.claim(a_claim(number))) for number in range(100)]
    await asyncio.sleep(0)

    await journal.aclose()

    assert await asyncio.gather(*claims) == [True] * 100


async def test_a_caller_that_goes_away_does_not_disturb_the_others(file: Path) -> None:
    journal = SqliteJournal(file)
    leaving = [asyncio.create_task(journal.claim(a_claim(number))) for number in range(10)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)

    assert await journal.claim(a_claim(100)) is True
    assert await journal.claim(a_claim(0)) is False  # taken, and found as unrecorded by whoever looks
    await journal.aclose()


async def test_the_journal_forces_each_commit_to_the_disk(file: Path) -> None:
    journal = SqliteJournal(file)

    mode = await journal._writer.do(lambda connection: connection.execute("PRAGMA journal_mode").fetchone())
    syncs = await journal._writer.do(lambda connection: connection.execute("PRAGMA synchronous").fetchone())

    assert (mode, syncs) == (("wal",), (2,))  # 2: FULL
    await journal.aclose()

"""A full disk, then a freed one: nothing is called durable that is not, and writing goes on by itself."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from synthmon.core.run import Record
from synthmon.core.undo.intents import Settled
from synthmon.store.journal_sqlite import SqliteJournal
from synthmon.store.open import open_history
from tests.servers.process import until
from tests.store.samples import a_claim, a_record, intent, opened, run_id, slot

pytestmark = pytest.mark.platform_limit("root")
_DISK_BYTES = 2 * 1024 * 1024
_BALLAST_BYTES = 256 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB, half of it taken by the file `filler`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, timeout=20)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        (folder / "filler").write_bytes(bytes(_DISK_BYTES // 2))
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=20)


@pytest.fixture
async def journal(disk: Path) -> AsyncIterator[SqliteJournal]:
    made = SqliteJournal(disk / "journal.db", ballast_bytes=_BALLAST_BYTES)
    yield made
    await made.aclose()


async def test_history_says_that_the_disk_is_full_and_goes_on_when_there_is_space(disk: Path) -> None:
    history = await open_history(f"sqlite:///{disk}/synthmon.db")

    acknowledged, said = await _until_full(lambda number: history.save([_large(number)]))
    still_read = await history.recent(limit=10_000)
    (disk / "filler").unlink()
    again = await history.save([_large(20_000)])

    assert "the disk is full; free some space" in str(said)
    assert len(still_read) == acknowledged > 10
    assert len(again) == 1
    assert len(await history.recent(limit=20_000)) == acknowledged + 1
    await history.aclose()
    assert _integrity(disk / "synthmon.db") == "ok"


async def test_a_full_journal_refuses_new_slots_and_intents_but_settles_debts(
    disk: Path, journal: SqliteJournal
) -> None:
    owing = run_id(1)
    await journal.append(owing, opened(), 0)
    await journal.append(owing, intent(), 1)
    held_back = (disk / "journal.db-ballast").stat().st_size

    claimed = await _claim_until_full(journal)
    _take_what_is_left(disk)
    with pytest.raises(OSError, match="only clean-up is written until there is space"):
        await journal.append(owing, intent("another"), 2)
    settled = await journal.append(owing, Settled("order", "closed"), 2)

    assert held_back == _BALLAST_BYTES
    assert not (disk / "journal.db-ballast").exists()
    assert claimed > 10
    assert settled == 3
    assert list(await journal.open_runs()) == []


async def test_a_journal_takes_new_slots_again_when_there_is_space(disk: Path, journal: SqliteJournal) -> None:
    claimed = await _claim_until_full(journal)

    (disk / "filler").unlink()
    new = iter(range(100_000, 200_000))

    async def taken() -> bool | None:
        try:
            return await journal.claim(a_claim(next(new)))
        except OSError:
            return None

    assert await until(taken, "a claim after the disk was freed", limit_s=20) is True
    assert (disk / "journal.db-ballast").stat().st_size == _BALLAST_BYTES
    unrecorded = {claim.slot for claim in await journal.unrecorded()}
    assert unrecorded >= {slot(number) for number in range(claimed)}
    await journal.aclose()
    assert _integrity(disk / "journal.db") == "ok"


async def test_without_ballast_a_full_journal_refuses_everything_and_then_goes_on(disk: Path) -> None:
    journal = SqliteJournal(disk / "journal.db", ballast_bytes=0)

    claimed = await _claim_until_full(journal)
    (disk / "filler").unlink()

    assert claimed > 10
    assert await journal.claim(a_claim(100_000)) is True
    await journal.aclose()


async def test_a_disk_that_is_too_small_for_the_ballast_is_used_without(disk: Path) -> None:
    journal = SqliteJournal(disk / "journal.db", ballast_bytes=64 * _DISK_BYTES)

    assert await journal.claim(a_claim(0)) is True
    assert not (disk / "journal.db-ballast").exists()
    await journal.aclose()


async def test_a_read_only_disk_is_said_and_written_when_it_is_writable_again(disk: Path) -> None:
    _remount(disk, "ro")
    journal = SqliteJournal(disk / "journal.db", ballast_bytes=_BALLAST_BYTES)

    with pytest.raises(OSError, match="Read-only file system"):
        await open_history(f"sqlite:///{disk}/synthmon.db")
    with pytest.raises(OSError, match="Read-only file system"):
        await journal.claim(a_claim(0))
    _remount(disk, "rw")

    assert await journal.claim(a_claim(0)) is True
    await (await open_history(f"sqlite:///{disk}/synthmon.db")).aclose()
    await journal.aclose()


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True, timeout=20)


async def _claim_until_full(journal: SqliteJournal) -> int:
    """Claim slots 0, 1, … until one is refused because the disk is full; answers how many were taken."""
    taken, _ = await _until_full(lambda number: journal.claim(a_claim(number, journey="a long name " * 90)))
    return taken


async def _until_full(write: Callable[[int], Awaitable[object]]) -> tuple[int, OSError]:
    """Write 0, 1, … until the disk is full; answers how many were written, and what was said then."""
    for number in range(100_000):
        try:
            await write(number)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return number, error
    raise AssertionError("the disk never filled up")


def _take_what_is_left(disk: Path) -> None:
    """Somebody else writes, too: leave 64 kB."""
    left = os.statvfs(disk)
    (disk / "more").write_bytes(bytes(max(0, left.f_bavail * left.f_frsize - 64 * 1024)))


def _large(number: int) -> Record:
    return a_record(number, message=os.urandom(4000).hex())


def _integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])

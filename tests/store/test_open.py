"""Opening a store: migrations, several openers, versions, and what is wrong with a URL."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from synthmon.store.engines import connect
from synthmon.store.failures import StoreUnusable
from synthmon.store.journal_schema import journal_metadata
from synthmon.store.migrate import POSTGRES_LOCK
from synthmon.store.open import journal_path, open_history, open_journal
from synthmon.store.schema import HEAD, metadata
from tests.servers.process import until
from tests.store.samples import a_record


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/synthmon.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


async def test_of_many_who_open_a_new_store_at_once_one_makes_the_tables(url: str) -> None:
    histories = await asyncio.gather(*(open_history(url) for _ in range(4)))

    new = [len(await history.save([a_record()])) for history in histories]

    assert sorted(new) == [0, 0, 0, 1]
    for history in histories:
        await history.aclose()


def test_of_many_processes_that_open_a_new_store_at_once_one_makes_the_tables(url: str) -> None:
    code = f"""
import asyncio, sys
import alembic.command
from synthmon.store.open import open_history
async def once():
    await (await open_history({url!r})).aclose()
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(once())
"""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    openers = [subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(3)]
    for opener in openers:
        assert opener.stdout is not None
        opener.stdout.readline()

    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    complaints = [opener.communicate(timeout=60)[1] for opener in openers]

    assert complaints == ["", "", ""]


async def test_who_opens_a_new_postgresql_store_waits_for_the_one_that_makes_the_tables(postgres_url: str) -> None:
    async def waits() -> bool | None:
        row = maker.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
        return True if row else None

    with psycopg.connect(postgres_url, autocommit=True) as maker:
        maker.execute("SELECT pg_advisory_lock(%s)", (POSTGRES_LOCK,))
        opening = asyncio.create_task(open_history(postgres_url))
        await until(waits, "an opener that waits")
        maker.execute("SELECT pg_advisory_unlock(%s)", (POSTGRES_LOCK,))
        history = await opening

    assert len(await history.save([a_record()])) == 1
    await history.aclose()


async def test_several_new_stores_are_opened_at_once(tmp_path: Path) -> None:
    histories = await asyncio.gather(*(open_history(f"sqlite:///{tmp_path}/{name}.db") for name in "abcd"))

    new = [len(await history.save([a_record()])) for history in histories]

    assert new == [1, 1, 1, 1]
    for history in histories:
        await history.aclose()


async def test_the_revisions_make_exactly_the_tables_that_the_code_speaks_to(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    await (await open_history(url)).aclose()
    tables = [metadata, journal_metadata] if url.startswith("postgresql") else [metadata]

    engines = await connect(url)
    async with engines.writer.connect() as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}),
                tables,  # type: ignore[arg-type]  # several are as good as one, as in Alembic's own env.py
            )
        )
    await engines.aclose()

    assert difference == []


async def test_a_store_of_a_newer_version_is_refused_with_a_remedy(url: str) -> None:
    await (await open_history(url)).aclose()
    engines = await connect(url)
    async with engines.writer.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await engines.aclose()

    with pytest.raises(StoreUnusable, match=r"written by a newer synthmon .*9999.* Start the newer version again"):
        await open_history(url)


def test_the_newest_revision_is_the_one_that_the_code_names() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import synthmon.store.migrate as migrate

    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_opening_costs_no_import_that_is_not_needed(tmp_path: Path) -> None:
    code = f"""
import sys, asyncio
from synthmon.store.open import open_history, open_journal
assert not any(name in sys.modules for name in ("sqlalchemy", "alembic", "psycopg")), "importing alone"
async def twice():
    await (await open_history("sqlite:///{tmp_path}/s.db")).aclose()
asyncio.run(twice())
print("alembic" in sys.modules)
"""
    first, second = (subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60) for _ in "ab")

    assert (first.strip(), second.strip()) == ("True", "False")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("mysql://host/name", "kind 'mysql' is unknown"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("synthmon.db", "is no URL"),
    ],
)
async def test_a_wrong_url_is_said_with_a_remedy(wrong: str, words: str) -> None:
    with pytest.raises(StoreUnusable, match=words) as said:
        await open_history(wrong)

    assert "Write " in str(said.value)


async def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        await open_history(f"sqlite:///{tmp_path}/missing/synthmon.db")


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("shopping list " * 100)

    with pytest.raises(OSError, match="not a SQLite database; name another file"):
        await open_history(f"sqlite:///{tmp_path}/notes.db")


async def test_a_database_that_is_not_there_is_said_without_its_password() -> None:
    with pytest.raises(OSError, match="cannot be reached") as said:
        await open_history("postgresql://me:hunter2hunter2@127.0.0.1:1/none")

    assert "hunter2" not in str(said.value)


async def test_the_files_are_for_their_owner_and_survive_a_power_cut(tmp_path: Path) -> None:
    history = await open_history(f"sqlite:///{tmp_path}/synthmon.db")
    await history.save([a_record()])

    modes = {name: oct(os.stat(tmp_path / name).st_mode & 0o777) for name in os.listdir(tmp_path)}
    engines = await connect(f"sqlite:///{tmp_path}/synthmon.db")
    async with engines.writer.connect() as connection:
        settings = [await connection.scalar(sa.text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")]
    await engines.aclose()
    await history.aclose()

    assert set(modes.values()) == {oct(0o600)}
    assert settings == ["wal", 2]  # 2: FULL


async def test_reading_goes_on_while_another_process_writes(tmp_path: Path) -> None:
    file = tmp_path / "synthmon.db"
    history = await open_history(f"sqlite:///{file}")
    await history.save([a_record()])

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM runs")
        seen = await history.recent()
        other.execute("ROLLBACK")
    await history.aclose()

    assert len(seen) == 1


def test_the_journal_lies_beside_the_store() -> None:
    assert journal_path("sqlite:////var/lib/synthmon.db") == Path("/var/lib/synthmon-journal.db")
    assert journal_path("sqlite:///synthmon.db") == Path("synthmon-journal.db")
    with pytest.raises(StoreUnusable, match="Name a file for the journal"):
        journal_path("postgresql://host/name")


async def test_a_journal_is_opened_beside_its_store(tmp_path: Path) -> None:
    journal = open_journal(f"sqlite:///{tmp_path}/synthmon.db")
    await journal.keep_text("v1", "steps: []")
    await journal.aclose()

    assert (tmp_path / "synthmon-journal.db").exists()


async def test_the_journal_of_a_postgresql_store_lies_in_the_same_database(postgres_url: str, tmp_path: Path) -> None:
    journal = open_journal(postgres_url, tmp_path / "not-used.db")
    await journal.keep_text("v1", "steps: []")
    await journal.aclose()

    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT text FROM journal_texts").fetchall() == [("steps: []",)]
    assert os.listdir(tmp_path) == []


async def test_a_memory_store_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    history, journal = await open_history("memory:"), open_journal("memory:")
    await history.save([a_record()])
    await journal.keep_text("v1", "steps: []")
    await history.aclose()
    await journal.aclose()

    assert os.listdir(tmp_path) == []

"""PostgreSQL goes away and comes back: nothing acknowledged is lost, and every slot is new to exactly one caller.

`python -m tests.store.test_outage` restarts one twelve times, four times by kill -9, and prints the figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from synthmon.core.history import History
from synthmon.core.run import Record
from synthmon.core.undo.intents import Fenced, Journal
from synthmon.store.journal_postgres import PostgresJournal
from synthmon.store.open import open_history
from tests.servers.postgres import Postgres, postgres
from tests.servers.process import until
from tests.store.samples import a_claim, a_record, intent, opened, run_id, three_entries

_WRITERS = 4


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    """One that may be killed without hurting other tests."""
    try:
        running = postgres()
        server = running.__enter__()
    except (OSError, RuntimeError) as error:
        pytest.skip(f"PostgreSQL cannot run here: {error}")
    try:
        yield server
    finally:
        running.__exit__(None, None, None)


@dataclass(slots=True)
class Told:
    """What callers heard while the server went away and came back."""

    records: Counter[str] = field(default_factory=Counter)  # how often a run was new
    claims: Counter[str] = field(default_factory=Counter)  # how often a slot was won
    entries: Counter[tuple[str, int]] = field(default_factory=Counter)  # how often (run, number) was answered
    doubtful: set[str] = field(default_factory=set)  # runs that were told that nothing is certain, after long waiting

    @property
    def acknowledged(self) -> int:
        return len(self.records) + len(self.claims) + len(self.entries)


async def restart_while_writing(server: Postgres, restarts: int) -> Told:
    """Write records and journals side by side. A journal waits by itself for a server that restarts."""
    history, journal = await open_history(server.url()), PostgresJournal(server.url())
    told, enough = Told(), asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(writer, 1_000_000, _WRITERS):
            if enough.is_set():
                return
            try:
                await _write_run(journal, number, told)
            except OSError:
                told.doubtful.add(run_id(number))
            told.records.update(new.run_id for new in await _until_saved(history, a_record(number)))

    async with asyncio.TaskGroup() as writers:
        for writer in range(_WRITERS):
            writers.create_task(write(writer))
        chance = random.Random(restarts)
        for restart in range(restarts):
            await _until_more(told.records, len(told.records) + chance.randrange(50, 150))
            await asyncio.to_thread(server.kill if restart % 3 == 0 else server.stop)
            await asyncio.to_thread(server.start)
        await _until_more(told.records, len(told.records) + 10)
        enough.set()
    await journal.aclose()
    await history.aclose()
    return told


async def _write_run(journal: Journal, number: int, told: Told) -> None:
    """A run that does one thing and takes it back."""
    claim = a_claim(number)
    told.claims[claim.run_id] += await journal.claim(claim)
    seq: int | Fenced = 0
    for entry in three_entries(number):
        seq = await journal.append(run_id(number), entry, int(str(seq)))
        assert not isinstance(seq, Fenced), "somebody else wrote to our run"
        told.entries[run_id(number), seq] += 1
    await journal.release([claim])


def faults(url: str, told: Told) -> list[str]:
    """What was lost, and what came about twice."""
    with psycopg.connect(url) as connection:
        claims = Counter(row[0] for row in connection.execute("SELECT run_id FROM journal_claims"))
        entries = Counter((row[0], row[1]) for row in connection.execute("SELECT run_id, seq FROM journal_entries"))
        debts = {row[0] for row in connection.execute("SELECT run_id FROM journal_debts")}
        unrecorded = {row[0] for row in connection.execute("SELECT run_id FROM journal_claims WHERE NOT recorded")}
    certain = Counter({key: count for key, count in entries.items() if key[0] not in told.doubtful})
    certain_claims = Counter({key: count for key, count in claims.items() if key not in told.doubtful})
    counts: list[tuple[str, Counter[Any], Counter[Any], Counter[Any]]] = [
        ("records", told.records, _kept(url), _kept(url)),
        ("claims", told.claims, claims, certain_claims),
        ("entries", told.entries, entries, certain),
    ]
    wrong = [
        f"{what}: lost {heard - kept}, too many {sure - heard}"
        for what, heard, kept, sure in counts
        if heard - kept or sure - heard
    ]
    wrong += [f"still owed or unrecorded: {run}" for run in (debts | unrecorded) - told.doubtful]
    return wrong


@pytest.mark.parametrize("restarts", [2, pytest.param(12, marks=pytest.mark.torture)])
async def test_nothing_acknowledged_is_lost_or_doubled_while_the_server_restarts(
    own_server: Postgres, restarts: int
) -> None:
    told = await restart_while_writing(own_server, restarts)

    assert faults(own_server.url(), told) == []


async def test_a_journal_entry_whose_commits_answer_was_lost_is_ours_and_written_once(postgres_url: str) -> None:
    await (await open_history(postgres_url)).aclose()
    direct = PostgresJournal(postgres_url)
    await direct.append(run_id(9), opened(), 0)
    async with _loses_the_answer_to_a_commit(postgres_url, number=4, arrived=lambda: _is_claimed(postgres_url)) as url:
        journal = PostgresJournal(url)
        await journal.keep_text("v1", "steps: []")  # the session, then this
        await journal.keep_text("v1", "steps: []")
        claimed, first, second, fenced = await asyncio.gather(
            journal.claim(a_claim(1)),
            journal.append(run_id(1), opened(), 0),
            journal.append(run_id(1), intent(), 1),
            journal.append(run_id(9), intent(), 0),
        )
        again = await journal.claim(a_claim(1))
        (run,) = await journal.open_runs()
        await journal.aclose()
    await direct.aclose()

    assert (claimed, first, second, fenced, again) == (True, 1, 2, Fenced(1), False)
    assert (run.run_id, len(run.entries)) == (run_id(1), 2)


async def test_a_database_that_stays_away_is_said_and_the_journal_works_again_when_it_is_back(
    own_server: Postgres,
) -> None:
    journal = PostgresJournal(own_server.url())
    await journal.claim(a_claim(0))
    own_server.stop()

    with pytest.raises(OSError, match="cannot be reached"):
        await journal.claim(a_claim(1))
    await asyncio.to_thread(own_server.start)

    assert await journal.claim(a_claim(2)) is True
    assert await journal.claim(a_claim(0)) is False
    await journal.aclose()


async def test_a_commit_whose_answer_was_lost_is_new_to_its_caller_and_kept_once(postgres_url: str) -> None:
    await (await open_history(postgres_url)).aclose()

    def arrived() -> bool:
        return len(_kept(postgres_url)) == 3

    async with _loses_the_answer_to_a_commit(postgres_url, number=2, arrived=arrived) as url:
        history = await open_history(url)
        first = await history.save([a_record(1)])
        second = await history.save([a_record(2), a_record(3)])
        again = await history.save([a_record(2), a_record(3)])
        await history.aclose()

    assert (len(first), len(second), len(again)) == (1, 2, 0)
    assert set(_kept(postgres_url).values()) == {1}


async def _until_more(told: Counter[str], wanted: int) -> None:
    async def enough() -> bool | None:
        return True if len(told) >= wanted else None

    await until(enough, f"record number {wanted}", limit_s=120, every_s=0.01)


async def _until_saved(history: History, record: Record) -> list[Record]:
    """As a daemon does: the same record again, until it is durable."""
    while True:
        try:
            return list(await history.save([record]))
        except OSError:
            await asyncio.sleep(0.05)


def _kept(url: str) -> Counter[str]:
    with psycopg.connect(url) as connection:
        return Counter(row[0] for row in connection.execute("SELECT run_id FROM runs"))


def _is_claimed(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM journal_claims").fetchone() is not None


@asynccontextmanager
async def _loses_the_answer_to_a_commit(url: str, number: int, arrived: Callable[[], bool]) -> AsyncIterator[str]:
    """A way to the server on which the connection breaks after a commit has arrived, before its answer is back."""
    address = psycopg.conninfo.conninfo_to_dict(url)
    commits = 0

    async def carry(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        nonlocal commits
        server, to_server = await asyncio.open_connection(str(address["host"]), int(str(address["port"])))
        deaf = asyncio.Event()
        back = asyncio.create_task(_relay(server, to_client, deaf))
        try:
            while sent := await client.read(65536):
                if b"COMMIT" in sent:
                    commits += 1
                    if commits == number:
                        deaf.set()
                        to_server.write(sent)
                        await until(has_arrived, "the commit at the server", every_s=0.01)
                        return
                to_server.write(sent)
        finally:
            for end in (to_server, to_client):
                end.close()
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await back

    async def has_arrived() -> bool | None:
        return True if await asyncio.to_thread(arrived) else None

    listener = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield url.replace(f":{address['port']}/", f":{port}/")


async def _relay(source: asyncio.StreamReader, to: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
    while received := await source.read(65536):
        if not deaf.is_set():
            to.write(received)


def main() -> int:
    with postgres() as server:
        told = asyncio.run(restart_while_writing(server, restarts=12))
        wrong = faults(server.url(), told)
    print(
        f"12 restarts, 4 by kill -9: {told.acknowledged} acknowledged, {len(told.doubtful)} runs in doubt; "
        f"lost or doubled: {len(wrong)}"
    )
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

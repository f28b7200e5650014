"""PostgreSQL goes away and comes back: nothing acknowledged is lost, and every slot is new to exactly one caller."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from synthmon.core.history import History
from synthmon.core.run import Record
from synthmon.store.open import open_history
from tests.servers.postgres import Postgres, postgres
from tests.servers.process import until
from tests.store.samples import a_record

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


@pytest.mark.parametrize("restarts", [3, pytest.param(12, marks=pytest.mark.torture)])
async def test_no_acknowledged_record_is_lost_while_the_server_restarts(own_server: Postgres, restarts: int) -> None:
    history = await open_history(own_server.url())
    told: Counter[str] = Counter()  # how often a caller heard that a run was new
    enough = asyncio.Event()

    async def write(writer: int) -> None:
        for number in range(10_000):
            if enough.is_set():
                return
            record = a_record(number, journey=f"writer {writer}", run_id=f"{writer}-{number}")
            told.update(new.run_id for new in await _until_saved(history, record))

    async with asyncio.TaskGroup() as writers:
        for writer in range(_WRITERS):
            writers.create_task(write(writer))
        chance = random.Random(restarts)
        for restart in range(restarts):
            await _until_more(told, len(told) + chance.randrange(50, 150))
            await asyncio.to_thread(own_server.kill if restart % 3 == 0 else own_server.stop)
            await asyncio.to_thread(own_server.start)
        enough.set()
    await history.aclose()

    assert set(told.values()) == {1}
    assert _kept(own_server.url()) == Counter(told)


async def test_a_commit_whose_answer_was_lost_is_new_to_its_caller_and_kept_once(postgres_url: str) -> None:
    await (await open_history(postgres_url)).aclose()
    async with _loses_the_answer_to_the_second_commit(postgres_url) as url:
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

    await until(enough, f"record number {wanted}", every_s=0.01)


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


@asynccontextmanager
async def _loses_the_answer_to_the_second_commit(url: str) -> AsyncIterator[str]:
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
                    if commits == 2:
                        deaf.set()
                        to_server.write(sent)
                        await until(arrived, "the commit at the server", every_s=0.01)
                        return
                to_server.write(sent)
        finally:
            for end in (to_server, to_client):
                end.close()
            back.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await back

    async def arrived() -> bool | None:
        return True if len(await asyncio.to_thread(_kept, url)) == 3 else None

    listener = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        yield url.replace(f":{address['port']}/", f":{port}/")


async def _relay(source: asyncio.StreamReader, to: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
    while received := await source.read(65536):
        if not deaf.is_set():
            to.write(received)

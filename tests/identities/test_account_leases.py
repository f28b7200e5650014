"""One behaviour for every implementation of `Leases`; and a race of processes for the one they share."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from synthmon.identities.open import open_leases
from synthmon.identities.pools import Account, Leases, LeasesUnavailable, MemoryLeases, Pool
from synthmon.identities.postgres_leases import PostgresLeases
from synthmon.identities.sqlite_leases import SqliteLeases

ROOT = Path(__file__).parents[2]
POOL = Pool("clerks", (Account("anna", {"pin": "1"}), Account("ben", {"pin": "2"})), cooldown_s=30)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def leases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Leases]:
    match request.param:
        case "memory":
            opened = open_leases("memory:", None)
        case "sqlite":
            opened = open_leases("sqlite:///synthmon.db", tmp_path / "synthmon-journal.db")
        case _:
            opened = open_leases(request.getfixturevalue("postgres_url"), tmp_path / "synthmon-journal.db")
    yield opened
    await opened.aclose()


async def test_two_runs_never_have_the_same_account(leases: Leases) -> None:
    first = await leases.lease(POOL, "r1", now=100, until=160)
    second = await leases.lease(POOL, "r2", now=100, until=160)
    third = await leases.lease(POOL, "r3", now=100, until=160)

    assert first is not None
    assert second is not None
    assert (first.account.name, second.account.name, third) == ("anna", "ben", None)
    assert first.account.fields == {"pin": "1"}


async def test_many_runs_at_once_get_each_account_once(leases: Leases) -> None:
    pool = Pool("many", tuple(Account(f"a{number}", {}) for number in range(10)))

    got = await asyncio.gather(*(leases.lease(pool, f"r{number}", 100, 160) for number in range(40)))

    names = [lease.account.name for lease in got if lease]
    assert sorted(names) == sorted(account.name for account in pool.accounts)


async def test_who_comes_while_another_process_makes_the_file_waits(tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("create table another (a)")
    other.execute("begin immediate")
    asyncio.get_running_loop().call_later(0.2, other.execute, "rollback")

    lease = await SqliteLeases(path).lease(POOL, "r1", now=100, until=160)

    other.close()
    assert lease is not None


async def test_a_released_account_rests_and_comes_back_with_a_higher_fence(leases: Leases) -> None:
    pool = replace(POOL, accounts=POOL.accounts[:1])
    first = await leases.lease(pool, "r1", now=100, until=160)
    assert first is not None

    assert await leases.release(first, now=110)
    assert await leases.lease(pool, "r2", now=139, until=200) is None
    second = await leases.lease(pool, "r2", now=140, until=200)

    assert second is not None
    assert second.fence > first.fence


async def test_a_lease_that_nobody_released_ends_by_itself_after_the_cooldown(leases: Leases) -> None:
    pool = replace(POOL, accounts=POOL.accounts[:1])
    await leases.lease(pool, "killed", now=100, until=160)

    assert await leases.lease(pool, "r2", now=189.9, until=300) is None
    assert await leases.lease(pool, "r2", now=190, until=300) is not None


async def test_a_lease_is_renewed_while_it_lasts_only(leases: Leases) -> None:
    pool = replace(POOL, accounts=POOL.accounts[:1])
    lease = await leases.lease(pool, "r1", now=100, until=160)
    assert lease is not None

    longer = await leases.renew(lease, now=150, until=220)
    assert longer == replace(lease, until=220)
    assert await leases.lease(pool, "r2", now=200, until=300) is None
    assert await leases.renew(longer, now=220, until=280) is None


async def test_a_lost_lease_can_neither_be_renewed_nor_released(leases: Leases) -> None:
    pool = replace(POOL, accounts=POOL.accounts[:1], cooldown_s=0)
    lost = await leases.lease(pool, "r1", now=100, until=160)
    assert lost is not None
    taken = await leases.lease(pool, "r2", now=161, until=300)
    assert taken is not None

    assert await leases.renew(lost, now=162, until=400) is None
    assert not await leases.release(lost, now=163)
    assert await leases.lease(pool, "r3", now=164, until=400) is None
    assert await leases.release(taken, now=165)
    assert not await leases.release(taken, now=166)


async def test_accounts_are_used_in_turn_until_they_are_used_up(leases: Leases) -> None:
    pool = replace(POOL, cooldown_s=0, max_use=2)
    used = []

    for at in range(6):
        if lease := await leases.lease(pool, f"r{at}", now=100 + at, until=1000):
            used.append(lease.account.name)
            await leases.release(lease, now=100.5 + at)

    assert used == ["anna", "ben", "anna", "ben"]


async def test_an_account_taken_out_of_the_file_is_not_leased_and_a_new_one_is(leases: Leases) -> None:
    first = await leases.lease(POOL, "r1", now=100, until=160)
    assert first is not None
    await leases.release(first, now=101)
    changed = replace(POOL, accounts=(Account("cleo", {}), Account("ben", {})))

    names = [
        lease and lease.account.name for lease in [await leases.lease(changed, f"r{at}", 500, 600) for at in (2, 3, 4)]
    ]

    assert names == ["cleo", "ben", None]


async def test_pools_do_not_see_each_other(leases: Leases) -> None:
    await leases.lease(POOL, "r1", now=100, until=160)
    other = await leases.lease(replace(POOL, name="buyers"), "r2", now=100, until=160)

    assert other is not None
    assert other.account.name == "anna"
    assert [row.run_id for row in await leases.held(POOL)] == ["r1"]


async def test_the_lease_store_is_the_one_that_the_history_has(tmp_path: Path) -> None:
    beside = tmp_path / "synthmon-journal.db"

    on_postgres = open_leases("postgresql://me@127.0.0.1:1/none", beside)

    assert isinstance(on_postgres, PostgresLeases)
    assert isinstance(open_leases("sqlite:///synthmon.db", beside), SqliteLeases)
    assert isinstance(open_leases("memory:", None), MemoryLeases)
    await on_postgres.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_leases_outlive_the_process_that_took_them(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = "sqlite:///synthmon.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    before = open_leases(store, tmp_path / "synthmon-journal.db")
    assert await before.held(POOL) == ()
    await before.lease(POOL, "r1", now=100, until=160)
    await before.aclose()

    after = open_leases(store, tmp_path / "synthmon-journal.db")
    (row,) = await after.held(POOL)
    await after.aclose()

    assert (row.account, row.run_id, row.fence, row.until, row.free_after, row.used) == ("anna", "r1", 1, 160, 190, 1)


async def test_a_store_that_cannot_be_opened_is_our_fault_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(LeasesUnavailable, match="Check that the disk is writable"):
        await SqliteLeases(tmp_path / "nowhere" / "leases.db").lease(POOL, "r1", 100, 160)


async def test_a_database_that_does_not_answer_is_our_fault_and_its_password_is_not_told() -> None:
    leases = PostgresLeases("postgresql://me:hunter2hunter2@127.0.0.1:1/none")

    with pytest.raises(LeasesUnavailable, match=r"PostgreSQL 127\.0\.0\.1/none: .*Check that it runs") as told:
        await leases.lease(POOL, "r1", 100, 160)

    assert "hunter2" not in str(told.value)
    await leases.aclose()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.torture)])
def test_eight_processes_that_lease_from_a_pool_of_ten_never_overlap(
    kind: str, count: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = "sqlite:///synthmon.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    command = [sys.executable, str(Path(__file__).with_name("lease_worker.py")), store, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    workers = [
        subprocess.Popen([*command, str(number), str(count)], env=env, stdout=subprocess.PIPE) for number in range(8)
    ]

    told = [worker.communicate(timeout=600)[0] for worker in workers]

    assert [line.split() for line in told] == [[str(count).encode(), b"0"]] * 8

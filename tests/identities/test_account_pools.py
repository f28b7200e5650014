"""Which account of a pool comes next, and what an accounts file may hold."""

import pytest

from synthmon.identities.pools import Account, BadAccounts, Held, NoneFree, Pool, choose, read_pool

A, B, C = (Account(name, {"name": name}) for name in ("anna", "ben", "cleo"))
POOL = Pool("clerks", (A, B, C), cooldown_s=30, max_use=3)


def held(account: Account, *, used: int = 1, until: float = 0, free_after: float = 0) -> Held:
    return Held(account.name, "run", 1, until, free_after, used)


def chosen(now: float, *rows: Held) -> Account | NoneFree:
    return choose(POOL, {row.account: row for row in rows}, now)


def test_an_account_never_used_comes_first_in_the_order_of_the_file() -> None:
    assert chosen(100) == A
    assert chosen(100, held(A)) == B


def test_the_least_used_comes_before_the_longest_rested() -> None:
    assert (
        chosen(100, held(A, used=2, free_after=1), held(B, used=1, free_after=50), held(C, used=1, free_after=9)) == C
    )


def test_an_account_rests_until_its_cooldown_is_over() -> None:
    resting = held(A, until=90, free_after=120), held(B, until=95, free_after=125), held(C, until=300, free_after=330)

    assert chosen(119.9, *resting) == NoneFree("clerks", in_use=1, resting=2, used_up=0, next_free_at=120)
    assert chosen(120, *resting) == A


def test_an_account_that_is_used_up_never_comes_back() -> None:
    none = chosen(1e12, held(A, used=3), held(B, used=4), held(C, used=3))

    assert none == NoneFree("clerks", in_use=0, resting=0, used_up=3, next_free_at=None)
    assert str(none) == (
        "no free account in clerks: 0 in use, 0 resting, 3 used up. Add accounts or raise max_use."
    )  # fmt: skip


def test_an_accounts_file_becomes_a_pool() -> None:
    pool = read_pool("clerks", [{"name": "a", "password": "s3cret-pass", "pin": 1234}, {"email": "b@example.com"}], 30)

    assert [account.name for account in pool.accounts] == ["a", "b@example.com"]
    assert pool.account("a").fields == {"name": "a", "password": "s3cret-pass", "pin": "1234"}
    assert "s3cret-pass" not in repr(pool)


def test_every_fault_of_an_accounts_file_is_told_at_once_without_values() -> None:
    entries = [{"name": "a"}, {"name": "a"}, {"password": "s3cret-pass"}, "x", {"name": "b", "roles": ["s3cret-pass"]}]

    with pytest.raises(BadAccounts) as told:
        read_pool("clerks", entries)  # type: ignore[arg-type]

    assert str(told.value) == (
        "accounts of clerks: entry 2 has the name of an earlier entry: two runs would share a login; "
        "entry 3 has no name (nor email or username); entry 4 is not a map such as {name: clerk-1, password: …}; "
        "entry 5, roles: the value is not a text or a number"
    )


def test_an_empty_accounts_file_is_refused() -> None:
    with pytest.raises(BadAccounts, match="there are no accounts"):
        read_pool("clerks", [])

"""Who may use which test account, for how long: one run at a time, a rest between, and an end."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from synthmon.identities.credentials import sealed_fields, secret_name


@dataclass(frozen=True, slots=True)
class Account:
    """A test account of the operator: its name in the pool, and the values that `identity.` offers, secrets sealed."""

    name: str
    fields: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {len(self.fields)} fields)"  # the values may be passwords


@dataclass(frozen=True, slots=True)
class Pool:
    """Accounts leased in turn. `cooldown_s`: rest after each lease; `max_use`: leases of one account in all."""

    name: str
    accounts: tuple[Account, ...]
    cooldown_s: float = 0.0
    max_use: int | None = None

    def account(self, name: str) -> Account:
        return next(account for account in self.accounts if account.name == name)


@dataclass(frozen=True, slots=True)
class Held:
    """What is remembered of one account: its last lease. Times are seconds of UTC (epoch), as given by the caller.

    From `free_after` on the next run may have it: `until` plus cooldown, or the release plus cooldown.
    """

    account: str
    run_id: str
    fence: int
    until: float
    free_after: float
    used: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to one account until a time. `fence` grows with every lease of the account."""

    pool: Pool
    account: Account
    run_id: str
    fence: int
    until: float


@dataclass(frozen=True, slots=True)
class NoneFree:
    """Why no account could be had, and when (epoch seconds) the first will be free; None: never again."""

    pool: str
    in_use: int
    resting: int
    used_up: int
    next_free_at: float | None

    def __str__(self) -> str:
        if not self.in_use + self.resting + self.used_up:
            return f"the pool {self.pool} has no accounts"
        words = f"no free account in {self.pool}: {self.in_use} in use, {self.resting} resting, {self.used_up} used up"
        return words if self.next_free_at is not None else f"{words}. Add accounts or raise max_use."


class LeasesUnavailable(Exception):
    """The lease store did not answer: the run is unknown by our fault. The message has the remedy, and no password."""


class BadAccounts(ValueError):
    """The entries of an accounts file are not usable; the message names every fault."""


class Leases(Protocol):
    """Hands out accounts, atomically over every process that shares the store.

    None and False mean that the account is not ours (any more): the run is unknown by our fault, never failed.
    A cancelled `lease` may still have taken an account; it is free again after `until` and the cooldown.
    """

    async def lease(self, pool: Pool, run_id: str, now: float, until: float) -> Lease | None:
        """The free account that rested longest among the least used, or None if none is free."""
        ...

    async def renew(self, lease: Lease, now: float, until: float) -> Lease | None:
        """The same lease with a later end, or None if it is lost: past its end, released, or taken by another."""
        ...

    async def release(self, lease: Lease, now: float) -> bool:
        """Give the account back to rest; False if another run has it by now, or it was given back before."""
        ...

    async def held(self, pool: Pool) -> tuple[Held, ...]:
        """What is remembered of the accounts of the pool; nothing for those never leased."""
        ...

    async def aclose(self) -> None: ...


def read_pool(
    name: str,
    entries: Sequence[Mapping[str, Any]],
    cooldown_s: float = 0.0,
    max_use: int | None = None,
    sealed: Collection[str] = (),
) -> Pool:
    """The pool of a parsed accounts file: a list of maps, each with text or number values; `name` or `email` names it.

    The fields `sealed` become handles; `pool_secrets` tells what stands behind them. Raises `BadAccounts` with all
    faults. Values never stand in the message.
    """
    faults: list[str] = []
    accounts: dict[str, Account] = {}
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping) or not entry:
            faults.append(f"entry {place} is not a map such as {{name: clerk-1, password: …}}")
            continue
        faults += [
            f"entry {place}, {key}: the value is not a text or a number"
            for key, value in entry.items()
            if isinstance(value, bool) or not isinstance(value, str | int | float)
        ]
        called = _called(entry)
        if not called:
            faults.append(f"entry {place} has no name (nor email or username)")
        elif called in accounts:
            faults.append(f"entry {place} has the name of an earlier entry: two runs would share a login")
        fields = {str(key): str(value) for key, value in entry.items()}
        accounts[called] = Account(called, sealed_fields(name, called, fields, sealed))
    if not entries:
        faults.append("there are no accounts")
    if faults:
        raise BadAccounts(f"accounts of {name}: " + "; ".join(faults))
    return Pool(name, tuple(accounts.values()), cooldown_s, max_use)


def pool_secrets(name: str, entries: Sequence[Mapping[str, Any]], sealed: Collection[str]) -> dict[str, str]:
    """Secret name → what the accounts file has for it: a place such as `env:NAME`, or the secret itself."""
    return {secret_name(name, _called(entry), key): str(entry[key]) for entry in entries for key in sealed}


def _called(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry.get("email") or entry.get("username") or "")


def choose(pool: Pool, held: Mapping[str, Held], now: float) -> Account | NoneFree:
    """The account that the next run gets: the least used of the free ones, then the longest rested, then by place."""
    free: list[tuple[int, float, int]] = []
    in_use = resting = used_up = 0
    next_free: list[float] = []
    for place, account in enumerate(pool.accounts):
        last = held.get(account.name)
        if last is None:
            free.append((0, 0.0, place))
        elif pool.max_use is not None and last.used >= pool.max_use:
            used_up += 1
        elif last.free_after <= now:
            free.append((last.used, last.free_after, place))
        else:
            next_free.append(last.free_after)
            in_use += last.until > now
            resting += last.until <= now
    if free:
        return pool.accounts[min(free)[2]]
    return NoneFree(pool.name, in_use, resting, used_up, min(next_free, default=None))


class MemoryLeases:
    """Leases of one event loop: nothing awaits between looking and taking, so a lease is atomic."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Held]] = {}

    async def lease(self, pool: Pool, run_id: str, now: float, until: float) -> Lease | None:
        held = self._held.setdefault(pool.name, {})
        account = choose(pool, held, now)
        if isinstance(account, NoneFree):
            return None
        last = held.get(account.name)
        fence, used = (last.fence + 1, last.used + 1) if last else (1, 1)
        held[account.name] = Held(account.name, run_id, fence, until, until + pool.cooldown_s, used)
        return Lease(pool, account, run_id, fence, until)

    async def renew(self, lease: Lease, now: float, until: float) -> Lease | None:
        last = self._mine(lease)
        if last is None or last.until <= now:
            return None
        self._keep(lease, replace(last, until=until, free_after=until + lease.pool.cooldown_s))
        return replace(lease, until=until)

    async def release(self, lease: Lease, now: float) -> bool:
        last = self._mine(lease)
        if last is None:
            return False
        self._keep(lease, replace(last, run_id="", until=now, free_after=now + lease.pool.cooldown_s))
        return True

    async def held(self, pool: Pool) -> tuple[Held, ...]:
        return tuple(self._held.get(pool.name, {}).values())

    async def aclose(self) -> None:
        """Nothing is open."""

    def _mine(self, lease: Lease) -> Held | None:
        last = self._held.get(lease.pool.name, {}).get(lease.account.name)
        return last if last and (last.fence, last.run_id) == (lease.fence, lease.run_id) else None

    def _keep(self, lease: Lease, held: Held) -> None:
        self._held[lease.pool.name][lease.account.name] = held

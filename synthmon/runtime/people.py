"""Who a run is: a person invented for it, or a test account lent to it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record, Run
from synthmon.core.secrets import MASK
from synthmon.identities.invent import invent
from synthmon.identities.pools import Lease, Leases, LeasesUnavailable, Pool, choose, pool_secrets, read_pool
from synthmon.language.identity_sources import is_place
from synthmon.language.settings import Accounts, IdentitySource, Invented


class NobodyFree(Exception):
    """No account of the pool can be had: ours, never the target's fault."""


@dataclass(frozen=True, slots=True)
class Person:
    """What `identity.` offers in one run, and the lease that has to be given back."""

    fields: Mapping[str, str] = field(default_factory=dict)
    lease: Lease | None = None

    def names(self) -> dict[str, str]:
        """The fields as expressions see them."""
        return {f"identity.{name}": value for name, value in self.fields.items()}


NOBODY = Person()


def account_secrets(sources: Mapping[str, IdentitySource]) -> tuple[dict[str, str], dict[str, str]]:
    """The secrets of all accounts by the names of their handles: (name → place to read it from, name → value)."""
    found: dict[str, str] = {}
    for name, source in sources.items():
        if isinstance(source, Accounts):
            found |= pool_secrets(name, source.accounts, source.sealed)
    places = {name: value for name, value in found.items() if is_place(value)}
    return places, {name: value for name, value in found.items() if name not in places}


class People:
    """Invents or lends; `sources` are the `identities:` of the settings."""

    def __init__(self, sources: Mapping[str, IdentitySource], leases: Leases) -> None:
        self._sources, self._leases = sources, leases
        self._pools: dict[str, Pool] = {
            name: read_pool(name, source.accounts, source.cooldown_s, source.max_use, source.sealed)
            for name, source in sources.items()
            if isinstance(source, Accounts)
        }

    def warm(self) -> None:
        """Load the words of every locale, so that the first run need not wait for them; takes up to a second each."""
        for source in self._sources.values():
            if isinstance(source, Invented):
                invent(source.fields, "0" * 32, source.locale, source.domain)

    async def borrow(self, journey: Journey, run: Run, until: datetime) -> Person:
        """The person of a run, its own until an instant. Raises `NobodyFree`."""
        if not journey.identity:
            return NOBODY
        source = self._sources[journey.identity]
        if isinstance(source, Invented):
            return Person(invented(source, run))
        pool = self._pools[journey.identity]
        if run.again is not None:
            pool = only(pool, run.again.identity)
        now = run.started.timestamp()
        try:
            lease = await self._leases.lease(pool, run.id, now, until.timestamp())
            held = {last.account: last for last in await self._leases.held(pool)} if lease is None else {}
        except LeasesUnavailable as error:
            raise NobodyFree(str(error)) from error
        if lease is None:
            raise NobodyFree(str(choose(pool, held, now)))
        return Person(lease.account.fields, lease)

    async def give_back(self, person: Person, now: datetime) -> str:
        """The run is over. Answers why it may not have had its account to itself; empty if it had.

        A lease that cannot be given back ends by itself.
        """
        lease = person.lease
        if lease is None:
            return ""
        try:
            kept = await asyncio.shield(self._leases.release(lease, now.timestamp()))
        except LeasesUnavailable as error:
            in_time = now.timestamp() < lease.until  # nobody can have taken it yet
            return "" if in_time else f"whether the account was still ours cannot be told: {error}"
        return "" if kept else f"another run was lent {lease.account.name} of {lease.pool.name} before this one ended"


def invented(source: Invented, run: Run) -> dict[str, str]:
    """The person made up for a run; a run that is sent once more has the same person again."""
    who = run.again.run if run.again is not None else run
    return invent(source.fields, who.id, source.locale, source.domain, who.namespace, who.seed_of)


def only(pool: Pool, was: Mapping[str, Any]) -> Pool:
    """The pool with nobody but the account that a run had; what was masked in its record says nothing."""
    shown = {name: value for name, value in was.items() if MASK not in str(value)}
    return replace(pool, accounts=tuple(one for one in pool.accounts if shown.items() <= one.fields.items()))


def distrusted(record: Record, lost: str) -> Record:
    """The record of a run that shared its account: whatever it saw may be the other run's doing."""
    said = f"{lost}; without that: {record.outcome}. {record.message}".strip()
    return replace(record, outcome=Outcome.UNKNOWN, reason=Reason.FENCED, message=said)

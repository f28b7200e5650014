"""Who a run is: a person invented for it, or a test account lent to it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from synthmon.core.journey import Journey
from synthmon.core.run import Run
from synthmon.identities.invent import invent
from synthmon.identities.pools import Lease, Leases, Pool, choose, read_pool
from synthmon.identities.sql_leases import LeasesUnavailable
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


class People:
    """Invents or lends; `sources` are the `identities:` of the settings."""

    def __init__(self, sources: Mapping[str, IdentitySource], leases: Leases) -> None:
        self._sources, self._leases = sources, leases
        self._pools: dict[str, Pool] = {
            name: read_pool(name, source.accounts, source.cooldown_s, source.max_use)
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
            return Person(invent(source.fields, run.id, source.locale, source.domain))
        pool = self._pools[journey.identity]
        now = run.started.timestamp()
        try:
            lease = await self._leases.lease(pool, run.id, now, until.timestamp())
            held = {last.account: last for last in await self._leases.held(pool)} if lease is None else {}
        except LeasesUnavailable as error:
            raise NobodyFree(str(error)) from error
        if lease is None:
            raise NobodyFree(str(choose(pool, held, now)))
        return Person(lease.account.fields, lease)

    async def give_back(self, person: Person, now: datetime) -> None:
        """The run is over. A lease that cannot be given back ends by itself."""
        if person.lease is not None:
            try:
                await asyncio.shield(self._leases.release(person.lease, now.timestamp()))
            except LeasesUnavailable:
                return

"""Puts together what runs need from loaded settings: stores, doors, people, secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from synthmon.core.expressions import Compiler, Scope
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.run import Run, run_names
from synthmon.core.secrets import Vault, seal
from synthmon.core.spending import Spending
from synthmon.core.templates import Template, compile_template
from synthmon.core.undo.intents import Journal
from synthmon.identities.open import open_leases
from synthmon.identities.pools import Leases
from synthmon.language.connections import entry_secret, find_connections
from synthmon.language.evidence import find_sources
from synthmon.language.kinds import Kinds, find_kinds
from synthmon.language.names import RUN
from synthmon.language.settings import Settings
from synthmon.runtime.doors import Doors
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.keyring import Keyring
from synthmon.runtime.lent import Lent
from synthmon.runtime.logs import hide_with
from synthmon.runtime.outbound.run_door import RunDoor
from synthmon.runtime.people import People, account_secrets
from synthmon.runtime.pictures import Pictures, pictures_beside
from synthmon.runtime.sessions import Sessions
from synthmon.store.open import MEMORY, journal_path, open_history, open_journal, open_spending


@dataclass(frozen=True, slots=True)
class House:
    """What lasts as long as the process."""

    clock: SteadyClock
    history: History
    journal: Journal
    leases: Leases
    doors: Doors
    forms: Kinds
    keyring: Keyring
    spending: Spending
    beside: Path | None  # the journal's file; other small files live beside it
    pictures: Pictures

    def lend(self, settings: Settings) -> tuple[Lent, Mapping[str, str]]:
        """What runs are lent from now on, and the secrets that cannot be read (name → why).

        `exec:` and `vault:` secrets are among those until `keyring.fetch` has been waited for.
        """
        sources = settings.evidence.values()
        self.doors.serve({**settings.systems, **{s.system.name: s.system for s in sources if s.system is not None}})
        places, literals = account_secrets(settings.identities)
        self.keyring.take(
            {**settings.secrets, **places, **_not_of_secrets(settings)}, literals, settings.vault, settings.refresh_s
        )
        self.doors.links.serve(
            settings.connections,
            {word: forms.kind for word, forms in find_connections().items()},
            partial(self._secret, "connections"),
        )
        compiler = Compiler()
        headers = {n: compile_template(compiler, text, RUN) for n, text in settings.propagation.headers.items()}

        def open_door(run: Run, journey: Journey, vault: Vault) -> RunDoor:
            return self.doors.open(run.id, journey.name, vault, headers=_rendered(headers, run), baggage=run.baggage)

        return Lent(
            settings,
            {word: forms.kind for word, forms in self.forms.items()},
            open_door,
            People(settings.identities, self.leases),
            self.keyring.vault,
            Sessions(self.keyring.remember),
            Gatherer(
                {word: forms.kind for word, forms in find_sources().items()},
                lambda: self.doors.otlp,
                partial(self._secret, "evidence"),
            ),
            self.pictures,
        ), self.keyring.faults

    def _secret(self, place: str, name: str, key: str) -> str:
        """A secret of an entry of `connections` or `evidence`. Raises `SecretError`."""
        return self.keyring.vault().reveal(seal(f"secret.{entry_secret(place, name, key)}"))


@asynccontextmanager
async def open_house(store: str) -> AsyncIterator[House]:
    """Open the stores of a URL and the doors. Raises `OSError` or `StoreUnusable` with the words for a person."""
    history = await open_history(store)
    path = journal_file(store)
    journal = open_journal(store, path)
    leases = open_leases(store, path)
    spending = open_spending(store)
    try:
        async with Doors({}) as doors:
            keyring = Keyring(doors)
            hide_with(keyring.redact)
            pictures = pictures_beside(path)
            doors.takes_pictures = pictures.folder is not None
            yield House(SteadyClock(), history, journal, leases, doors, find_kinds(), keyring, spending, path, pictures)
    finally:
        await spending.aclose()
        await leases.aclose()
        await journal.aclose()
        await history.aclose()


def journal_file(store: str) -> Path | None:
    """Where the journal of a store is; the small files of this machine live beside it. None for `memory:`."""
    if store == MEMORY:
        return None
    return journal_path(store) if store.startswith("sqlite") else Path("synthmon-journal.db")


def _not_of_secrets(settings: Settings) -> Mapping[str, str]:
    """The secrets of connections and sources by a name that none under `secrets:` can have → their references."""
    return {
        entry_secret(place, name, key): reference
        for place, holders in (("connections", settings.connections), ("evidence", settings.evidence))
        for name, holder in holders.items()
        for key, reference in holder.references.items()
    }


def _rendered(headers: Mapping[str, Template], run: Run) -> Mapping[str, str]:
    if not headers:
        return {}
    scope = Scope(run_names(run))
    return {name: template.render_text(scope) for name, template in headers.items()}

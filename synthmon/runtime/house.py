"""Puts together what runs need from loaded settings: stores, doors, people, secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from synthmon.core.expressions import Compiler, Scope
from synthmon.core.history import History
from synthmon.core.intents import Journal
from synthmon.core.journey import Journey
from synthmon.core.run import Run, run_names
from synthmon.core.secrets import Vault
from synthmon.core.templates import Template, compile_template
from synthmon.identities.pools import Leases, MemoryLeases
from synthmon.identities.sql_leases import SqliteLeases
from synthmon.language.kinds import Kinds, find_kinds
from synthmon.language.names import RUN
from synthmon.language.settings import Settings
from synthmon.runtime.doors import Doors
from synthmon.runtime.instants import SteadyClock
from synthmon.runtime.outbound.door import HttpDoor
from synthmon.runtime.people import People
from synthmon.runtime.references import resolve
from synthmon.runtime.runner import Lent
from synthmon.runtime.sessions import Sessions
from synthmon.store.open import MEMORY, journal_path, open_history, open_journal


@dataclass(frozen=True, slots=True)
class House:
    """What lasts as long as the process."""

    clock: SteadyClock
    history: History
    journal: Journal
    leases: Leases
    doors: Doors
    forms: Kinds
    beside: Path | None  # the journal's file; other small files live beside it

    def lend(self, settings: Settings) -> tuple[Lent, Mapping[str, str]]:
        """What runs are lent from now on, and the secrets that cannot be read (name → why)."""
        self.doors.serve(settings.systems)
        values, faults = resolve(settings.secrets)
        compiler = Compiler()
        headers = {n: compile_template(compiler, text, RUN) for n, text in settings.propagation.headers.items()}

        def open_door(run: Run, journey: Journey, vault: Vault) -> HttpDoor:
            return self.doors.open(run.id, journey.name, vault, headers=_rendered(headers, run))

        return Lent(
            settings,
            {word: forms.kind for word, forms in self.forms.items()},
            open_door,
            People(settings.identities, self.leases),
            values,
            Sessions(),
        ), faults


@asynccontextmanager
async def open_house(store: str) -> AsyncIterator[House]:
    """Open the stores of a URL and the doors. Raises `OSError` or `StoreUnusable` with the words for a person."""
    history = await open_history(store)
    path = (
        None if store == MEMORY else journal_path(store) if store.startswith("sqlite") else Path("synthmon-journal.db")
    )
    journal = open_journal(store, path)
    leases: Leases = MemoryLeases() if path is None else SqliteLeases(path.with_name(path.stem + "-leases.db"))
    try:
        async with Doors({}) as doors:
            yield House(SteadyClock(), history, journal, leases, doors, find_kinds(), path)
    finally:
        await journal.aclose()
        await history.aclose()


def _rendered(headers: Mapping[str, Template], run: Run) -> Mapping[str, str]:
    if not headers:
        return {}
    scope = Scope(run_names(run))
    return {name: template.render_text(scope) for name, template in headers.items()}

"""What every run is lent: settings, kinds, doors, people, secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from synthmon.core.door import Door
from synthmon.core.journey import Journey
from synthmon.core.kinds import Kind
from synthmon.core.run import Run
from synthmon.core.secrets import Vault
from synthmon.core.undo.intents import Journal
from synthmon.language.settings import Settings
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.instants import Clock
from synthmon.runtime.people import People
from synthmon.runtime.pictures import Pictures
from synthmon.runtime.sessions import RunSigner, Sessions

CLEAN_UP_S = 30.0  # what clean-up may take on top of a run's deadline before its lease ends

OpenDoor = Callable[[Run, Journey, Vault], Any]
"""(run, journey, vault) → the door of that run."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What every run is lent; a reload replaces it for the runs to come."""

    settings: Settings
    kinds: Mapping[str, Kind]
    open_door: OpenDoor
    people: People
    make_vault: Callable[[], Vault]  # the secrets of a run that begins now
    sessions: Sessions
    gatherer: Gatherer
    pictures: Pictures = Pictures(None)

    def base_of(self, system: str, location: str) -> str:
        """Where a system is; empty for one that the settings do not have."""
        known = self.settings.systems.get(system)
        return known.base_at(location) if known is not None else ""

    def sign(
        self, door: Door, journal: Journal, clock: Clock, run: Run, names: Mapping[str, Any], vault: Vault
    ) -> RunSigner | None:
        """Who signs the requests of a run; None when the settings have no sessions."""
        if not self.settings.sessions:
            return None
        return RunSigner(self.sessions, self.settings, self.kinds, door, journal, clock, run, names, vault)

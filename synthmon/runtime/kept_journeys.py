"""A journey as it ran, for a command that has loaded no probes: by the text that the journal of a store keeps."""

from __future__ import annotations

from synthmon.core.journey import Journey
from synthmon.language.kinds import find_kinds
from synthmon.language.settings import Settings
from synthmon.runtime.lookout import find_in
from synthmon.store.open import MEMORY, journal_path, open_journal


async def kept_journey(store: str, settings: Settings, version: str, name: str) -> Journey | None:
    """The journey of this version, under the settings of today; None when it is not kept. Raises `OSError`."""
    if store == MEMORY or (store.startswith("sqlite") and not journal_path(store).exists()):
        return None
    journal = open_journal(store)
    try:
        return await find_in(journal, settings, find_kinds())(version, name)
    finally:
        await journal.aclose()

"""Opens what a store's URL names; imports a database only when one is named."""

from __future__ import annotations

from pathlib import Path

from synthmon.core.history import History
from synthmon.core.intents import Journal
from synthmon.store.failures import StoreUnusable

MEMORY = "memory:"
_SQLITE = "sqlite:///"


async def open_history(url: str) -> History:
    """`sqlite:///synthmon.db` (four slashes: an absolute path), `postgresql://user@host/name` or `memory:`.

    Creates or migrates the tables. Raises `OSError` when it cannot be reached or written now, `StoreUnusable` when
    waiting will not help.
    """
    if url == MEMORY:
        from synthmon.store.memory import MemoryHistory

        return MemoryHistory()
    from synthmon.store.sql import SqlHistory  # SQLAlchemy takes half a second to import

    return await SqlHistory.open(url)


def open_journal(url: str, path: Path | None = None) -> Journal:
    """The journal that belongs to a history: in memory beside `memory:`, else the SQLite file `path`.

    `path` is needed with PostgreSQL (a journal is always on the machine's own disk); beside `sqlite:///synthmon.db`
    it is `synthmon-journal.db` if not given. Raises `StoreUnusable` when there is no path; a file that cannot be
    opened is said by every call, as `OSError`.
    """
    if url == MEMORY and path is None:
        from synthmon.store.journal_memory import MemoryJournal

        return MemoryJournal()
    from synthmon.store.journal_sqlite import SqliteJournal

    return SqliteJournal(path or journal_path(url))


def journal_path(url: str) -> Path:
    """`synthmon-journal.db` beside `sqlite:///synthmon.db`. Raises `StoreUnusable` for a store without a file."""
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise StoreUnusable("This store has no file to keep the journal beside. Name a file for the journal.")
    store = Path(url.removeprefix(_SQLITE).partition("?")[0])
    return store.with_name(f"{store.stem}-journal{store.suffix or '.db'}")

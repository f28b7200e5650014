"""Opens what a store's URL names; imports a database only when one is named."""

from __future__ import annotations

from pathlib import Path

from synthmon.core.history import History
from synthmon.core.spending import Spending
from synthmon.core.undo.intents import Journal
from synthmon.store.failures import StoreUnusable

MEMORY = "memory:"
_SQLITE = "sqlite:///"
_POSTGRES = "postgresql"


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


def open_spending(url: str) -> Spending:
    """What was spent of budgets, in the database of the history, which is opened first: it makes the tables."""
    if url == MEMORY:
        from synthmon.store.spending_memory import MemorySpending

        return MemorySpending()
    from synthmon.store.spending_sql import SqlSpending

    return SqlSpending(url)


def open_journal(url: str, path: Path | None = None) -> Journal:
    """The journal that belongs to a history: in memory beside `memory:`, in the same database for `postgresql://…`,
    else the SQLite file `path`, which beside `sqlite:///synthmon.db` is `synthmon-journal.db` if not given.

    Calls nobody yet: what cannot be opened is said by every call, as `OSError`.
    """
    if url == MEMORY and path is None:
        from synthmon.store.journal_memory import MemoryJournal

        return MemoryJournal()
    if url.startswith(_POSTGRES):
        from synthmon.store.journal_postgres import PostgresJournal

        return PostgresJournal(url)
    from synthmon.store.journal_sqlite import SqliteJournal

    return SqliteJournal(path or journal_path(url))


def journal_path(url: str) -> Path:
    """`synthmon-journal.db` beside `sqlite:///synthmon.db`. Raises `StoreUnusable` for a store without a file."""
    if not url.startswith(_SQLITE) or url == _SQLITE:
        raise StoreUnusable("This store has no file to keep the journal beside. Name a file for the journal.")
    store = Path(url.removeprefix(_SQLITE).partition("?")[0])
    return store.with_name(f"{store.stem}-journal{store.suffix or '.db'}")

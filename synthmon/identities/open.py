"""Opens the leases that belong to a store's URL: shared by everybody who shares the store."""

from __future__ import annotations

from pathlib import Path

from synthmon.identities.pools import Leases, MemoryLeases


def open_leases(store: str, beside: Path | None) -> Leases:
    """Leases in PostgreSQL for `postgresql://…`; else in a SQLite file next to the file `beside`, or in memory without.

    Calls nobody yet: a store that does not answer is told by the calls, as `LeasesUnavailable`.
    """
    if store.startswith("postgresql"):
        from synthmon.identities.postgres_leases import PostgresLeases  # SQLAlchemy takes half a second to import

        return PostgresLeases(store)
    if beside is None:
        return MemoryLeases()
    from synthmon.identities.sqlite_leases import SqliteLeases

    return SqliteLeases(beside.with_name(beside.stem + "-leases.db"))

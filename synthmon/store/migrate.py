"""Brings the tables of a database to the version that this program speaks, once, whoever opens it first."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path
from threading import Lock

import sqlalchemy as sa

from synthmon.store.engines import Engines
from synthmon.store.failures import StoreUnusable
from synthmon.store.schema import HEAD

POSTGRES_LOCK = 7_310_293_744_310_298  # any number, as long as every synthmon takes the same
_LONGEST_WAIT = "60s"
_MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = Lock()  # its `op` and `context` are global: one migration at a time in a process, also of two databases


async def bring_up_to_date(engines: Engines) -> None:
    """Create or migrate the tables; others who open at the same time wait. Does not import Alembic when all is done.

    Raises `StoreUnusable` when a newer synthmon has migrated it.
    """
    async with engines.reader.connect() as connection:
        if await connection.run_sync(_revision) == HEAD:
            return
    await asyncio.to_thread(_migrate, engines)


def _migrate(engines: Engines) -> None:
    with _ALEMBIC, closing(engines.migrator().connect()) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LONGEST_WAIT}'"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": POSTGRES_LOCK})
        revision = _revision(connection)
        if revision != HEAD:
            _upgrade(connection, revision, engines.where)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def _upgrade(connection: sa.Connection, revision: str | None, where: str) -> None:
    # here and not above: the import is slow, and needed once in a database's life
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreUnusable(
            f"{where} was written by a newer synthmon (its revision is {revision}, this version knows {HEAD}). "
            "Start the newer version again, or name another store."
        )
    command.upgrade(config, "head")

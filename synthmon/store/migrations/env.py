"""Alembic's entry: brings the connection that it is handed to the newest revision."""

from __future__ import annotations

from alembic import context

from synthmon.store.schema import metadata

# The connection is in a transaction already, so that a migration happens whole or not at all.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()

"""The journal of daemons that share a PostgreSQL; beside SQLite it has a file of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    word = sa.Text(collation="C")
    op.create_table(
        "journal_owners",
        sa.Column("owner", word, primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "journal_claims",
        sa.Column("journey", word, nullable=False),
        sa.Column("location", word, nullable=False),
        sa.Column("slot_us", sa.BigInteger(), nullable=False),
        sa.Column("run_id", word, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("owner", word, nullable=False),
        sa.Column("recorded", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("journey", "location", "slot_us"),
    )
    op.create_index("journal_claims_unrecorded", "journal_claims", ["at_us"], postgresql_where=sa.text("NOT recorded"))
    op.create_index("journal_claims_by_slot", "journal_claims", ["slot_us"])
    op.create_table(
        "journal_entries",
        sa.Column("run_id", word, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "seq"),
    )
    op.create_table(
        "journal_runs",
        sa.Column("run_id", word, primary_key=True),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("version", word, nullable=False),
        sa.Column("owner", word, nullable=False),
    )
    op.create_index("journal_runs_by_start", "journal_runs", ["started_us"])
    op.create_index("journal_runs_by_version", "journal_runs", ["version"])
    op.create_table(
        "journal_debts",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("run_id", word, nullable=False),
        sa.Column("path", word, nullable=False),
        sa.UniqueConstraint("run_id", "path", name="journal_debts_once"),
    )
    op.create_table(
        "journal_texts",
        sa.Column("version", word, primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kept", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in ("texts", "debts", "runs", "entries", "claims", "owners"):
            op.drop_table(f"journal_{name}")

"""The records of every slot."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("journey", word, nullable=False),
        sa.Column("location", word, nullable=False),
        sa.Column("slot_us", sa.BigInteger(), nullable=False),
        sa.Column("kept_as", word, nullable=False),
        sa.Column("run_id", word, nullable=False),
        sa.Column("outcome", word, nullable=False),
        sa.Column("reason", word, nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("took_ms", sa.Double(), nullable=False),
        sa.Column("outcome_ms", sa.Double()),
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary()),
        sa.UniqueConstraint("journey", "location", "slot_us", "kept_as", name="runs_kept_once"),
    )
    op.create_index("runs_by_id", "runs", ["run_id"])
    op.create_index("runs_by_slot", "runs", ["slot_us", "outcome"])
    op.create_index("runs_by_journey", "runs", ["journey", "slot_us"])
    not_passed = sa.text("outcome <> 'passed'")
    op.create_index("runs_not_passed", "runs", ["slot_us"], sqlite_where=not_passed, postgresql_where=not_passed)


def downgrade() -> None:
    op.drop_table("runs")

"""What was spent of the budgets of systems."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "spending",
        sa.Column("system", word, nullable=False),
        sa.Column("used", word, nullable=False),
        sa.Column("piece", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system", "used", "piece"),
    )


def downgrade() -> None:
    op.drop_table("spending")

"""The evidence of a run in a column of its own, so that it can be forgotten before the run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("evidence", sa.LargeBinary()))
    op.add_column("runs", sa.Column("evidence_kept", sa.SmallInteger(), nullable=False, server_default=sa.text("0")))
    passed = sa.text("evidence_kept = 1 AND outcome = 'passed'")
    columns = ["journey", "location", "slot_us"]
    op.create_index("runs_with_evidence", "runs", columns, sqlite_where=passed, postgresql_where=passed)


def downgrade() -> None:
    op.drop_index("runs_with_evidence", "runs")
    op.drop_column("runs", "evidence_kept")
    op.drop_column("runs", "evidence")

"""The tables of history and of what was spent, the same in SQLite and PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0004"  # the newest revision in migrations/versions

# In PostgreSQL compared byte by byte, as SQLite does: faster, and a range finds every id with a prefix.
WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

metadata = sa.MetaData()

# `head`, `detail` and `evidence` are the record; the other columns are copies of it to search, count and draw by.
runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("journey", WORD, nullable=False),
    sa.Column("location", WORD, nullable=False),
    sa.Column("slot_us", sa.BigInteger(), nullable=False),  # microseconds since 1970 UTC
    sa.Column("kept_as", WORD, nullable=False),  # empty for a slot of the schedule, else the run's id
    sa.Column("run_id", WORD, nullable=False),
    sa.Column("outcome", WORD, nullable=False),
    sa.Column("reason", WORD, nullable=False),
    sa.Column("slots", sa.Integer(), nullable=False),
    sa.Column("took_ms", sa.Double(), nullable=False),
    sa.Column("outcome_ms", sa.Double()),
    sa.Column("batch", sa.BigInteger(), nullable=False),  # names the transaction that wrote the row
    sa.Column("head", sa.Text(), nullable=False),
    sa.Column("detail", sa.LargeBinary()),
    sa.Column("evidence", sa.LargeBinary()),
    sa.Column("evidence_kept", sa.SmallInteger(), nullable=False, server_default=sa.text("0")),  # `EvidenceKept`
    sa.UniqueConstraint("journey", "location", "slot_us", "kept_as", name="runs_kept_once"),
    sa.Index("runs_by_id", "run_id"),
    sa.Index("runs_by_slot", "slot_us", "outcome"),
    sa.Index("runs_by_journey", "journey", "slot_us"),
    sa.Index(
        "runs_not_passed",
        "slot_us",
        sqlite_where=sa.text("outcome <> 'passed'"),
        postgresql_where=sa.text("outcome <> 'passed'"),
    ),
    # Few rows stand in it, so that what is to be forgotten is found without a walk over all that was.
    sa.Index(
        "runs_with_evidence",
        "journey",
        "location",
        "slot_us",
        sqlite_where=sa.text("evidence_kept = 1 AND outcome = 'passed'"),
        postgresql_where=sa.text("evidence_kept = 1 AND outcome = 'passed'"),
    ),
)

# How much of a system was used, in pieces of time (`core.spending`).
spending = sa.Table(
    "spending",
    metadata,
    sa.Column("system", WORD, nullable=False),
    sa.Column("used", WORD, nullable=False),
    sa.Column("piece", sa.BigInteger(), nullable=False),
    sa.Column("spent", sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint("system", "used", "piece"),
)

# One step down the index for each (journey, location), so that start-up does not read every row (a loose index scan:
# wiki.postgresql.org/wiki/Loose_indexscan).
LAST_SLOTS = sa.text("""
WITH RECURSIVE newest(journey, location, slot_us) AS (
    SELECT * FROM (
        SELECT journey, location, slot_us FROM runs WHERE kept_as = ''
        ORDER BY journey DESC, location DESC, slot_us DESC LIMIT 1
    ) AS first
    UNION ALL
    SELECT
        (SELECT r.journey FROM runs r WHERE (r.journey, r.location) < (n.journey, n.location) AND r.kept_as = ''
         ORDER BY r.journey DESC, r.location DESC, r.slot_us DESC LIMIT 1),
        (SELECT r.location FROM runs r WHERE (r.journey, r.location) < (n.journey, n.location) AND r.kept_as = ''
         ORDER BY r.journey DESC, r.location DESC, r.slot_us DESC LIMIT 1),
        (SELECT r.slot_us FROM runs r WHERE (r.journey, r.location) < (n.journey, n.location) AND r.kept_as = ''
         ORDER BY r.journey DESC, r.location DESC, r.slot_us DESC LIMIT 1)
    FROM newest n WHERE n.journey IS NOT NULL
)
SELECT journey, location, slot_us FROM newest WHERE journey IS NOT NULL
""")

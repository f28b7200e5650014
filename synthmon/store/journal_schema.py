"""The tables of a journal that daemons of many machines share in PostgreSQL, and the statements that keep it true.

Lists of values travel as arrays, so that a batch takes the same few statements however many wait. Leases are by the
database's clock: those of the machines may differ as they like.
"""

from __future__ import annotations

import sqlalchemy as sa

from synthmon.store.schema import WORD

journal_metadata = sa.MetaData()

# Who writes here: `until` is renewed while a process lives, `since` is when it last began to be without a lapse.
owners = sa.Table(
    "journal_owners",
    journal_metadata,
    sa.Column("owner", WORD, primary_key=True),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("until", sa.DateTime(timezone=True), nullable=False),
)
claims = sa.Table(
    "journal_claims",
    journal_metadata,
    sa.Column("journey", WORD, primary_key=True),
    sa.Column("location", WORD, primary_key=True),
    sa.Column("slot_us", sa.BigInteger(), primary_key=True, autoincrement=False),  # microseconds since 1970 UTC
    sa.Column("run_id", WORD, nullable=False),
    sa.Column("at_us", sa.BigInteger(), nullable=False),
    sa.Column("owner", WORD, nullable=False),
    sa.Column("recorded", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("mark", sa.BigInteger(), nullable=False),  # names the call that wrote the row
    sa.Index("journal_claims_unrecorded", "at_us", postgresql_where=sa.text("NOT recorded")),
    sa.Index("journal_claims_by_slot", "slot_us"),
)
entries = sa.Table(
    "journal_entries",
    journal_metadata,
    sa.Column("run_id", WORD, primary_key=True),
    sa.Column("seq", sa.Integer(), primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text(), nullable=False),
    sa.Column("mark", sa.BigInteger(), nullable=False),
)
runs = sa.Table(
    "journal_runs",
    journal_metadata,
    sa.Column("run_id", WORD, primary_key=True),
    sa.Column("started_us", sa.BigInteger(), nullable=False),
    sa.Column("version", WORD, nullable=False),
    sa.Column("owner", WORD, nullable=False),
    sa.Index("journal_runs_by_start", "started_us"),
    sa.Index("journal_runs_by_version", "version"),
)
debts = sa.Table(
    "journal_debts",
    journal_metadata,
    sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
    sa.Column("run_id", WORD, nullable=False),
    sa.Column("path", WORD, nullable=False),
    sa.UniqueConstraint("run_id", "path", name="journal_debts_once"),
)
texts = sa.Table(
    "journal_texts",
    journal_metadata,
    sa.Column("version", WORD, primary_key=True),
    sa.Column("text", sa.Text(), nullable=False),
    sa.Column("kept", sa.DateTime(timezone=True), nullable=False),
)

# leases ---------------------------------------------------------------------------------------------------------------

# Who lapsed begins anew: it may have been away for long, and must not judge others before it has watched them.
RENEW = sa.text("""
INSERT INTO journal_owners AS o (owner, since, until)
VALUES (:me, clock_timestamp(), clock_timestamp() + make_interval(secs => :lease_s))
ON CONFLICT (owner) DO UPDATE SET until = excluded.until,
    since = CASE WHEN o.until < clock_timestamp() THEN excluded.since ELSE o.since END
""")
LEAVE = sa.text("DELETE FROM journal_owners WHERE owner = :me")

# Whether the owner in `o` is dead for certain: its lease is over, and ours was held without a break for as long as one
# lasts, so that after an outage of the database everybody has had the time to renew.
_MAY_JUDGE = """EXISTS (SELECT 1 FROM journal_owners WHERE owner = :me AND until > clock_timestamp()
    AND since < clock_timestamp() - make_interval(secs => :lease_s))"""
_WHOSE = f"""CASE WHEN x.owner = :me THEN 'ours'
    WHEN o.owner IS NOT NULL AND (o.until > clock_timestamp() OR NOT {_MAY_JUDGE}) THEN 'another''s'
    ELSE 'nobody''s' END"""

# claims ---------------------------------------------------------------------------------------------------------------

# In the order of the key, as in every statement that locks several rows: two daemons cannot lock each other out.
CLAIM = sa.text("""
INSERT INTO journal_claims (journey, location, slot_us, run_id, at_us, owner, mark)
SELECT journey, location, slot_us, run_id, at_us, :me, mark
FROM unnest(CAST(:journeys AS text[]), CAST(:locations AS text[]), CAST(:slots AS bigint[]), CAST(:runs AS text[]),
    CAST(:ats AS bigint[]), CAST(:marks AS bigint[])) AS new(journey, location, slot_us, run_id, at_us, mark)
WHERE new.run_id = '' OR NOT EXISTS ( -- between the two ends of a gap, which were taken together
    SELECT 1
    FROM (SELECT run_id, at_us, owner FROM journal_claims c WHERE c.journey = new.journey
        AND c.location = new.location AND c.slot_us < new.slot_us ORDER BY c.slot_us DESC LIMIT 1) AS one
    JOIN (SELECT run_id, at_us, owner FROM journal_claims c WHERE c.journey = new.journey
        AND c.location = new.location AND c.slot_us > new.slot_us ORDER BY c.slot_us LIMIT 1) AS other
        USING (run_id, at_us, owner)
    WHERE run_id = ''
)
ORDER BY journey COLLATE "C", location COLLATE "C", slot_us
ON CONFLICT DO NOTHING RETURNING journey, location, slot_us, mark
""")
CLAIMED = sa.text("""
SELECT c.journey, c.location, c.slot_us, c.mark FROM journal_claims c
JOIN unnest(CAST(:journeys AS text[]), CAST(:locations AS text[]), CAST(:slots AS bigint[]), CAST(:marks AS bigint[]))
    AS ours(journey, location, slot_us, mark) USING (journey, location, slot_us, mark)
""")
UNCLAIM = sa.text("""
DELETE FROM journal_claims c
USING unnest(CAST(:journeys AS text[]), CAST(:locations AS text[]), CAST(:slots AS bigint[]), CAST(:marks AS bigint[]))
    AS ours(journey, location, slot_us, mark)
WHERE (c.journey, c.location, c.slot_us, c.mark) = (ours.journey, ours.location, ours.slot_us, ours.mark)
""")
NEWEST = sa.text("""
SELECT (SELECT max(c.slot_us) FROM journal_claims c WHERE c.journey = gap.journey AND c.location = gap.location
    AND c.slot_us >= gap.slot_us AND c.mark <> gap.mark) AS slot_us
FROM unnest(CAST(:journeys AS text[]), CAST(:locations AS text[]), CAST(:slots AS bigint[]), CAST(:marks AS bigint[]))
    WITH ORDINALITY AS gap(journey, location, slot_us, mark, n) ORDER BY n
""")
RELEASE = sa.text("""
UPDATE journal_claims c SET recorded = true
FROM unnest(CAST(:journeys AS text[]), CAST(:locations AS text[]), CAST(:slots AS bigint[]))
    AS done(journey, location, slot_us)
WHERE (c.journey, c.location, c.slot_us) = (done.journey, done.location, done.slot_us)
""")
UNRECORDED = sa.text(f"""
SELECT x.journey, x.slot_us, x.location, x.run_id, x.at_us, {_WHOSE} AS whose
FROM journal_claims x LEFT JOIN journal_owners o ON o.owner = x.owner WHERE NOT x.recorded ORDER BY x.at_us
""")

# entries --------------------------------------------------------------------------------------------------------------

LAST = sa.text("""
SELECT run_id, max(seq) AS seq FROM journal_entries WHERE run_id = ANY(CAST(:runs AS text[])) GROUP BY run_id
""")
WRITTEN = sa.text("""
SELECT run_id, seq, mark FROM journal_entries
WHERE (run_id, seq) IN (SELECT * FROM unnest(CAST(:runs AS text[]), CAST(:seqs AS integer[])))
""")
APPEND = sa.text("""
INSERT INTO journal_entries (run_id, seq, line, mark)
SELECT run_id, seq, line, mark FROM unnest(CAST(:runs AS text[]), CAST(:seqs AS integer[]), CAST(:lines AS text[]),
    CAST(:marks AS bigint[])) AS new(run_id, seq, line, mark)
ORDER BY run_id COLLATE "C", seq ON CONFLICT DO NOTHING RETURNING seq
""")
OPEN = sa.text("""
INSERT INTO journal_runs (run_id, started_us, version, owner)
SELECT run_id, started_us, version, :me FROM unnest(CAST(:runs AS text[]), CAST(:starts AS bigint[]),
    CAST(:versions AS text[])) AS new(run_id, started_us, version)
ORDER BY run_id COLLATE "C" ON CONFLICT (run_id) DO UPDATE
SET started_us = excluded.started_us, version = excluded.version, owner = excluded.owner
""")
OWE = sa.text("""
INSERT INTO journal_debts (run_id, path)
SELECT run_id, path FROM unnest(CAST(:runs AS text[]), CAST(:paths AS text[])) WITH ORDINALITY AS new(run_id, path, n)
ORDER BY n ON CONFLICT DO NOTHING
""")
SETTLE = sa.text("""
DELETE FROM journal_debts
WHERE (run_id, path) IN (SELECT * FROM unnest(CAST(:runs AS text[]), CAST(:paths AS text[])))
""")
OPEN_RUNS = sa.text(f"""
SELECT e.run_id, e.line, {_WHOSE} AS whose
FROM (SELECT run_id, min(id) AS oldest FROM journal_debts GROUP BY run_id) d
JOIN journal_entries e ON e.run_id = d.run_id
LEFT JOIN journal_runs x ON x.run_id = d.run_id
LEFT JOIN journal_owners o ON o.owner = x.owner
ORDER BY d.oldest, e.seq
""")

# Locks the run: of two who want it one waits, and then sees that it is the other's.
WHOSE_RUN = sa.text(f"""
SELECT {_WHOSE} AS whose FROM (SELECT * FROM journal_runs WHERE run_id = :run FOR UPDATE) x
LEFT JOIN journal_owners o ON o.owner = x.owner
""")
TAKE_OVER = sa.text("UPDATE journal_runs SET owner = :me WHERE run_id = :run")

# texts, and what is old -----------------------------------------------------------------------------------------------

KEEP_TEXT = sa.text("""
INSERT INTO journal_texts (version, text, kept)
SELECT version, text, clock_timestamp() FROM unnest(CAST(:versions AS text[]), CAST(:texts AS text[]))
    AS new(version, text)
ORDER BY version COLLATE "C" ON CONFLICT (version) DO UPDATE SET kept = excluded.kept
""")
TEXT = sa.text("SELECT text FROM journal_texts WHERE version = :version")
PRUNE_CLAIMS = sa.text("""
DELETE FROM journal_claims WHERE (journey, location, slot_us) IN (
    SELECT journey, location, slot_us FROM journal_claims WHERE slot_us < :before_us AND recorded LIMIT :most)
""")
PRUNE_RUNS = sa.text("""
DELETE FROM journal_runs WHERE run_id IN (
    SELECT run_id FROM journal_runs r WHERE started_us < :before_us
    AND NOT EXISTS (SELECT 1 FROM journal_debts d WHERE d.run_id = r.run_id) LIMIT :most)
RETURNING run_id
""")
PRUNE_ENTRIES = sa.text("DELETE FROM journal_entries WHERE run_id = ANY(CAST(:runs AS text[]))")
PRUNE_TEXTS = sa.text("""
DELETE FROM journal_texts t WHERE kept < to_timestamp(:before_us / 1e6)
AND NOT EXISTS (SELECT 1 FROM journal_runs r WHERE r.version = t.version)
""")
PRUNE_OWNERS = sa.text("""
DELETE FROM journal_owners o WHERE until < clock_timestamp() - interval '1 day'
AND NOT EXISTS (SELECT 1 FROM journal_runs r WHERE r.owner = o.owner)
AND NOT EXISTS (SELECT 1 FROM journal_claims c WHERE c.owner = o.owner AND NOT c.recorded)
""")

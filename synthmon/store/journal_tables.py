"""What the journal's SQLite file holds, and the statements that keep it true."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime

from synthmon.core.undo.intents import Claim, Entry, Fenced, Intent, Opened, OpenRun, Settled, Taken, Whose
from synthmon.store.claim_rows import Row, joined
from synthmon.store.failures import StoreUnusable
from synthmon.store.journal_codec import entry_from
from synthmon.store.nouns import from_microseconds, microseconds

VERSION = 2
_VACUUM_PAGES = 500

# `owner` is the process that has it (`store.living`); nobody, in what was written before there were owners.
_TABLES = """
CREATE TABLE claims (
    journey TEXT NOT NULL, location TEXT NOT NULL, slot_us INTEGER NOT NULL,
    run_id TEXT NOT NULL, at_us INTEGER NOT NULL, recorded INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (journey, location, slot_us)
) WITHOUT ROWID;
CREATE INDEX claims_unrecorded ON claims (at_us) WHERE recorded = 0;
CREATE INDEX claims_by_slot ON claims (slot_us);
CREATE TABLE entries (
    run_id TEXT NOT NULL, seq INTEGER NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
) WITHOUT ROWID;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, started_us INTEGER NOT NULL, version TEXT NOT NULL, owner TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX runs_by_start ON runs (started_us);
CREATE INDEX runs_by_version ON runs (version);
CREATE TABLE debts (id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (run_id, path));
CREATE TABLE texts (version TEXT PRIMARY KEY, text TEXT NOT NULL, kept_us INTEGER NOT NULL) WITHOUT ROWID;
"""


_SINCE_1 = (
    "ALTER TABLE claims ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
)


def make_tables(connection: sqlite3.Connection, where: str) -> None:
    """Create or migrate what is missing. Raises `StoreUnusable` for a file of a newer version."""
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        connection.execute("ROLLBACK")
        raise StoreUnusable(
            f"{where} was written by a newer synthmon (its version is {version}, this one knows {VERSION}). "
            "Start the newer version again, or name another file for the journal."
        )
    for statement in _TABLES.split(";\n") if version == 0 else _SINCE_1 if version == 1 else ():
        connection.execute(statement)
    if version < VERSION:
        connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


# Not between the two ends of a gap, which were taken together.
_INSERT_CLAIM = """
INSERT INTO claims (journey, location, slot_us, run_id, at_us, owner) SELECT ?1, ?2, ?3, ?4, ?5, ?6
WHERE NOT EXISTS (
    SELECT 1
    FROM (SELECT run_id, at_us, owner FROM claims WHERE journey = ?1 AND location = ?2 AND slot_us < ?3
        ORDER BY slot_us DESC LIMIT 1) AS begin
    JOIN (SELECT run_id, at_us, owner FROM claims WHERE journey = ?1 AND location = ?2 AND slot_us > ?3
        ORDER BY slot_us LIMIT 1) AS end USING (run_id, at_us, owner)
    WHERE run_id = '' AND ?4 <> ''
) ON CONFLICT DO NOTHING RETURNING 1
"""


def insert_claim(connection: sqlite3.Connection, row: Row, owner: str) -> bool:
    return bool(connection.execute(_INSERT_CLAIM, (*row, owner)).fetchall())


def insert_gap(connection: sqlite3.Connection, rows: Sequence[Row], owner: str) -> int | None:
    """All rows, the oldest slot first, or none; answers the newest slot that was taken from there on."""
    wanted = "SELECT max(slot_us) FROM claims WHERE journey = ? AND location = ? AND slot_us >= ?"
    (newest,) = connection.execute(wanted, rows[0][:3]).fetchone()
    if newest is not None:
        return int(newest)
    for row in rows:
        insert_claim(connection, row, owner)
    return None


def insert_entry(
    connection: sqlite3.Connection, run_id: str, entry: Entry, line: str, after_seq: int, owner: str
) -> int | Fenced:
    """Looks at the last number and writes the next one in one statement. `owner` is who has the run from now on."""
    last = "(SELECT coalesce(max(seq), 0) FROM entries WHERE run_id = ?1)"
    written = connection.execute(
        f"INSERT INTO entries (run_id, seq, line) SELECT ?1, ?2 + 1, ?3 WHERE {last} = ?2 RETURNING seq",
        (run_id, after_seq, line),
    ).fetchall()
    if not written:
        return Fenced(connection.execute(f"SELECT {last}", (run_id,)).fetchone()[0])
    match entry:
        case Opened(started=started, version=version):
            run = (run_id, microseconds(started), version, owner)
            connection.execute(
                "INSERT OR REPLACE INTO runs (run_id, started_us, version, owner) VALUES (?, ?, ?, ?)", run
            )
        case Intent(path=path):
            connection.execute("INSERT OR IGNORE INTO debts (run_id, path) VALUES (?, ?)", (run_id, path))
        case Settled(path=path):
            connection.execute("DELETE FROM debts WHERE run_id = ? AND path = ?", (run_id, path))
        case Taken():
            connection.execute("UPDATE runs SET owner = ? WHERE run_id = ?", (owner, run_id))
    return after_seq + 1


def keep_text(connection: sqlite3.Connection, version: str, text: str, now_us: int) -> None:
    connection.execute(
        "INSERT INTO texts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET kept_us = excluded.kept_us",
        (version, text, now_us),
    )


def select_text(connection: sqlite3.Connection, version: str) -> str | None:
    row = connection.execute("SELECT text FROM texts WHERE version = ?", (version,)).fetchone()
    return None if row is None else str(row[0])


WhoseIs = Callable[[str], Whose]
"""owner → whether it is this process, another, or dead."""


def select_owner(connection: sqlite3.Connection, run_id: str) -> str:
    row = connection.execute("SELECT owner FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return "" if row is None else str(row[0])


def select_open_runs(connection: sqlite3.Connection, whose: WhoseIs) -> Sequence[OpenRun]:
    owing: dict[tuple[str, str], list[Entry]] = {}
    for run_id, owner, line in connection.execute(
        "SELECT e.run_id, coalesce(r.owner, ''), e.line"
        " FROM (SELECT run_id, min(id) AS oldest FROM debts GROUP BY run_id) d"
        " JOIN entries e ON e.run_id = d.run_id LEFT JOIN runs r ON r.run_id = d.run_id ORDER BY d.oldest, e.seq"
    ):
        owing.setdefault((run_id, owner), []).append(entry_from(line))
    known = {owner: whose(owner) for _, owner in owing}
    return [OpenRun(run_id, tuple(entries), known[owner]) for (run_id, owner), entries in owing.items()]


def select_unrecorded(connection: sqlite3.Connection, whose: WhoseIs) -> Sequence[Claim]:
    found = connection.execute(
        "SELECT journey, slot_us, location, run_id, at_us, owner FROM claims WHERE recorded = 0 ORDER BY at_us"
    ).fetchall()
    known = {owner: whose(owner) for *_, owner in found}
    return joined(
        [
            Claim(journey, from_microseconds(slot_us), location, run_id, from_microseconds(at_us), known[owner])
            for journey, slot_us, location, run_id, at_us, owner in found
        ]
    )


def mark_recorded(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    connection.executemany(
        "UPDATE claims SET recorded = 1 WHERE journey = ? AND location = ? AND slot_us = ?", [row[:3] for row in rows]
    )


def delete_some(connection: sqlite3.Connection, before: datetime, limit: int) -> int:
    """Forget at most `limit` claims and as many runs that owe nothing, and the texts that no run needs then."""
    us = microseconds(before)
    claims = connection.execute(
        "SELECT journey, location, slot_us FROM claims WHERE slot_us < ? AND recorded = 1 LIMIT ?", (us, limit)
    ).fetchall()
    connection.executemany("DELETE FROM claims WHERE journey = ? AND location = ? AND slot_us = ?", claims)
    paid = connection.execute(
        "SELECT run_id FROM runs WHERE started_us < ? AND run_id NOT IN (SELECT run_id FROM debts) LIMIT ?", (us, limit)
    ).fetchall()
    connection.executemany("DELETE FROM entries WHERE run_id = ?", paid)
    connection.executemany("DELETE FROM runs WHERE run_id = ?", paid)
    connection.execute(
        "DELETE FROM texts WHERE kept_us < ? AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.version = texts.version)",
        (us,),
    )
    (empty,), (pages,) = (connection.execute(f"PRAGMA {of}").fetchone() for of in ("freelist_count", "page_count"))
    if empty * 4 > pages:
        connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    return len(claims) + len(paid)

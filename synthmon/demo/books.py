"""The shop's books: a SQLite file with its ledger and its audit trail, which others may read while it writes."""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType

from synthmon.demo.rows import Row

KEEP_S = 3600.0
_BACKLOG = 20_000
_AT_ONCE = 500
_CLOSE_S = 5.0
_PRUNE_S = 60.0
_BUSY_S = 5.0
_GATHER_S = 0.05

_TABLES = """
pragma journal_mode = wal;
pragma synchronous = off;
create table if not exists ledger (
  id text primary key, seq integer not null, at text not null, order_id text not null, reference text not null,
  account text not null, kind text not null, amount text not null, currency text not null, correlation_id text not null
) without rowid;
create index if not exists ledger_reference on ledger (reference);
create table if not exists audit (
  id text primary key, seq integer not null, at text not null, service text not null, workflow text not null,
  step text not null, status text not null, attempt integer not null, event_id text not null,
  reference text not null, correlation_id text not null
) without rowid;
create index if not exists audit_reference on audit (reference);
create index if not exists audit_at on audit (at);
create index if not exists ledger_at on ledger (at);
"""
_ENTER = {
    "entry": "insert or replace into ledger values (:id, :seq, :time, :orderId, :reference, :account, :kind, :amount,"
    " :currency, :correlationId)",
    "note": "insert or replace into audit values (:id, :seq, :time, :service, :workflow, :step, :status, :attempt,"
    " :eventId, :reference, :correlationId)",
}
_REMOVE = {"entry": "delete from ledger where id = :id"}
_OLD = "at < strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)"
_PRUNE = (f"delete from ledger where {_OLD}", f"delete from audit where {_OLD}")

Job = tuple[str, list[Row]]


class Books:
    """One thread that writes, in batches, what it is told on the loop: the shop never waits for the disk.

    A context manager that makes the file anew; leaving it writes the rest. Nothing is synced: after a power cut the
    demo begins again. What does not fit into a backlog of 20,000 is left out and counted.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.dropped = 0
        self._jobs: queue.Queue[Job | None] = queue.Queue(_BACKLOG)
        self._thread = threading.Thread(target=self._work, name="demo-books", daemon=True)

    def __enter__(self) -> Books:
        for old in (self.file, *(self.file.with_name(self.file.name + end) for end in ("-wal", "-shm"))):
            old.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.file)) as made:  # it is there before anybody may look for it
            made.executescript(_TABLES)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._thread.join(_CLOSE_S)

    def wrote(self, kind: str, row: Row) -> None:
        """Enter a row of the ledger or a note of a step; rows of other kinds are in no book."""
        if kind in _ENTER:
            self._put((_ENTER[kind], [row]))

    def removed(self, kind: str, rows: Sequence[Row]) -> None:
        """Take rows out of the ledger; the audit trail keeps everything for an hour."""
        if kind in _REMOVE:
            self._put((_REMOVE[kind], [{"id": row["id"]} for row in rows]))

    def _put(self, job: Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.dropped += len(job[1])

    def _work(self) -> None:
        with closing(sqlite3.connect(self.file, timeout=_BUSY_S, isolation_level=None)) as file:
            file.execute("pragma synchronous = off")
            pruned_s, over = time.monotonic(), False
            while not over:
                jobs = self._take()
                over = None in jobs
                try:
                    _write(file, [job for job in jobs if job is not None])
                    if time.monotonic() - pruned_s > _PRUNE_S:
                        pruned_s = time.monotonic()
                        for statement in _PRUNE:
                            file.execute(statement, (f"-{KEEP_S:g} seconds",))
                except sqlite3.Error:  # a full disk, or a reader that holds it for long: a shop does not stop for that
                    self.dropped += len(jobs)

    def _take(self) -> list[Job | None]:
        """What is there a moment after the first: a transaction for each row would cost more than the row."""
        jobs = [self._jobs.get()]
        if jobs[0] is not None:
            time.sleep(_GATHER_S)
        while len(jobs) < _AT_ONCE and jobs[-1] is not None:
            try:
                jobs.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return jobs


def _write(file: sqlite3.Connection, jobs: list[Job]) -> None:
    """All of them or none."""
    file.execute("begin immediate")
    try:
        for statement, rows in jobs:
            file.executemany(statement, rows)
    except BaseException:
        file.execute("rollback")
        raise
    file.execute("commit")

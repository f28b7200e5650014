"""A SQLite file that a process has open may be prepared by it once more."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from synthmon.store.sqlite_file import open_for_writing, prepare

COUNT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT count(*) FROM things").fetchone()[0])
connection.close()
"""


def counted_by_another_process(path: Path) -> int:
    """It comes, reads and goes: as the last one that has the file open it would delete the log."""
    told = subprocess.run(
        [sys.executable, "-c", COUNT, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    return int(told.stdout)


def test_what_is_prepared_again_while_it_is_open_loses_nothing_to_a_process_that_comes_and_goes(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    prepare(path)
    with closing(open_for_writing(path)) as connection:
        connection.execute("CREATE TABLE things (number INTEGER)")

        prepare(path)  # as whatever opens the same store later does
        before = counted_by_another_process(path)
        connection.execute("INSERT INTO things VALUES (1)")
        after = counted_by_another_process(path)

    assert (before, after) == (0, 1)
    assert path.stat().st_mode & 0o777 == 0o600

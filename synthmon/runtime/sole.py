"""Whether this process is the only one that uses a journal."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold_alone(journal: Path | None) -> Iterator[bool]:
    """True when no other process held this journal at the start; it is held (shared) until the end.

    It is for commands that must not work beside a daemon of this machine; which runs are of the dead, the journal knows
    (`OpenRun.whose`). The kernel lets go of the lock when a process ends, however it ends.
    """
    if journal is None:
        yield True
        return
    with journal.with_name(journal.name + ".lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        fcntl.flock(file, fcntl.LOCK_SH)
        yield alone

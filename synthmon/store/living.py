"""Which of the processes that share a journal's file are alive: the kernel takes a lock away when its holder ends."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from synthmon.core.undo.intents import Whose


class Living:
    """This process among the others, each known by a name and a lock on a file `….owner-NAME` beside the journal.

    Blocks for as long as small files take: call it in the journal's thread. All of them must see the same disk under
    the same kernel, as SQLite's WAL wants it too. A process that is stopped (SIGSTOP) lives.
    """

    def __init__(self, journal: Path) -> None:
        self._folder, self._prefix = journal.parent, f"{journal.name}.owner-"
        self._name = ""
        self._lock: int | None = None

    def arrive(self) -> str:
        """The name of this process, from now on alive for the others. Raises `OSError`."""
        if self._lock is None:
            self._name = secrets.token_hex(8)
            self._lock = self._locked(self._file(self._name))
            self._sweep()
        return self._name

    def leave(self) -> None:
        """From now on this process is dead for the others."""
        if self._lock is not None:
            self._file(self._name).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock, self._name = None, ""

    def whose(self, owner: str) -> Whose:
        """Whose something is that `owner` wrote; an empty owner is dead."""
        if not owner:
            return Whose.NOBODYS
        if owner == self._name:
            return Whose.OURS
        return Whose.ANOTHERS if _is_held(self._file(owner)) else Whose.NOBODYS

    def _file(self, owner: str) -> Path:
        return self._folder / f"{self._prefix}{owner}"

    def _locked(self, file: Path) -> int:
        while True:
            lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if file.exists():
                return lock
            os.close(lock)  # somebody swept it between our making and locking it

    def _sweep(self) -> None:
        """Remove what the dead have left."""
        for file in self._folder.glob(f"{self._prefix}*"):
            if file != self._file(self._name):
                _is_held(file, sweep=True)


def _is_held(file: Path, sweep: bool = False) -> bool:
    """Whether its process lives. `sweep`: removes the file of a dead one, under its lock: one just made is not lost."""
    try:
        asking = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(asking, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        if sweep:
            file.unlink(missing_ok=True)
        return False
    finally:
        os.close(asking)

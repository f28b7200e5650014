"""Which journeys are paused, across restarts and over every process that shares the file; and the file that stops all.

The pauses are a small JSON list of names beside the journal. The stop file is for an operator's hands: as long as it
exists everything is paused, whatever is in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import orjson

from synthmon.language.settings import Settings

ALL = "*"

Mark = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Glance:
    """What the files said: `names` is None when that file is as it was."""

    changes: int
    mark: Mark | None
    names: frozenset[str] | None
    stopped: bool


class Pauses:
    """Without a path, a set that ends with the process; without a stop file, nothing to look for."""

    def __init__(self, path: Path | None, stop_file: Path | None = None) -> None:
        self._path = path
        self.stop_file = stop_file
        self._names: frozenset[str] = frozenset()
        self._stopped = False
        self._mark: Mark | None = None
        self._changes = 0
        self.take(self.glance())

    def paused(self, name: str) -> bool:
        """Whether a journey is paused, by itself or with all."""
        return self.halted() or name in self._names

    def halted(self) -> bool:
        """Whether everything is paused."""
        return self._stopped or ALL in self._names

    def stopped_by_file(self) -> bool:
        """Whether the stop file was there at the last look."""
        return self._stopped

    def names(self) -> frozenset[str]:
        """Everything that is paused; `*` stands for all."""
        return self._names

    def pause(self, name: str | None) -> None:
        """Pause one, or all: at once, also when that cannot be kept, which raises `OSError`."""
        self._names |= {name or ALL}
        self._keep(self._from_file() | {name or ALL})

    def resume(self, name: str | None) -> None:
        """Resume one, or all (those paused one by one as well). Raises `OSError` when that cannot be kept, and then
        it stays paused."""
        self._keep(self._from_file() - {name} if name else frozenset())

    def glance(self) -> Glance:
        """Look at the files; safe in a thread. A list that cannot be read changes nothing."""
        changes, mark = self._changes, _mark_of(self._path)
        names = self._from_file() if mark != self._mark else None
        return Glance(changes, mark, names, self.stop_file is not None and self.stop_file.exists())

    def take(self, glance: Glance) -> bool:
        """Believe what was seen, unless something was changed here meanwhile; answers whether anything is different."""
        if glance.changes != self._changes:
            return False
        before = self._names, self._stopped
        self._stopped, self._mark = glance.stopped, glance.mark
        if glance.names is not None:
            self._names = glance.names
        return before != (self._names, self._stopped)

    def _from_file(self) -> frozenset[str]:
        """What the file says now: another process may have changed it."""
        if self._path is None:
            return self._names
        try:
            return frozenset(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError, TypeError):
            return self._names

    def _keep(self, names: frozenset[str]) -> None:
        self._changes += 1
        if self._path is not None:
            new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
            with new.open("wb") as file:
                file.write(orjson.dumps(sorted(names)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            self._mark = _mark_of(self._path)
        self._names = names


def open_pauses(settings: Settings, beside: Path | None) -> Pauses:
    """The pauses of everybody who shares a store, whose small files live beside `beside`."""
    kept = beside.with_name(beside.stem + "-paused.json") if beside is not None else None
    return Pauses(kept, stop_file(settings, beside))


def stop_file(settings: Settings, beside: Path | None) -> Path | None:
    """Where the stop file is: as the settings say, else `synthmon-stop` beside `synthmon.db`."""
    if settings.stop_file:
        return Path(settings.stop_file)
    return beside.with_name(f"{beside.stem.removesuffix('-journal')}-stop") if beside is not None else None


def _mark_of(path: Path | None) -> Mark | None:
    """What tells one version of a file from the next; None when there is none."""
    if path is None:
        return None
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size

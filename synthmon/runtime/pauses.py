"""Which journeys are paused, across restarts."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

ALL = "*"


class Pauses:
    """A small file of names; without a file, a set that ends with the process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._names: set[str] = set()
        if path is not None and path.exists():
            self._names = set(orjson.loads(path.read_bytes()))

    def paused(self, name: str) -> bool:
        """Whether a journey is paused, by itself or with all."""
        return ALL in self._names or name in self._names

    def names(self) -> frozenset[str]:
        """Everything that is paused; `*` stands for all."""
        return frozenset(self._names)

    def pause(self, name: str | None) -> None:
        """Pause one, or all. Raises `OSError` when that cannot be kept."""
        self._change(self._names | {name or ALL})

    def resume(self, name: str | None) -> None:
        """Resume one, or all (those paused one by one as well). Raises `OSError` when that cannot be kept."""
        self._change(self._names - {name} if name else set())

    def _change(self, names: set[str]) -> None:
        if self._path is not None:
            new = self._path.with_name(self._path.name + ".new")
            with new.open("wb") as file:
                file.write(orjson.dumps(sorted(names)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        self._names = names

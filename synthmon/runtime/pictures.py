"""Pictures of pages beside the store: whose steps failed, so many and so old at most."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from synthmon.core.run import Record

MOST_FILES = 500
MOST_BYTES = 200 * 1024 * 1024

_NAME = re.compile(r"[0-9a-f]{32}-\d{1,3}\.png")
_log = structlog.get_logger(__name__)


class Pictures:
    """In a folder that only we can read; without one (`memory:`) nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    async def keep(self, record: Record, taken: Mapping[str, bytes]) -> None:
        """Write those of a run that its record names; the oldest make room. What cannot be written is logged."""
        named = {attempt.shot for step in record.steps for attempt in step.attempts}
        wanted = {name: content for name, content in taken.items() if name in named}
        if not wanted or self.folder is None:
            return
        try:
            await asyncio.to_thread(_write, self.folder, wanted)
        except OSError as error:
            _log.warning("a picture could not be kept", run=record.run_id, fault=str(error))

    async def read(self, name: str) -> bytes | None:
        """One of them; None when it is not kept (any more)."""
        if self.folder is None or not _NAME.fullmatch(name):
            return None
        with suppress(OSError):
            return await asyncio.to_thread((self.folder / name).read_bytes)
        return None

    async def forget(self, older_than_s: float) -> None:
        """Remove what is older, and what is too much."""
        if self.folder is not None:
            await asyncio.to_thread(_prune, self.folder, older_than_s)


def pictures_beside(journal: Path | None) -> Pictures:
    """Those of a store, by the file of its journal."""
    return Pictures(journal.with_name("synthmon-shots") if journal is not None else None)


def _write(folder: Path, wanted: Mapping[str, bytes]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in wanted.items():
        handle, path = tempfile.mkstemp(dir=folder, prefix=".new-")  # for the owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(path, folder / name)
        except BaseException:
            os.unlink(path)
            raise
    _prune(folder)


def _prune(folder: Path, older_than_s: float | None = None) -> None:
    kept, size_bytes = 0, 0
    for path, status in sorted(_files(folder), key=lambda pair: -pair[1].st_mtime):
        kept, size_bytes = kept + 1, size_bytes + status.st_size
        old = older_than_s is not None and time.time() - status.st_mtime > older_than_s
        if old or kept > MOST_FILES or size_bytes > MOST_BYTES:
            with suppress(OSError):  # another daemon may have been quicker
                path.unlink()


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            if _NAME.fullmatch(path.name) or path.name.startswith(".new-"):
                with suppress(OSError):
                    found.append((path, path.stat()))
    return found

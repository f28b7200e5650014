"""Tells when a watched file has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from watchfiles import Change, awatch

QUIET_MS = 300  # an editor writes a file in several strokes
_MEANT = (".yaml", ".yml", ".json")


async def watch_files(paths: Sequence[Path], changed: Callable[[], Awaitable[None]]) -> None:
    """Call `changed` after every change to a YAML or JSON file in these folders, or to these files; never returns.

    A file is watched through its folder, since editors replace files.
    """
    folders = {path if path.is_dir() else path.parent for path in paths}
    existing = sorted(folder for folder in folders if folder.is_dir())
    if not existing:
        await asyncio.Event().wait()
    async for _ in awatch(*existing, watch_filter=_is_meant, debounce=QUIET_MS, recursive=True):
        await changed()


def _is_meant(change: Change, path: str) -> bool:
    return path.endswith(_MEANT) and not Path(path).name.endswith(("-paused.json", ".new"))

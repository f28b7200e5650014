"""Asks the history that the settings name, for a command that only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from synthmon.cli.output import stop
from synthmon.core.history import History
from synthmon.core.run import Record
from synthmon.core.sources import DEFAULT_SKEW_S
from synthmon.language.load import load
from synthmon.store.failures import StoreUnusable
from synthmon.store.open import open_history

T = TypeVar("T")


def ask_history(settings: list[str] | None, store: str, ask: Callable[[History], Awaitable[T]]) -> T:
    """Open, ask, close. Ends the command when there is no history."""
    if not has_history(settings, store):
        stop(f"there is no history at {store_of(settings, store)}; name another with --store or --settings")
    try:
        return asyncio.run(_ask(store_of(settings, store), ask))
    except (OSError, StoreUnusable) as error:
        stop(f"history cannot be read: {error}")


def store_of(settings: list[str] | None, store: str) -> str:
    """The URL of the store: as asked for, else as the settings say."""
    return store or load((), settings or ()).settings.store


def has_history(settings: list[str] | None, store: str) -> bool:
    """Whether there is one already; opening would make it."""
    url = store_of(settings, store)
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///").partition("?")[0]).exists()


async def find_run(kept: History, run: str) -> Record:
    """A run by its id or the beginning of one. Raises `LookupError` with words for a person."""
    if (record := await kept.run(run)) is None:
        raise LookupError(f"there is no run {run}; `synthmon history` lists what there is")
    return record


def skew_of(settings: list[str] | None) -> float:
    """How far the clocks of any source may be apart while nothing better is known, in seconds, by the settings."""
    sources = load((), settings or ()).settings.evidence.values()
    return max((source.skew_s for source in sources), default=DEFAULT_SKEW_S)


async def _ask(url: str, ask: Callable[[History], Awaitable[T]]) -> T:
    kept = await open_history(url)
    try:
        return await ask(kept)
    finally:
        await kept.aclose()

"""Asks the history that the settings name, for a command that only reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from synthmon.cli.output import stop
from synthmon.core.history import History
from synthmon.language.load import load
from synthmon.store.failures import StoreUnusable
from synthmon.store.open import open_history

T = TypeVar("T")


def ask_history(settings: list[str] | None, store: str, ask: Callable[[History], Awaitable[T]]) -> T:
    """Open, ask, close. Ends the command when there is no history."""
    url = store or load((), settings or ()).settings.store
    file = url.removeprefix("sqlite:///").partition("?")[0]
    if url.startswith("sqlite:///") and not Path(file).exists():
        stop(f"there is no history at {url}; name another with --store or --settings")
    try:
        return asyncio.run(_ask(url, ask))
    except (OSError, StoreUnusable) as error:
        stop(f"history cannot be read: {error}")


async def _ask(url: str, ask: Callable[[History], Awaitable[T]]) -> T:
    kept = await open_history(url)
    try:
        return await ask(kept)
    finally:
        await kept.aclose()

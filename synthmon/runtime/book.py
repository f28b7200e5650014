"""The journal of one run: its head and intents durable before anything leaves, what is learnt and settled after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from synthmon.core.intents import Entry, Fenced, Intent, Journal, Opened


class Book:
    """Writes the entries of one run in order. `opened` is asked once, before the first intent."""

    def __init__(self, journal: Journal, run_id: str, opened: Callable[[], Opened] | None = None, seq: int = 0) -> None:
        self._journal, self._run_id, self._opened, self._seq = journal, run_id, opened, seq
        self._turn = asyncio.Lock()
        self._notes: set[asyncio.Task[None]] = set()
        self.trouble: OSError | None = None  # a note that could not be written; it is found again by the next process

    async def intend(self, intent: Intent) -> Fenced | None:
        """Make an intent durable, and the run's head before the first. Raises `OSError`; then nothing may leave."""
        async with self._turn:
            if self._seq == 0 and self._opened is not None:
                wrote = await self._journal.append(self._run_id, self._opened(), 0)
                if isinstance(wrote, Fenced):
                    return wrote
                self._seq = wrote
            return await self._append(intent)

    def note(self, entry: Entry) -> None:
        """Write an entry soon; `flush` waits for it."""
        task = asyncio.create_task(self._write(entry))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def flush(self) -> None:
        """Wait until every note is durable, or has failed (`trouble`)."""
        while self._notes:
            await asyncio.gather(*self._notes)

    async def _write(self, entry: Entry) -> None:
        async with self._turn:
            try:
                await self._append(entry)
            except OSError as error:
                self.trouble = error

    async def _append(self, entry: Entry) -> Fenced | None:
        wrote = await self._journal.append(self._run_id, entry, self._seq)
        if isinstance(wrote, Fenced):
            return wrote
        self._seq = wrote
        return None

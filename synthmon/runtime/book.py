"""The journal of one run: its head and intents durable before anything leaves, what is learnt and settled after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from synthmon.core.secrets import Vault
from synthmon.core.undo.intents import Entry, Fenced, Intent, Journal, Learned, Opened


class Book:
    """Writes the entries of one run in order. `opened` is asked once, before the first intent.

    No secret of `vault` is written: where one stands in a value, its handle does.
    """

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        vault: Vault,
        opened: Callable[[], Opened] | None = None,
        seq: int = 0,
    ) -> None:
        self._journal, self._run_id, self._opened, self._seq = journal, run_id, opened, seq
        self._vault = vault
        self._turn = asyncio.Lock()
        self._notes: list[Entry] = []
        self._writing: asyncio.Task[None] | None = None
        self.trouble: OSError | None = None  # a note that could not be written; it is found again by the next process

    async def intend(self, intent: Intent) -> Fenced | None:
        """Make an intent durable, and the run's head before the first. Raises `OSError`; then nothing may leave."""
        async with self._turn:
            head = [self._opened()] if self._seq == 0 and self._opened is not None else []
            return await self._append([*head, *self._taken(), intent])

    def note(self, entry: Entry) -> None:
        """Write an entry soon; `flush` waits for it."""
        self._notes.append(entry)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Wait until every note is durable, or has failed (`trouble`)."""
        while self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        async with self._turn:
            while entries := self._taken():
                try:
                    await self._append(entries)
                except OSError as error:
                    self.trouble = error
            self._writing = None

    def _sealed(self, entry: Entry) -> Entry:
        """An entry as it may lie on a disk: a handle in the place of every secret."""
        match entry:
            case Opened():
                return replace(entry, names=self._vault.sealed(dict(entry.names)))
            case Intent() | Learned():
                return replace(entry, values=self._vault.sealed(dict(entry.values)))
        return entry

    def _taken(self) -> list[Entry]:
        notes, self._notes = self._notes, []
        return notes

    async def _append(self, entries: Sequence[Entry]) -> Fenced | None:
        """Entries in order; handed over together, they become durable together."""
        sealed = map(self._sealed, entries)
        appends = [self._journal.append(self._run_id, entry, self._seq + n) for n, entry in enumerate(sealed)]
        # one alone, as nearly all are, needs no task of its own
        answers = await asyncio.gather(*appends, return_exceptions=True) if len(appends) > 1 else [await appends[0]]
        for wrote in answers:
            if isinstance(wrote, BaseException):
                raise wrote
            if isinstance(wrote, Fenced):
                return wrote
            self._seq = wrote
        return None

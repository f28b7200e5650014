"""Saves a record before it is told; one that cannot be saved is told as unknown and saved later."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.undo.intents import Claim, Journal
from synthmon.store.kept import key_of

MOST_UNSAVED = 10_000
TOLD_AT_ONCE = 20  # between so many the loop does what else there is

Kept = tuple[Record, Journey, Claim | None]
"""A record, its journey, and the claim that it closes."""

_log = structlog.get_logger(__name__)


class Keeping:
    """Where records go. `tell` hears of each once it is safe, or could not be made so."""

    def __init__(self, history: History, journal: Journal, tell: Callable[[Record, Journey], None]) -> None:
        self._history, self._journal, self._tell = history, journal, tell
        self._unsaved: deque[Record] = deque(maxlen=MOST_UNSAVED)

    async def keep_each(self, kept: Sequence[Kept]) -> None:
        """Save records together, then tell them; what cannot be saved is told unknown, saved later."""
        told = [record for record, _, _ in kept]
        try:
            new = await self._save(told)
        except OSError as error:
            new = told = [_unsaved(record, error) for record in told]
            self._unsaved.extend(told)
            kept = [(record, journey, None) for record, (_, journey, _) in zip(told, kept, strict=True)]
        fresh = {key_of(record) for record in new}
        for count, (record, journey, _) in enumerate(kept, 1):
            if key_of(record) in fresh:
                self._tell(record, journey)
            if count % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)
        if claims := [claim for _, _, claim in kept if claim is not None]:
            try:
                await self._journal.release(claims)
            except OSError:
                return  # the next process sees that the record is there

    async def keep_the_late(self) -> None:
        """Try once more to save what could not be saved: the process ends."""
        try:
            await self._save([])
        except OSError as error:  # they were told as unknown; the next start closes their slots
            _log.warning("records could not be kept", records=len(self._unsaved), fault=str(error))

    async def _save(self, records: Sequence[Record]) -> Sequence[Record]:
        """Save these and what could not be saved before; answers those that were new."""
        late = tuple(self._unsaved)
        if not records and not late:
            return ()
        saved = await self._history.save((*records, *late))
        for record in late:
            if self._unsaved and self._unsaved[0] is record:
                self._unsaved.popleft()
        return saved


def _unsaved(record: Record, error: OSError) -> Record:
    said = f"history cannot be written ({error}); without it: {record.outcome}. {record.message}".strip()
    return replace(record, outcome=Outcome.UNKNOWN, reason=Reason.HISTORY_UNWRITABLE, message=said)

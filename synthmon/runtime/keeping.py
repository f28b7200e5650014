"""Saves a record before it is told; one that cannot be saved is told as unknown and saved later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.undo.intents import Claim, Journal

MOST_UNSAVED = 10_000

_log = structlog.get_logger(__name__)


class Keeping:
    """Where records go. `tell` hears of each once it is safe, or could not be made so."""

    def __init__(self, history: History, journal: Journal, tell: Callable[[Record, Journey], None]) -> None:
        self._history, self._journal, self._tell = history, journal, tell
        self._unsaved: deque[Record] = deque(maxlen=MOST_UNSAVED)

    async def keep(self, record: Record, journey: Journey, claims: Sequence[Claim] = ()) -> None:
        """Save a record that closes these claims, then tell it; what cannot be saved is told unknown, saved later."""
        try:
            new = await self._save((record,))
        except OSError as error:
            said = f"history cannot be written ({error}); without it: {record.outcome}. {record.message}".strip()
            record = replace(record, outcome=Outcome.UNKNOWN, reason=Reason.HISTORY_UNWRITABLE, message=said)
            self._unsaved.append(record)
            self._tell(record, journey)
            return
        if new:
            self._tell(record, journey)
        if claims:
            try:
                await self._journal.release(claims)
            except OSError:
                return  # the next process sees that the record is there

    async def keep_the_late(self) -> None:
        """Try once more to save what could not be saved: the process ends."""
        try:
            await self._save(())
        except OSError as error:  # they were told as unknown; the next start closes their slots
            _log.warning("records could not be kept", records=len(self._unsaved), fault=str(error))

    async def _save(self, records: tuple[Record, ...]) -> bool:
        """Save these and what could not be saved before; answers whether the first was new."""
        late = tuple(self._unsaved)
        if not records and not late:
            return False
        saved = await self._history.save((*records, *late))
        for record in late:
            if self._unsaved and self._unsaved[0] is record:
                self._unsaved.popleft()
        return any(record is kept or record == kept for record in records for kept in saved)

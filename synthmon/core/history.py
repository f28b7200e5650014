"""What is remembered of every slot, and how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record


class History(Protocol):
    """Saved before it is told: `save` returns when the records are durable. Raises `OSError` when it cannot write."""

    async def save(self, records: Sequence[Record]) -> Sequence[Record]:
        """Keep records; answers those that were new (the same slot of a journey and location is kept once)."""
        ...

    async def run(self, run_id: str) -> Record | None:
        """One run, whole. `run_id` may be a prefix of at least 6 digits if only one run has it (else `LookupError`)."""
        ...

    async def recent(
        self,
        journey: str | None = None,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
    ) -> Sequence[Record]:
        """The newest first, without steps (`steps`, `verify`, `undo` empty)."""
        ...

    async def last_slots(self) -> Mapping[tuple[str, str], datetime]:
        """(journey, location) → the newest slot remembered: where a hole begins after a restart."""
        ...

    async def totals(self, journey: str | None = None) -> Mapping[tuple[str, Outcome, str], int]:
        """(journey, outcome, reason) → slots."""
        ...

    async def prune(self, before: datetime, keep_failed_before: datetime) -> int:
        """Forget records of slots older than `before` (bad ones: `keep_failed_before`); answers how many."""
        ...

    async def aclose(self) -> None: ...

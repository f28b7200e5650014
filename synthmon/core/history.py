"""What is remembered of every slot, and how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record

MOST_TOLD_BYTES = 64 * 1024 * 1024  # of evidence in one answer, as JSON


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

    async def told(
        self,
        journey: str,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
        version: str = "",
    ) -> Sequence[Record]:
        """Whole runs, with steps, clauses and evidence, the newest first; slots without a run are left out.

        Ends early, though never before the first run, when `MOST_TOLD_BYTES` of evidence were told: ask on with
        `before`, the slot of the last one.
        """
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

    async def forget_evidence(self, keep: int) -> int:
        """Forget the evidence of runs that passed, but of the newest `keep` of each journey and location.

        The runs themselves stay, and say so (`evidence_forgotten`). Answers how many lost it.
        """
        ...

    async def aclose(self) -> None: ...

"""History in memory: for trials and single runs; it ends with the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.store.kept import Key, is_good, is_run, is_scheduled, key_of, one_of, prefix_of


class MemoryHistory:
    """A `History` that keeps the newest `keep` records."""

    def __init__(self, keep: int = 100_000) -> None:
        self._keep = keep
        self._records: dict[Key, Record] = {}  # in the order in which they were saved

    async def save(self, records: Sequence[Record]) -> Sequence[Record]:
        new = []
        for record in records:
            key = key_of(record)
            if key not in self._records:
                self._records[key] = record
                new.append(record)
        while len(self._records) > self._keep:
            del self._records[next(iter(self._records))]
        return new

    async def run(self, run_id: str) -> Record | None:
        start = prefix_of(run_id)
        found = {r.run_id: r for r in self._records.values() if r.run_id.startswith(start)}
        return found[one_of(start, found)] if found else None

    async def recent(
        self,
        journey: str | None = None,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
    ) -> Sequence[Record]:
        fitting = [
            record
            for record in reversed(self._records.values())
            if (journey is None or record.journey == journey)
            and (not outcomes or record.outcome in outcomes)
            and (before is None or record.slot < before)
        ]
        fitting.sort(key=lambda record: record.slot, reverse=True)
        return [_head(record) for record in fitting[:limit]]

    async def told(
        self,
        journey: str,
        outcomes: Sequence[Outcome] = (),
        limit: int = 50,
        before: datetime | None = None,
        version: str = "",
    ) -> Sequence[Record]:
        """All that were asked for: they are in memory already."""
        fitting = [
            record
            for record in reversed(self._records.values())
            if record.journey == journey
            and (not outcomes or record.outcome in outcomes)
            and (before is None or record.slot < before)
            and (not version or record.version == version)
            and is_run(record)
        ]
        fitting.sort(key=lambda record: record.slot, reverse=True)
        return fitting[:limit]

    async def last_slots(self) -> Mapping[tuple[str, str], datetime]:
        newest: dict[tuple[str, str], datetime] = {}
        for record in self._records.values():
            of = (record.journey, record.location)
            if is_scheduled(record) and (of not in newest or record.slot > newest[of]):
                newest[of] = record.slot
        return newest

    async def totals(self, journey: str | None = None) -> Mapping[tuple[str, Outcome, str], int]:
        slots: Counter[tuple[str, Outcome, str]] = Counter()
        for record in self._records.values():
            if journey is None or record.journey == journey:
                slots[record.journey, record.outcome, str(record.reason)] += record.slots
        return slots

    async def prune(self, before: datetime, keep_failed_before: datetime) -> int:
        old = [
            key
            for key, record in self._records.items()
            if record.slot < (before if is_good(record.outcome) else keep_failed_before)
        ]
        for key in old:
            del self._records[key]
        return len(old)

    async def forget_evidence(self, keep: int) -> int:
        seen: Counter[tuple[str, str]] = Counter()
        old = []
        newest = sorted(self._records.items(), key=lambda item: item[1].slot, reverse=True)
        for key, record in newest:
            if record.evidence and record.outcome is Outcome.PASSED:
                seen[record.journey, record.location] += 1
                if seen[record.journey, record.location] > keep:
                    old.append(key)
        for key in old:
            self._records[key] = replace(self._records[key], evidence=(), evidence_forgotten=True)
        return len(old)

    async def aclose(self) -> None:
        """Nothing is open."""


def _head(record: Record) -> Record:
    """As lists show it: what was done and seen is left out, what it was made from is not."""
    return replace(record, steps=(), verify=(), clauses=(), evidence=(), undo=())

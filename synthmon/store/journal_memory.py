"""A journal in memory: for trials, where a crash takes the debts along."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from synthmon.core.undo.intents import Claim, Entry, Fenced, Intent, Opened, OpenRun, Settled, Taken
from synthmon.store.claim_rows import rows_of
from synthmon.store.nouns import microseconds

_Slot = tuple[str, str, int]


class MemoryJournal:
    """A `Journal` that ends with the process; `prune` bounds it."""

    def __init__(self) -> None:
        self._claims: dict[_Slot, Claim] = {}
        self._newest: dict[tuple[str, str], datetime] = {}  # the newest slot taken of a journey in a location
        self._gaps: dict[tuple[str, str], Claim] = {}  # and its newest gap
        self._unrecorded: dict[_Slot, Claim] = {}
        self._entries: dict[str, list[Entry]] = {}
        self._debts: dict[tuple[str, str], None] = {}  # (run, path), the oldest first
        self._texts: dict[str, str] = {}

    async def claim(self, claim: Claim) -> bool:
        (slot,) = _slots_of(claim)
        gap = self._gaps.get((claim.journey, claim.location))
        if slot in self._claims or (gap is not None and gap.first is not None and gap.first < claim.slot < gap.slot):
            return False
        self._take(claim)
        return True

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        return [self._claim_gap(claim) for claim in claims]

    def _claim_gap(self, claim: Claim) -> datetime | None:
        newest = self._newest.get((claim.journey, claim.location))
        if newest is None or newest < (claim.first or claim.slot):
            self._take(claim)
            self._gaps[claim.journey, claim.location] = claim
            return None
        return newest

    def _take(self, claim: Claim) -> None:
        of = (claim.journey, claim.location)
        self._newest[of] = max(claim.slot, self._newest.get(of, claim.slot))
        for slot in _slots_of(claim):
            self._claims[slot] = self._unrecorded[slot] = claim

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        entries = self._entries.get(run_id, [])
        if len(entries) != after_seq:
            return Fenced(len(entries))
        self._entries[run_id] = [*entries, entry]
        match entry:
            case Intent(path=path):
                self._debts.setdefault((run_id, path))
            case Settled(path=path):
                self._debts.pop((run_id, path), None)
        return after_seq + 1

    async def keep_text(self, version: str, text: str) -> None:
        self._texts[version] = text

    async def text(self, version: str) -> str | None:
        return self._texts.get(version)

    async def open_runs(self) -> Sequence[OpenRun]:
        owing = dict.fromkeys(run_id for run_id, _ in self._debts)
        return [OpenRun(run_id, tuple(self._entries[run_id])) for run_id in owing]

    async def take_over(self, run_id: str, after_seq: int) -> int | Fenced | None:
        return await self.append(run_id, Taken("memory"), after_seq)

    async def unrecorded(self) -> Sequence[Claim]:
        return list({id(claim): claim for claim in self._unrecorded.values()}.values())

    async def release(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            for slot in _slots_of(claim):
                self._unrecorded.pop(slot, None)

    async def prune(self, before: datetime) -> int:
        old_slots = [slot for slot in self._claims if slot[2] < microseconds(before) and slot not in self._unrecorded]
        for slot in old_slots:
            del self._claims[slot]
        owing = {run_id for run_id, _ in self._debts}
        old_runs = [
            run_id
            for run_id, (first, *_) in self._entries.items()
            if isinstance(first, Opened) and first.started < before and run_id not in owing
        ]
        for run_id in old_runs:
            del self._entries[run_id]
        return len(old_slots) + len(old_runs)

    async def aclose(self) -> None:
        """Nothing is open."""


def _slots_of(claim: Claim) -> Sequence[_Slot]:
    return [row[:3] for row in rows_of(claim)]

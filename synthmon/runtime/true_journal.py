"""The journal of runs with a fault in them: what it says is true, whatever the runs were told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from synthmon.core.proof.true_values import put_right
from synthmon.core.undo.intents import Claim, Entry, Fenced, Intent, Journal, Learned, OpenRun, Settled
from synthmon.runtime.tampering import Struck

NEVER_LEFT = "never_left"


class TrueJournal:
    """`core.undo.intents.Journal`: a value that was told wrongly is written as it is, and a write that was withheld is
    settled at once, so that whoever finds the journal of a killed run takes back what there is, and nothing else."""

    def __init__(self, inner: Journal, struck: Callable[[], Struck]) -> None:
        self._inner, self._struck = inner, struck

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        return await self._inner.append(run_id, self._true(entry), after_seq)

    def _true(self, entry: Entry) -> Entry:
        struck = self._struck()
        match entry:
            case Learned(path=path) if path.partition("#")[0] in struck.withheld:
                return Settled(path, NEVER_LEFT)
            case Intent() | Learned() if struck.true_of:
                return replace(entry, values=put_right(entry.values, struck.true_of))
        return entry

    async def claim(self, claim: Claim) -> bool:
        return await self._inner.claim(claim)

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        return await self._inner.claim_gaps(claims)

    async def keep_text(self, version: str, text: str) -> None:
        await self._inner.keep_text(version, text)

    async def text(self, version: str) -> str | None:
        return await self._inner.text(version)

    async def open_runs(self) -> Sequence[OpenRun]:
        return await self._inner.open_runs()

    async def take_over(self, run_id: str, after_seq: int) -> int | Fenced | None:
        return await self._inner.take_over(run_id, after_seq)

    async def unrecorded(self) -> Sequence[Claim]:
        return await self._inner.unrecorded()

    async def release(self, claims: Sequence[Claim]) -> None:
        await self._inner.release(claims)

    async def prune(self, before: datetime) -> int:
        return await self._inner.prune(before)

    async def aclose(self) -> None:
        await self._inner.aclose()

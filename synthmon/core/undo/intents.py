"""What a run means to do to the system under test, written down before it does it, so that it can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Opened:
    """The head of a run's journal: enough to build its undo again after the process is gone."""

    journey: str
    version: str
    system: str
    base: str
    started: datetime
    location: str
    names: Mapping[str, Any]  # run.*, identity.*, vars.*, case.* as rendered (secrets only as handles)
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """One effect about to leave. `path` names the debt; `values` are the step's saved values known so far."""

    path: str
    order: int
    key: str
    tag: str
    expires: datetime
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """What the answer of an effect taught: the values its undo needs."""

    path: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """A debt ended: `closed` (absence verified), `never_left` (nothing was sent), `expired` (not found by its ttl)."""

    path: str
    how: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The process that wrote so far is dead; `by` repays from here on, and whoever was there before is fenced."""

    by: str


Entry = Opened | Intent | Learned | Settled | Taken


class Whose(StrEnum):
    """Who has a claim or a run, among the processes that share a journal."""

    OURS = "ours"  # this process
    ANOTHERS = "another's"  # a process that lives, or may live
    NOBODYS = "nobody's"  # a process that is dead


@dataclass(frozen=True, slots=True)
class Fenced:
    """The append was refused: somebody else has written to this run since `after_seq`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A slot that somebody took, and the run that was to fill it.

    Without a run it was taken to be told as missed, and with it all slots of the journey from `first` on.
    """

    journey: str
    slot: datetime
    location: str
    run_id: str
    at: datetime
    whose: Whose = field(default=Whose.OURS, compare=False)
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run whose journal is not ended: its entries in order, numbered from 1."""

    run_id: str
    entries: tuple[Entry, ...]
    whose: Whose = field(default=Whose.OURS, compare=False)


class Journal(Protocol):
    """Durable before it returns. Raises `OSError` when it cannot write; nothing may leave then."""

    async def claim(self, claim: Claim) -> bool:
        """Take a slot; False when it was taken before, alone or in a gap (by anyone, ever within retention)."""
        ...

    async def claim_gaps(self, claims: Sequence[Claim]) -> Sequence[datetime | None]:
        """Take slots from `first` to `slot`, of each claim all or none; answers None for what is ours now.

        Whoever takes a slot has taken or told those before it. So a claim is refused when a slot of its journey from
        `first` on is taken, whatever lies between; the answer is the newest of these.
        """
        ...

    async def append(self, run_id: str, entry: Entry, after_seq: int) -> int | Fenced:
        """Append an entry after number `after_seq` (0: the first); answers its number."""
        ...

    async def keep_text(self, version: str, text: str) -> None:
        """Keep a journey's text by its digest while a debt may refer to it."""
        ...

    async def text(self, version: str) -> str | None: ...

    async def open_runs(self) -> Sequence[OpenRun]:
        """Every run with an intent that is not settled, oldest first."""
        ...

    async def take_over(self, run_id: str, after_seq: int) -> int | Fenced | None:
        """Make a run ours to repay it, after its entry number `after_seq`; answers its own number.

        None while the process that has it lives, or may live. Who wrote before is fenced from then on.
        """
        ...

    async def unrecorded(self) -> Sequence[Claim]:
        """Claims that no record closed: runs that a dead process left."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """The slots' records are saved; the claims stay refused but no longer count as unrecorded."""
        ...

    async def prune(self, before: datetime) -> int:
        """Forget recorded claims of slots and debtless runs from before `before`, which is earlier than any run that
        still goes on; answers how many."""
        ...

    async def aclose(self) -> None: ...

"""What the core asks for (acts) and what the shell answers (seens)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthmon.core.door import Trouble
from synthmon.core.evidence import Wanted
from synthmon.core.sources import Source
from synthmon.core.undo.intents import Intent, Learned, Settled


@dataclass(frozen=True, slots=True)
class Do:
    """Perform one request. With an `intent`: make it durable first, then send.

    `id` is a path, never a counter of the run: `invoice#2` is the second attempt of step invoice, `invoice~undo1` the
    first undo of what it made. `auth` names the session whose headers the request carries.
    """

    id: str
    kind: str
    request: Any
    system: str
    timeout_s: float
    effect: bool = False
    key: str | None = None
    auth: str = ""
    intent: Intent | None = None
    again: bool = False  # the same request failed before and is repeated


@dataclass(frozen=True, slots=True)
class Arm:
    """Begin to listen, and go on until this is cancelled.

    The first answer is `messages.Armed`, or trouble when nothing can be heard; then comes a `messages.Message` for each
    that arrives, whoever it is for, and a `messages.Gap` for each time in which some may have been missed.
    """

    id: str
    kind: str
    request: Any
    system: str
    timeout_s: float  # of the arming alone
    auth: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """Gather what a source of evidence tells of this run, until cancelled: each `evidence.Report` is an answer."""

    id: str
    source: Source
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Widen:
    """Let an open `Watch`, the one with this id, look for these keys too (`sources.Widens`); nothing answers it."""

    id: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """Tell me when the run's clock reads `at_s`."""

    id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Cancel:
    """I no longer wait for this act; its answer will be dropped."""

    id: str


@dataclass(frozen=True, slots=True)
class Note:
    """Put this in the journal; nobody waits for it (a debt learnt or settled)."""

    id: str
    entry: Learned | Settled


Act = Do | Arm | Watch | Widen | Wake | Cancel | Note

INTERRUPT = "!interrupt"  # the id of a Seen nobody asked for: SIGTERM, a lost fence
DEADLINE = "!deadline"


@dataclass(frozen=True, slots=True)
class Seen:
    """Something happened: an answer to the act with this id, or a fact of its own; `at_s` on the monotonic clock."""

    id: str
    at_s: float
    answer: Any = None
    trouble: Trouble | None = None
    sent_at_s: float | None = None  # the first byte that left, when one did

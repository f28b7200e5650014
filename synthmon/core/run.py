"""One run of a journey, and the record that is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from synthmon.core.evidence import Evidence
from synthmon.core.namespaces import namespace
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.timing import Timing


@dataclass(frozen=True, slots=True)
class Run:
    """Who runs, for which slot. `id` is 32 hex digits and the W3C trace id; instants are UTC."""

    id: str
    journey: str
    version: str  # the journey's digest
    slot: datetime
    started: datetime
    location: str = ""
    cause: str = "schedule"  # schedule | manual | replay
    replay_of: str = ""
    instance: str = ""  # the name of the installation, from the settings
    seed_of: str = ""  # the run whose invented values it has; empty: its own
    hold: str = ""  # what consumers are asked to wait with: `profile-created:600` (ms)
    again: Original | None = None  # the run that it sends once more, by its names and with its idempotency keys

    @property
    def namespace(self) -> str:
        """`syn-` and 24 hex digits, the mark of what this run makes (`core.namespaces`)."""
        if self.again is not None:
            return self.again.run.namespace
        return namespace(self.id, self.instance, self.location)

    @property
    def seed(self) -> int:
        """The seed of every invented value, 63 bits."""
        return int((self.seed_of or self.id)[16:], 16) >> 1

    @property
    def keys(self) -> str:
        """What its idempotency keys begin with."""
        return self.again.run.id if self.again is not None else self.id

    @property
    def baggage(self) -> str:
        """What travels along because it is a replay, as members of W3C Baggage; empty for any other run."""
        members = (("synthmon.replay_of", self.replay_of), ("synthmon.hold", quote(self.hold, safe=":")))
        return ",".join(f"{name}={value}" for name, value in members if value)


@dataclass(frozen=True, slots=True)
class Original:
    """A run as it was, to be sent once more. `names` are `vars.*` and what its steps saved, secrets left out."""

    run: Run
    names: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)  # redacted


def run_names(run: Run) -> dict[str, Any]:
    """`run.*` as expressions see it."""
    if run.again is not None:
        return run_names(run.again.run)
    return {
        "run.id": run.id,
        "run.namespace": run.namespace,
        "run.started": run.started,
        "run.slot": run.slot,
        "run.location": run.location,
        "run.seed": run.seed,
        "run.instance": run.instance,
    }


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One check as it was judged. `ok` None: not evaluated. `values`: (operand as written, its value as JSON)."""

    text: str
    place: str
    ok: bool | None
    values: tuple[tuple[str, str], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One act of a step that was performed: a request, a look, an undo. `at_ms` counts from the start of the run."""

    id: str  # the act's path: `invoice#2`, `invoice~undo1`
    what: str  # `POST /orders → 201`
    at_ms: float
    took_ms: float
    reason: Reason = Reason.NONE
    detail: str = ""
    timing: Timing = Timing()
    request: str = ""  # redacted, cut
    answer: str = ""  # redacted, cut
    shot: str = ""  # the name of a picture of the page, if one is kept


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of one step. `latency_ms` is the step's own; a poll's is an interval (`latency_low_ms` … it)."""

    id: str
    kind: str
    title: str
    outcome: Outcome
    reason: Reason = Reason.NONE
    message: str = ""
    at_ms: float = 0.0
    latency_ms: float | None = None
    latency_low_ms: float | None = None
    attempts: tuple[Attempt, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    saved: Mapping[str, Any] = field(default_factory=dict)  # redacted
    system: str = ""
    lagged: bool = False


@dataclass(frozen=True, slots=True)
class ClauseRecord:
    """One promise about events as it was judged: `verdict` pass, fail, unknown or not_reached; `decided_by` are the
    happenings of the records that decided it."""

    text: str
    place: str
    verdict: str
    said: str = ""
    decided_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DebtRecord:
    """What the run left behind or took back: `closed` (absence verified), `never_left` or `owed`."""

    path: str
    what: str
    state: str


ODD_ORDER = "odd order: "
"""What a note begins with that tells of an order which good runs do not have."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything kept of one slot: of a run, or of a slot that had none (then `run_id` is empty and steps are none).

    `slots` counts the slots that the record stands for: 1, or a whole gap (`missed`, reason `down`).
    """

    journey: str
    slot: datetime
    outcome: Outcome
    reason: Reason
    run_id: str = ""
    version: str = ""
    location: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    took_ms: float = 0.0  # forward steps and verify, clean-up apart
    outcome_ms: float | None = None  # from the first byte that left to the last check that held
    lateness_ms: float = 0.0  # start against slot
    message: str = ""  # for a person: step, expected, seen
    step: str = ""  # the step that decided
    system: str = ""  # who is booked: the journey's own system, or the one `blame` names
    steps: tuple[StepRecord, ...] = ()
    verify: tuple[CheckRecord, ...] = ()
    clauses: tuple[ClauseRecord, ...] = ()
    evidence: tuple[Evidence, ...] = ()  # in order of time
    evidence_forgotten: bool = False  # there was some, and it is no longer kept
    notes: tuple[str, ...] = ()  # what struck us, and is no failure: an odd order, a source that could not tell
    undo: tuple[Attempt, ...] = ()
    debts: tuple[DebtRecord, ...] = ()
    vars: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)
    lagged: bool = False
    slots: int = 1
    cause: str = "schedule"
    replay_of: str = ""

    def head(self) -> Record:
        """The record without its steps: what lists show."""
        return replace(self, steps=(), verify=(), clauses=(), evidence=(), undo=(), vars={}, identity={})

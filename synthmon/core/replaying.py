"""A replay in nouns: what is asked for, what would be sent, why it is refused, and how it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from synthmon.core.finding.order import Finding, Hold
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Original, Record, Run
from synthmon.core.sequence.clocks import TRUSTED, Clocks

MOST_TIMES = 20


class Refused(Exception):
    """Nothing was sent, or no more is: with place where there is one, fault and remedy."""


class NotAllowed(Refused):
    """Somebody has to allow it first."""


class NotNow(Refused):
    """It may be asked again later: after so many seconds at most, where that is known."""

    def __init__(self, said: str, after_s: float | None = None) -> None:
        super().__init__(said)
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; `times` 0: once, or five times each order."""

    run: str
    same_keys: bool = False
    order: str = ""
    times: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One run to be made."""

    journey: Journey
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is about to be sent. `order` and its `reverse` are set when an order is forced."""

    original: Record
    journey: Journey
    turns: tuple[Turn, ...]
    seed_of: str
    again: Original | None = None
    order: Hold | None = None
    reverse: Hold | None = None
    clocks: Clocks = TRUSTED
    notes: tuple[str, ...] = ()

    def shape(self, turn: Turn) -> Callable[[Run], Run]:
        """What makes a run of this replay of one that is about to begin."""
        asked = turn.hold.baggage if turn.hold is not None else ""
        return lambda run: replace(
            run, replay_of=self.original.run_id, seed_of=self.seed_of, hold=asked, again=self.again
        )


class Stand(StrEnum):
    """How far a replay has come."""

    PLANNED = "planned"  # nothing was sent
    RUNNING = "running"
    OVER = "over"
    STOPPED = "stopped"  # before all of its runs were made; `said` tells why


@dataclass(frozen=True, slots=True)
class Made:
    """One run of a replay that is over; `order` is the one that was to be forced, if any."""

    order: str | None
    run: str
    outcome: Outcome
    message: str


@dataclass(frozen=True, slots=True)
class Replaying:
    """A replay that a daemon was asked for, as it stands. `plan` is in words, `finding` what its orders come to."""

    replay_of: str
    state: Stand
    plan: Mapping[str, Any]
    runs: Sequence[Made] = ()
    finding: Finding | None = None
    said: str = ""

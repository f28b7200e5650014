"""What stands before one system, for all runs together and through reloads: its limits, its circuits, its retries."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from synthmon.core.circuit import SILENCE, Circuit, Lane
from synthmon.core.door import Envelope
from synthmon.core.outcomes import Reason
from synthmon.core.retries import RetryTokens
from synthmon.core.system import System
from synthmon.runtime.outbound.limits import Limiter


class NotAsked(Exception):
    """The place has given no answer for a while and is left alone; the message says since when, and what it met."""


class Withdrawn(Exception):
    """Everything was told to stop before the request left."""


@dataclass(slots=True)
class _Place:
    """What is remembered of one host and port.

    The circuit counts runs without any answer; the tokens count requests, an answer 5xx among the failures.
    """

    circuit: Circuit
    retries: RetryTokens


class Gate:
    """Made once for a system; `adapt` when its settings change. `now_s` is the clock of rates and rests."""

    def __init__(self, system: System, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self.limiter = Limiter(system.name, system.rate_per_s, system.concurrency, now_s)
        self._places: dict[str, _Place] = {}

    def adapt(self, system: System) -> None:
        """Other limits from now on; what was learnt of the system stays."""
        self.limiter.adapt(system.rate_per_s, system.concurrency)

    def open_circuits(self) -> int:
        """How many places are left alone at the moment."""
        return sum(place.circuit.open_since_s is not None for place in self._places.values())

    def admit(self, where: str, envelope: Envelope) -> Ticket:
        """Whether a request to `where` (host:port) may leave at all. Raises `NotAsked`.

        Then `limiter.enter` says when, and the ticket must be told what became of it.
        """
        place = self._places.setdefault(where, _Place(Circuit(), RetryTokens()))
        now_s = self._now_s()
        if envelope.again and not place.retries.allowed:
            raise NotAsked(f"{where} was not asked again: too much of what it is asked fails at the moment")
        lane = place.circuit.admit(envelope.journey, now_s)
        if lane is None:
            raise NotAsked(_words(where, place.circuit, now_s))
        return Ticket(place, lane, envelope, self._now_s)


class Ticket:
    """One request that was let through."""

    def __init__(self, place: _Place, lane: Lane, envelope: Envelope, now_s: Callable[[], float]) -> None:
        self._place, self._lane, self._envelope, self._now_s = place, lane, envelope, now_s
        self._told = False

    def answered(self, status: int) -> None:
        """An answer came."""
        if status >= 500:
            self._place.retries.failed()
        else:
            self._place.retries.succeeded()
        self._tell(Reason.NONE, "")

    def troubled(self, reason: Reason, said: str) -> None:
        """None came, for this reason; what is our own fault teaches nothing about the place."""
        if not self._told and reason in SILENCE:
            self._place.retries.failed()
        self._tell(reason, said)

    def dropped(self) -> None:
        """Nobody waited for the answer. No more than the first word counts, so this may follow any other."""
        self._tell(None, "")

    def _tell(self, reason: Reason | None, said: str) -> None:
        if not self._told:
            self._told = True
            envelope = self._envelope
            self._place.circuit.tell(self._lane, envelope.run_id, envelope.journey, reason, said, self._now_s())


def _words(where: str, circuit: Circuit, now_s: float) -> str:
    since_s = now_s - (circuit.open_since_s or now_s)
    return (
        f"{where} was not asked: it has given no answer for {since_s:.0f} s, {circuit.failures} times in a row; "
        f"the last time: {circuit.last}"
    )

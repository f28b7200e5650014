"""What a function of the shop is: it listens to one event, does one step, and says which events follow."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from synthmon.demo.bus import Delivery
from synthmon.demo.correlation import Correlation, received


class Again(Exception):
    """Not possible yet; the event is to come back in a moment. The text is the reason."""


class Skip(Exception):
    """Nothing to do here, for example because the order was deleted meanwhile. The text is the reason."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a dependency."""

    dependency: str
    started_ns: int
    ended_ns: int
    ok: bool

    @property
    def took_ms(self) -> float:
        return round((self.ended_ns - self.started_ns) / 1e6, 3)


@dataclass(frozen=True, slots=True)
class Event:
    """One event in one attempt. ``calls`` fills up while the function works."""

    subject: str
    id: str
    payload: dict[str, Any]
    correlation: Correlation
    attempt: int
    calls: list[Call] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return str(self.payload.get("reference", ""))


@dataclass(frozen=True, slots=True)
class Following:
    """An event to publish when the step is done."""

    subject: str
    payload: dict[str, Any]


Work = Callable[[Event], Awaitable[tuple[Following, ...]]]


@dataclass(frozen=True, slots=True)
class Function:
    """A durable consumer. ``work`` changes rows only after its last await, so it happens wholly or not at all."""

    service: str
    workflow: str
    step: str
    listens: str
    dependency: str
    work: Work
    at_once: int = 16


def read(delivery: Delivery) -> Event:
    """Raises ValueError when the message is not a JSON object."""
    payload = json.loads(delivery.body)
    if not isinstance(payload, dict):
        raise ValueError(f"{delivery.subject} carries {type(payload).__name__}, not an object")
    return Event(delivery.subject, delivery.message_id, payload, received(delivery.headers), delivery.attempt)


class Dependencies:
    """Everything that the functions call beyond the shop: it takes its time and now and then is busy."""

    def __init__(self, dice: random.Random, busy_rate: float) -> None:
        self._dice = dice
        self._busy_rate = busy_rate

    async def call(self, event: Event, dependency: str, typical_ms: float) -> Call:
        """Wait as long as the dependency takes (typical ± 30 %).

        Raises Again when it is busy: in ``busy_rate`` of the first attempts, never in later ones.
        """
        started_ns = time.time_ns()
        await asyncio.sleep(typical_ms * self._dice.uniform(0.7, 1.3) / 1000)
        busy = event.attempt == 1 and self._dice.random() < self._busy_rate
        done = Call(dependency, started_ns, time.time_ns(), ok=not busy)
        event.calls.append(done)
        if busy:
            raise Again(f"{dependency} is busy")
        return done

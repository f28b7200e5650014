"""A run that waits for its spans and logs: what it was told of how far it can rely on what was heard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from synthmon.core.evidence import Blind, Tell
from synthmon.core.outcomes import Reason
from synthmon.core.sources import Means, Source
from synthmon.evidence.belonging import Owner


@dataclass(slots=True, eq=False)
class Watcher:
    """One of all that hear the same. `since_s` is when it began to, on the clock of `waiting.Held`."""

    source: Source
    means: Means
    tell: Tell
    owner: Owner
    hear_no_more: Callable[[], None] = lambda: None
    marked_s: float = 0.0
    deaf_until_s: float = 0.0
    said_deaf: bool = False
    since_s: float = field(default_factory=time.monotonic)
    forgetful: bool = False

    def say_deaf(self) -> None:
        """Once: that nothing was heard of anybody, so that a silence says nothing of this run."""
        if not self.said_deaf:
            self.said_deaf = True
            self.tell(Blind(self.source.name, Reason.CONNECTION, "no system has reported anything by OTLP"))

    def say_forgetful(self) -> None:
        """For good: what is not held any more does not come again."""
        self.forgetful = True
        detail = "more came than is remembered before a step saved an id: what bears only that id was missed"
        self.tell(Blind(self.source.name, Reason.TOO_MANY, detail))

    @property
    def every_s(self) -> float:
        """How often it is told how far it can rely on what it heard."""
        return min(max(self.source.lag_s / 4, 0.1), 1.0)

"""One visit on its way: where it takes place, how long it may take still, and what an error on it means."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synthmon.core.browsing import Visit
from synthmon.core.door import Envelope
from synthmon.core.outcomes import Reason
from synthmon.runtime.browser.acting import NotDone
from synthmon.runtime.browser.chromium import NoBrowser
from synthmon.runtime.browser.looking import Watcher
from synthmon.runtime.browser.passage import Passage
from synthmon.runtime.outbound.gate import Ticket
from synthmon.runtime.outbound.trouble import Scene, classify

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext


@dataclass(slots=True, eq=False)
class Room:
    """The context of one run at one system; visits in it come one after the other."""

    passage: Passage
    context: BrowserContext | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, eq=False)
class Way:
    """One visit on its way."""

    visit: Visit
    envelope: Envelope
    began_ns: int
    deadline_ns: int
    ready_ns: int = 0  # when the page was there: all before is ours
    where: str = "the target"
    room: Room | None = None
    watcher: Watcher | None = None
    ticket: Ticket | None = None
    limit: asyncio.Timeout | None = None
    withdrawn: bool = False
    shot: str = ""

    @property
    def left_s(self) -> float:
        """How long it may still take."""
        return max(0.0, (self.deadline_ns - time.monotonic_ns()) / 1e9)

    @property
    def passage(self) -> Passage:
        """What everything of it passes through, once there is a page."""
        assert self.room is not None  # a page was there
        return self.room.passage

    @property
    def sent(self) -> bool:
        """Whether a byte of it may have left."""
        return self.room is not None and any(trip.stamps.written for trip in self.room.passage.trips)

    def judged(self, error: Exception) -> tuple[Reason, str]:
        """What an error on it means, and why in words for a person."""
        if self.withdrawn:
            return Reason.INTERRUPTED, "everything was told to stop before this was over"
        match error:
            case NoBrowser():
                return Reason.BROWSER, str(error)
            case NotDone():
                return error.reason, str(error)
            case TimeoutError() if self.room is None:
                return Reason.SATURATED, (
                    f"no page was open within {self.envelope.timeout_s:.3g} s: other visits, or the start of the "
                    "browser, took that long"
                )
            case TimeoutError():
                return Reason.TIMEOUT, f"the page did not come to rest within {self.envelope.timeout_s:.3g} s"
        if type(error).__module__.startswith("playwright"):
            return Reason.BROWSER, f"our browser ended, or its page crashed: {str(error).splitlines()[0][:200]}"
        judged = classify(error, Scene(self.where, False, self.envelope.timeout_s, sent=self.sent))
        return judged.reason, judged.detail

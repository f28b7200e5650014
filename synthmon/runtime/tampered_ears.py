"""What a step hears, with one fault: lost, late, twice, changed, out of order, or another run's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from synthmon.core.door import Hear, Naming, OpenEar, Trouble
from synthmon.core.journey import Step
from synthmon.core.messages import Gap, Message, carries
from synthmon.core.proof.body_faults import marks_of
from synthmon.core.proof.contents import told_as
from synthmon.core.proof.faults import Fault, Good, Injection
from synthmon.core.proof.mutations import changed
from synthmon.core.run import Run

SOON_S = 0.1  # between a message and its double
NEVER_S = 86_400.0
LATER_S = 0.5  # beyond the last instant at which a message would be taken


class Ears:
    """Stands between what is heard and who hears it; `count` is told of each message that came otherwise."""

    def __init__(
        self, injection: Injection, step: Step, good: Good, run: Run, hear: Hear, count: Callable[[], None]
    ) -> None:
        self._injection, self._step, self._good, self._run = injection, step, good, run
        self._tell, self._count = hear, count
        self._timers: set[asyncio.TimerHandle] = set()
        self._held: Message | None = None

    def around(self, ear: OpenEar | Trouble) -> OpenEar | Trouble:
        """The same listener, which lets go of what is still to come too."""
        if isinstance(ear, Trouble):
            return ear
        return _NamedEar(ear, self) if isinstance(ear, Naming) else _Ear(ear, self)

    def hear(self, what: Message | Gap) -> None:
        """One arrival."""
        if isinstance(what, Gap) or not self._is_mine(what):
            self._tell(what)
            return
        now_s = asyncio.get_running_loop().time()
        message = what if what.at_s else replace(what, at_s=now_s)
        match self._injection.fault:
            case Fault.DROP:
                self._count()
            case Fault.DELAY:
                self._count()
                self._later(self._patience_s(), message)
            case Fault.DUPLICATE:
                self._count()
                self._tell(message)
                self._later(SOON_S, replace(message, id=f"{message.id}-again" if message.id else ""))
            case Fault.BODY if self._injection.change is not None:
                keep = (self._run.id, self._run.namespace, *marks_of(self._good))
                made = changed(message, self._injection.change, keep)
                if made != message:
                    self._count()
                self._tell(made)
            case Fault.STALE:
                self._count()
                self._tell(told_as(message, self._good.said[self._step.id][1][0]))
            case Fault.REORDER:
                self._in_other_order(message)
            case _:
                self._tell(message)

    def stop(self) -> None:
        """Nothing more is told."""
        for timer in self._timers:
            timer.cancel()

    def _in_other_order(self, message: Message) -> None:
        """The first waits for the second, and they come in each other's place and at each other's instant."""
        if self._held is None:
            self._held = message
            return
        self._count()
        first, self._held = self._held, None
        self._tell(replace(message, at_s=first.at_s))
        self._tell(replace(first, at_s=message.at_s))

    def _later(self, delay_s: float, message: Message) -> None:
        loop = asyncio.get_running_loop()
        self._timers.add(loop.call_later(delay_s, lambda: self._tell(replace(message, at_s=loop.time()))))

    def _patience_s(self) -> float:
        """Until its time is over for sure: where that counts from when the step is reached, longer than any run."""
        within = self._step.within
        return within.limit_s + within.grace_s + LATER_S if within and within.after else NEVER_S

    def _is_mine(self, message: Message) -> bool:
        """Whether it may be the run's: others' messages are left alone where that can be told."""
        hears = self._step.hears
        if hears is None or hears.addressed or hears.where is not None:
            return True
        return carries(message, (self._run.id, self._run.namespace))


class Deaf:
    """A listener to what is not there."""

    where = "nothing"

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class _Ear:
    """A listener with a fault in it."""

    def __init__(self, inner: OpenEar, ears: Ears) -> None:
        self._inner, self._ears = inner, ears

    @property
    def where(self) -> str:
        return self._inner.where

    async def aclose(self) -> None:
        self._ears.stop()
        await self._inner.aclose()


class _NamedEar(_Ear):
    """One by which the run learns values."""

    def __init__(self, inner: Naming, ears: Ears) -> None:
        super().__init__(inner, ears)
        self._naming = inner

    @property
    def names(self) -> Mapping[str, Any]:
        return self._naming.names

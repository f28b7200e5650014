"""One fault in what the steps of a journey send, are told and hear; clean-up always goes true.

Nothing that is falsified ever leaves in a write: what is made of a write that never left does not leave either, and a
value that was told wrongly is put right again in every later write and in all clean-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from synthmon.core.door import Door, Envelope, Hear, HttpAnswer, HttpRequest, OpenEar, Published, Trouble
from synthmon.core.journey import Journey, Step
from synthmon.core.kinds import Kind, Listens, Performs
from synthmon.core.outcomes import Reason
from synthmon.core.proof.contents import content_of, erroneous, told_as
from synthmon.core.proof.faults import LOOK, Fault, Good, Injection, step_of, writes_from
from synthmon.core.proof.mutations import changed, values_at
from synthmon.core.proof.transposed import transposed
from synthmon.core.proof.true_values import put_right
from synthmon.core.run import Run
from synthmon.core.timing import Timing
from synthmon.runtime.tampered_ears import Deaf, Ears

MADE_OF_NOTHING = (Fault.DROP, Fault.STALE, Fault.ERROR)  # in which something is made of what never was


@dataclass(slots=True)
class Struck:
    """Whether the fault came to strike in a run. `times` counts what it made otherwise, `same` what it left as it was
    because a good answer would have read the same; `true_of` are values as they are, by what the run was told."""

    times: int = 0
    same: int = 0
    true_of: dict[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()  # the steps whose writes did not leave


class Tampering:
    """Between one run and the kinds of its steps: guard, limits, marks and times stay below, in the real door."""

    def __init__(self, journey: Journey, run: Run, injection: Injection, good: Good, struck: Struck) -> None:
        self._journey, self._run = journey, run
        self._injection, self._good, self._struck = injection, good, struck
        self._looks: list[tuple[Any, Any]] = []
        struck.withheld = writes_from(journey, injection.at) if injection.fault in MADE_OF_NOTHING else frozenset()

    async def perform(self, kind: Performs, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        """What a step does, or clean-up in its name."""
        step_id = self._step_of(envelope)
        if envelope.effect and step_id in self._struck.withheld:
            return self._withheld(kind, step_id, request, envelope)
        if not envelope.clean_up and step_id == self._injection.at:
            return await self._struck_at(kind, request, door, envelope)
        true = put_right(request, self._struck.true_of) if envelope.effect or envelope.clean_up else request
        return self._remembered(true, envelope, await kind.perform(true, door, envelope))

    async def listen(
        self, kind: Listens, request: Any, door: Door, envelope: Envelope, hear: Hear
    ) -> OpenEar | Trouble:
        """What a step hears; one that is faulted hears otherwise."""
        step_id = self._step_of(envelope)
        step = step_of(self._journey, step_id)
        if step is None or step_id != self._injection.at:
            if step is not None and step.id in self._struck.withheld:  # what it says is made of what never was
                return Deaf()
            if _writes(step):
                request = put_right(request, self._struck.true_of)
            return await kind.listen(request, door, envelope, hear)
        if self._injection.fault is Fault.ERROR:
            self._count()
            return _refused(kind, "to be listened to")
        ears = Ears(self._injection, step, self._good, self._run, hear, self._count)
        return ears.around(await kind.listen(request, door, envelope, ears.hear))

    # the faults -------------------------------------------------------------------------------------------------------

    async def _struck_at(self, kind: Performs, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        match self._injection.fault:
            case Fault.ERROR:
                self._count()
                return self._broken(kind, self._injection.at, request)
            case Fault.DELAY:
                return await self._too_late(kind.perform(request, door, envelope), envelope)
        before = self._seen_at(request)
        answer = await kind.perform(request, door, envelope)
        if isinstance(answer, Trouble):
            return answer
        if self._injection.fault is Fault.STALE:
            self._remembered(request, envelope, answer)
            then = self._good.said[self._injection.at][1]
            if self._injection.other == LOOK:
                then = answer if before is None else before
            return self._noted(answer, told_as(answer, then))
        return self._changed(answer)

    def _withheld(self, kind: Performs, step_id: str, request: Any, envelope: Envelope) -> Any | Trouble:
        """A write that does not leave, answered as in the good run. Nothing was made, so nothing is taken back: what an
        earlier run was told may be somebody else's by now."""
        if envelope.clean_up:
            return self._nothing_there(kind, request)
        self._count()
        if self._injection.fault is Fault.ERROR:
            return self._broken(kind, step_id, request)
        asked, told = self._good.said.get(step_id, (None, None))
        if told is None:
            return _refused(kind, "it, which no good run was told")
        if isinstance(told, Published):
            return Published(_now())
        if self._injection.fault is Fault.DROP or step_id != self._injection.at:
            told = transposed(told, (asked, self._good.run), (request, self._run))
        return replace(told, timing=_now(told.timing))

    def _nothing_there(self, kind: Performs, request: Any) -> Any | Trouble:
        if isinstance(request, HttpRequest):
            return HttpAnswer(404, (), b"", _now(), request.url)
        return Published(_now()) if kind.word == "send" else _refused(kind, "what is not there")

    def _broken(self, kind: Performs, step_id: str, request: Any) -> Any | Trouble:
        """What it answers when it is out of order; what has no word for it refuses."""
        if isinstance(request, HttpRequest):
            return erroneous(HttpAnswer(0, (), b"", _now(), request.url))
        answer = erroneous(self._good.said.get(step_id, (None, None))[1])
        return _refused(kind, "the connection") if answer is None else replace(answer, timing=_now(answer.timing))

    async def _too_late(self, leaving: Awaitable[Any], envelope: Envelope) -> Trouble:
        """It leaves, and its answer does not come in time."""
        self._count()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        task = asyncio.ensure_future(leaving)
        try:
            await asyncio.wait([task], timeout=envelope.timeout_s)
            await asyncio.sleep(max(0.0, began_s + envelope.timeout_s - loop.time()))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        said = f"no answer within {envelope.timeout_s:g}s (injected)"
        return Trouble(Reason.TIMEOUT, said, timing=Timing(sent_at_s=began_s, total_ms=envelope.timeout_s * 1e3))

    def _changed(self, answer: Any) -> Any:
        change = self._injection.change
        if change is None:
            return answer
        made = changed(answer, change)
        if change.distinct and made is not answer:
            false, true = (values_at(content_of(one), change.path) for one in (made, answer))
            self._struck.true_of |= {str(a): str(b) for a, b in zip(false, true, strict=False)}
        return self._noted(answer, made)

    def _noted(self, true: Any, made: Any) -> Any:
        if made == true:
            self._struck.same += 1
            return true
        self._count()
        return made

    def _count(self) -> None:
        self._struck.times += 1

    # earlier looks ----------------------------------------------------------------------------------------------------

    def _remembered(self, request: Any, envelope: Envelope, answer: Any) -> Any:
        """The first answer to each read is what a cache would give ever after."""
        kept = not isinstance(answer, Trouble) and not envelope.clean_up and not envelope.effect and envelope.act
        if kept and self._seen_at(request) is None:
            self._looks.append((_place(request), answer))
        return answer

    def _seen_at(self, request: Any) -> Any:
        place = _place(request)
        return next((answer for asked, answer in self._looks if asked == place), None)

    # which act it is --------------------------------------------------------------------------------------------------

    def _step_of(self, envelope: Envelope) -> str:
        """The step on whose behalf something leaves; empty for logins and the like."""
        if envelope.journey != self._journey.name:
            return ""
        return envelope.act.partition("~")[0].partition("#")[0]


def _writes(step: Step | None) -> bool:
    return step is not None and step.spec is not None and step.spec.effect


def _refused(kind: Kind, what: str) -> Trouble:
    """A place at the system that refuses is no less than red; a broker or a database that does is nobody's word."""
    reason = Reason.CONNECTION if kind.via == "connection" else Reason.REFUSED
    return Trouble(reason, f"the {kind.word} step is refused {what} (injected)", sent=False)


def _place(request: Any) -> Any:
    """A request without its headers, which may differ from one look to the next."""
    has_headers = is_dataclass(request) and not isinstance(request, type) and hasattr(request, "headers")
    return replace(request, headers=()) if has_headers else request


def _now(like: Timing | None = None) -> Timing:
    now_s = asyncio.get_running_loop().time()
    return replace(like or Timing(), sent_at_s=now_s, first_byte_at_s=now_s)

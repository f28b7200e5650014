"""A door with one fault in it: what a journey sends, is told and hears, wrong in one way; clean-up always goes true."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from synthmon.core.door import (
    Dial,
    Door,
    Envelope,
    Found,
    Hear,
    HttpAnswer,
    HttpRequest,
    Line,
    OpenEar,
    Published,
    Rows,
    Trouble,
)
from synthmon.core.inbound import Hook
from synthmon.core.journey import Journey
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason
from synthmon.core.proof.faults import LOOK, Fault, Good, Injection, step_of, writes_from
from synthmon.core.proof.mutations import changed, content_of, values_at
from synthmon.core.proof.proving import erroneous
from synthmon.core.proof.transposed import transposed
from synthmon.core.run import Run
from synthmon.core.timing import Timing
from synthmon.runtime.tampered_ears import Ears

if TYPE_CHECKING:
    from synthmon.core.browsing import Visit, Visited

Told = TypeVar("Told", HttpAnswer, Rows)


@dataclass(slots=True)
class Struck:
    """Whether the fault came to strike in a run. `times` counts what it made otherwise, `same` what it left as it was
    because a good answer would have read the same; `true_of` are values as they are, by what the run was told."""

    times: int = 0
    same: int = 0
    true_of: dict[str, str] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()  # the steps whose writes did not leave


class FaultyDoor:
    """`core.door.Door` of one run, around the real one: guard, limits, marks and times stay below.

    Nothing that is falsified ever leaves in a write: what is made of a write that never left does not leave either, and
    a value that was told wrongly is put right again in every later write and in all clean-up.
    """

    def __init__(
        self, inner: Door, journey: Journey, run: Run, injection: Injection, good: Good, struck: Struck
    ) -> None:
        self._inner, self._journey, self._run = inner, journey, run
        self._injection, self._good, self._struck = injection, good, struck
        self._looks: dict[tuple[str, str], HttpAnswer] = {}
        kinds = (Fault.DROP, Fault.STALE, Fault.ERROR)  # in which something is made of what never was
        struck.withheld = writes_from(journey, injection.at) if injection.fault in kinds else frozenset()

    # what leaves and is answered ------------------------------------------------------------------------------------

    async def http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        step_id = self._step_of(envelope)
        if envelope.effect and step_id in self._struck.withheld:
            return self._withheld(step_id, request, envelope)
        if envelope.clean_up or step_id != self._injection.at:
            answer = await self._inner.http(self._put_right(request, envelope), envelope)
            return self._remembered(request, envelope, answer)
        return await self._struck_http(request, envelope)

    async def _struck_http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        match self._injection.fault:
            case Fault.ERROR:
                self._struck.times += 1
                return erroneous(HttpAnswer(0, (), b"", Timing(), request.url))
            case Fault.DELAY:
                return await self._too_late(self._inner.http(request, envelope), envelope)
        before = self._looks.get((request.method, request.url))
        answer = await self._inner.http(request, envelope)
        if isinstance(answer, Trouble):
            return answer
        if self._injection.fault is Fault.STALE:
            self._remembered(request, envelope, answer)
            then = (before or answer) if self._injection.other == LOOK else self._recorded(envelope)
            return self._noted(answer, replace(answer, status=then.status, headers=then.headers, content=then.content))
        return self._changed(answer)

    async def publish(self, connection: str, publication: Publication, envelope: Envelope) -> Published | Trouble:
        step_id = self._step_of(envelope)
        if envelope.effect and step_id in self._struck.withheld:
            self._struck.times += not envelope.clean_up
            if self._injection.fault is Fault.ERROR:
                said = f"{connection} refuses the message (injected)"
                return Trouble(Reason.CONNECTION, said, sent=False)
            return Published(self._now())
        if not envelope.clean_up and step_id == self._injection.at and self._injection.fault is Fault.DELAY:
            return await self._too_late(self._inner.publish(connection, publication, envelope), envelope)
        return await self._inner.publish(connection, self._put_right_in(publication), envelope)

    async def query(self, connection: str, sql: str, params: Mapping[str, Any], envelope: Envelope) -> Rows | Trouble:
        if envelope.clean_up or self._step_of(envelope) != self._injection.at:
            return await self._inner.query(connection, sql, params, envelope)
        if self._injection.fault is Fault.ERROR:
            self._struck.times += 1
            return Trouble(Reason.CONNECTION, f"{connection} refuses the query (injected)", sent=False)
        answer = await self._inner.query(connection, sql, params, envelope)
        if isinstance(answer, Trouble):
            return answer
        if self._injection.fault is Fault.STALE:
            then = self._good.said[self._injection.at][1]
            return self._noted(answer, replace(answer, rows=then.rows))
        return self._changed(answer)

    # what is heard ----------------------------------------------------------------------------------------------------

    async def listen(self, connection: str, to: Mapping[str, str], hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        if self._step_of(envelope) != self._injection.at:
            return await self._inner.listen(connection, to, hear, envelope)
        if self._injection.fault is Fault.ERROR:
            self._struck.times += 1
            return Trouble(Reason.CONNECTION, f"{connection} refuses to be listened to (injected)", sent=False)
        ears = self._ears(hear)
        return ears.around(await self._inner.listen(connection, to, ears.hear, envelope))

    async def hook(self, hook: Hook, hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        if self._step_of(envelope) != self._injection.at:
            return await self._inner.hook(hook, hear, envelope)
        ears = self._ears(hear)
        return ears.around(await self._inner.hook(hook, ears.hear, envelope))

    def _ears(self, hear: Hear) -> Ears:
        step = step_of(self._journey, self._injection.at)
        assert step is not None  # injections are planned from the steps of the journey
        return Ears(self._injection, step, self._good, self._run, hear, self._count)

    # what has a socket of its own: it can be refused, and no more -----------------------------------------------------

    async def count(self, connection: str, at: Mapping[str, str], envelope: Envelope) -> int | Trouble:
        return await self._inner.count(connection, at, envelope)

    async def pinned(self, host: str, port: int, envelope: Envelope) -> Sequence[str] | Trouble:
        return self._refusal(envelope, host) or await self._inner.pinned(host, port, envelope)

    async def find(self, url: str, envelope: Envelope) -> Found | Trouble:
        return self._refusal(envelope, url) or await self._inner.find(url, envelope)

    async def dial(self, to: Dial, envelope: Envelope) -> Line | Trouble:
        return self._refusal(envelope, to.url) or await self._inner.dial(to, envelope)

    async def visit(self, visit: Visit, envelope: Envelope) -> Visited | Trouble:
        return self._refusal(envelope, "the page") or await self._inner.visit(visit, envelope)

    def _refusal(self, envelope: Envelope, where: str) -> Trouble | None:
        struck = self._injection.fault is Fault.ERROR and self._step_of(envelope) == self._injection.at
        if not struck or envelope.clean_up:
            return None
        self._struck.times += 1
        return Trouble(Reason.REFUSED, f"{self.redact(where)} refuses the connection (injected)", sent=False)

    # as it is ---------------------------------------------------------------------------------------------------------

    def marks(self, envelope: Envelope) -> tuple[tuple[str, str], ...]:
        return self._inner.marks(envelope)

    def reveal(self, text: str) -> str:
        return self._inner.reveal(text)

    def redact(self, text: str) -> str:
        return self._inner.redact(text)

    @property
    def pictures(self) -> Mapping[str, bytes]:
        """Those that a browser behind the real door took."""
        taken: Mapping[str, bytes] = getattr(self._inner, "pictures", {})
        return taken

    def withdraw(self) -> None:
        self._inner.withdraw()

    async def aclose(self) -> None:
        await self._inner.aclose()

    # the faults -------------------------------------------------------------------------------------------------------

    def _withheld(self, step_id: str, request: HttpRequest, envelope: Envelope) -> HttpAnswer:
        """A write that does not leave, answered as in the good run. Nothing was made, so nothing is taken back: what an
        earlier run was told may be somebody else's by now."""
        if envelope.clean_up:
            return HttpAnswer(404, (), b"", self._now(), request.url)
        self._struck.times += 1
        if self._injection.fault is Fault.ERROR:
            return erroneous(HttpAnswer(0, (), b"", self._now(), request.url))
        asked: HttpRequest
        told: HttpAnswer
        asked, told = self._good.said[step_id]
        if self._injection.fault is Fault.DROP or step_id != self._injection.at:
            told = transposed(told, (asked, self._good.run), (request, self._run))
        return replace(told, timing=self._now(told.timing))

    async def _too_late(self, leaving: Any, envelope: Envelope) -> Trouble:
        """It leaves, and its answer does not come in time."""
        self._struck.times += 1
        began_s = asyncio.get_running_loop().time()
        task = asyncio.ensure_future(leaving)
        try:
            await asyncio.wait([task], timeout=envelope.timeout_s)
            await asyncio.sleep(max(0.0, began_s + envelope.timeout_s - asyncio.get_running_loop().time()))
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        said = f"no answer within {envelope.timeout_s:g}s (injected)"
        return Trouble(Reason.TIMEOUT, said, timing=Timing(sent_at_s=began_s, total_ms=envelope.timeout_s * 1e3))

    def _changed(self, answer: Told) -> Told:
        change = self._injection.change
        if change is None:
            return answer
        made: Told = changed(answer, change)
        if change.distinct and made is not answer:
            pairs = zip(
                values_at(content_of(made), change.path), values_at(content_of(answer), change.path), strict=False
            )
            self._struck.true_of |= {str(false): str(true) for false, true in pairs}
        return self._noted(answer, made)

    def _noted(self, true: Told, made: Told) -> Told:
        if made == true:
            self._struck.same += 1
            return true
        self._struck.times += 1
        return made

    def _recorded(self, envelope: Envelope) -> HttpAnswer:
        told: HttpAnswer = self._good.said[self._step_of(envelope)][1]
        return told

    def _remembered(
        self, request: HttpRequest, envelope: Envelope, answer: HttpAnswer | Trouble
    ) -> HttpAnswer | Trouble:
        """The first answer to each read is what a cache would give ever after."""
        if isinstance(answer, HttpAnswer) and not envelope.clean_up and not envelope.effect:
            self._looks.setdefault((request.method, request.url), answer)
        return answer

    def _count(self) -> None:
        self._struck.times += 1

    # what must not leave ----------------------------------------------------------------------------------------------

    def _put_right(self, request: HttpRequest, envelope: Envelope) -> HttpRequest:
        """A write, or clean-up, with the true values in place of those that the run was told wrongly."""
        if not self._struck.true_of or not (envelope.effect or envelope.clean_up):
            return request
        headers = tuple((name, self._truly(value)) for name, value in request.headers)
        body = None if request.body is None else self._truly(request.body.decode("utf-8", "replace")).encode()
        return replace(request, url=self._truly(request.url), headers=headers, body=body)

    def _put_right_in(self, publication: Publication) -> Publication:
        if not self._struck.true_of:
            return publication
        to = {word: self._truly(text) for word, text in publication.to.items()}
        headers = tuple((name, self._truly(value)) for name, value in publication.headers)
        content = self._truly(publication.content.decode("utf-8", "replace")).encode()
        return Publication(to, headers, content)

    def _truly(self, text: str) -> str:
        for false, true in self._struck.true_of.items():
            text = text.replace(quote(false, safe=""), quote(true, safe="")).replace(false, true)
        return text

    # which act it is --------------------------------------------------------------------------------------------------

    def _step_of(self, envelope: Envelope) -> str:
        """The step on whose behalf something leaves; empty for logins and the like."""
        if envelope.journey != self._journey.name:
            return ""
        return envelope.act.partition("~")[0].partition("#")[0]

    def _now(self, like: Timing | None = None) -> Timing:
        now_s = asyncio.get_running_loop().time()
        return replace(like or Timing(), sent_at_s=now_s, first_byte_at_s=now_s)

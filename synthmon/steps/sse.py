"""`sse` opens a stream of Server-Sent Events before the run acts, and hears its events.

```yaml
journey: order-events
every: 5m
system: shop
steps:
  - id: order
    http: POST /orders
    json: {reference: "${run.namespace}"}
    leaves: "a test order, gone after 24h"
    expect:
      - status == 201
  - id: placed
    sse: /orders/events
    where: message.subject == "placed" && message.json.reference == run.namespace
    within: 10s after order
    settle: 2s
    expect:
      - count == 1
```

A URL that is not absolute is put behind the base of the system. It connects as soon as every value in it is known:
mostly before the first step, with the run's marks and the headers of the session. The answer must be 200 and
`text/event-stream`; redirects are not followed. Every event is a message. Without `where`, one is of this run if the
run's id or namespace stands in it.

When the stream ends or breaks off it is asked for again, as long after as the server said by `retry` (else 1 s), from
the last event on (`Last-Event-ID`). What came in between may be lost all the same: if the checks do not hold by then,
the step says so. A server that is silent for ever cannot be told from one that has nothing to say.

Offers, of the first event of this run: `message.json` (missing if it is no valid JSON), `message.text`,
`message.subject` (the event's name, `message` without one), `message.id`, `message.headers` (empty); `messages`, a list
of all with the same parts; `count`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Dial, Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.headers import why_not
from synthmon.core.kinds import Maker
from synthmon.core.messages import OFFERS, Gap, Message
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import masked
from synthmon.core.templates import Tree
from synthmon.core.urls import UrlTemplate, pairs, url_template
from synthmon.steps.heard import Heard
from synthmon.steps.sse_stream import Ended, EventStream, Memory

OWN_PART = 0.95  # of the limit of beginning: so that whose silence it was can be said before that is over
Scalar = str | int | float | bool


class SseKeys(BaseModel):
    """The keys of an `sse` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sse: str = Field(description="Where: `https://host/path`, or a path behind the system's base.")
    headers: Mapping[str, Scalar] = Field({}, description="Headers of the request.")


@dataclass(frozen=True, slots=True)
class SseRequest:
    """Where to listen; secrets are sealed."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SseSpec(Heard):
    """A stream to be opened, with values still to be filled in (`core.journey.Spec`)."""

    url: UrlTemplate
    headers: Tree | None = None

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "sse"

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        return self.url.refs | (self.headers.refs if self.headers else frozenset())

    def render(self, scope: Scope) -> SseRequest:
        """With all values filled in. Raises `ExpressionError`."""
        return SseRequest(self.url.render(scope), tuple(pairs(self.headers.render(scope))) if self.headers else ())

    def describe(self, request: SseRequest, answer: Sequence[Message] | None) -> str:
        """`/orders/events → an event`."""
        asked = f"events of {masked(request.url)}"
        return f"{asked} → an event" if answer else asked


_MANUAL = __doc__


class SseKind:
    """The kind of step that `sse:` chooses (`core.kinds.Listens`)."""

    word: str = "sse"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = SseKeys
    offers: Mapping[str, str] = MappingProxyType({**OFFERS, "message.id": "string"})
    via: Literal["system"] = "system"
    addressed: bool = False

    def compile(self, keys: SseKeys, make: Maker) -> SseSpec:
        """From checked keys to a spec; faults go to `make`."""
        for name in keys.headers:
            why = "is set by the stream" if name.lower() in ("accept", "last-event-id") else why_not(name)
            if why:
                make.fault(("headers", name), "http-header", f"The header {name!r} {why}.", "Leave it out.")
        parts = make.template(keys.sse, ("sse",)).parts
        first = parts[0] if parts and isinstance(parts[0], str) else ""
        if not parts or (first and not first.startswith(("/", "?", "http://", "https://"))):
            fault = f"{keys.sse!r} is no address of a stream."
            make.fault(("sse",), "sse-url", fault, "Write `https://host/path`, or `/path` behind the base.")
        headers = make.tree(dict(keys.headers), ("headers",)) if keys.headers else None
        return SseSpec(url_template(parts), headers)

    async def listen(self, request: SseRequest, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Ask for the stream through the door."""
        ear = _SseEar(request, door, replace(envelope, timeout_s=envelope.timeout_s * OWN_PART), hear)
        trouble = await ear.begin()
        return ear if trouble is None else trouble


KIND = SseKind()


class _SseEar:
    """`core.door.OpenEar` of one stream, asked for again when it ends."""

    def __init__(self, request: SseRequest, door: Door, envelope: Envelope, hear: Hear) -> None:
        self._request, self._door, self._envelope, self._hear = request, door, envelope, hear
        self._memory = Memory()
        self._stream: EventStream | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def where(self) -> str:
        return masked(self._request.url)

    async def begin(self) -> Trouble | None:
        """The first time decides; from then on it listens."""
        opened = await self._opened()
        if isinstance(opened, Trouble):
            return opened
        self._stream = opened
        self._task = asyncio.create_task(self._keep(opened))
        return None

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._stream is not None:
            await self._stream.line.aclose()

    async def _opened(self) -> EventStream | Trouble:
        headers = [*self._request.headers, ("Accept", "text/event-stream"), ("Cache-Control", "no-store")]
        if self._memory.last_id:
            headers.append(("Last-Event-ID", self._memory.last_id))
        over_s = asyncio.get_running_loop().time() + self._envelope.timeout_s
        line = await self._door.dial(Dial(self._request.url, tuple(headers)), self._envelope)
        if isinstance(line, Trouble):
            return line
        stream = EventStream(line, self._memory)
        try:
            async with asyncio.timeout_at(over_s):
                await stream.ask()
            return stream
        except Ended as error:
            await line.aclose()
            return Trouble(error.reason, self._door.redact(str(error)), timing=line.timing)
        except Exception as error:  # noqa: BLE001  whatever the other side did, the line knows what it means
            await line.aclose()
            return line.trouble(error)
        except BaseException:
            await line.aclose()
            raise

    async def _keep(self, stream: EventStream) -> None:
        while True:
            why = await self._until_it_ends(stream)
            await stream.line.aclose()
            self._hear(Gap(Reason.RESET, f"the stream ended while it was listened to: {why}"))
            while True:
                await asyncio.sleep(self._memory.retry_s)
                again = await self._opened()
                if isinstance(again, EventStream):
                    break
            self._stream = stream = again

    async def _until_it_ends(self, stream: EventStream) -> str:
        try:
            while True:
                for message in await stream.read():
                    self._hear(message)
        except Ended as error:
            return self._door.redact(str(error))
        except Exception as error:  # noqa: BLE001  as above
            return stream.line.trouble(error).detail

"""`websocket` opens a WebSocket before the run acts, and hears what comes over it.

```yaml
journey: order-live
every: 5m
system: shop
steps:
  - id: order
    http: POST /orders
    json: {reference: "${run.namespace}"}
    leaves: "a test order, gone after 24h"
    expect:
      - status == 201
  - id: feed
    websocket: /live?client=${run.namespace}
    subprotocols: [json]
    headers: {Origin: https://shop.example.com}
    open:
      - say: {type: subscribe, channel: orders}
        until: message.json.type == "subscribed"
    where: message.json.reference == run.namespace
    within: 10s after order
    expect:
      - message.json.state == "placed"
      - count == 1
```

A URL that is not absolute is put behind the base of the system. It connects as soon as every value in it is known:
mostly before the first step. The handshake bears the run's marks and the headers of the session. Then `open` is gone
through in order: `say` goes out, a text as it is and anything else as JSON, and where `until` stands, frames are read
until one of them makes it true; those are not counted. What is said may change the system, and so `say` needs one with
`writes: true`. Pings are answered, and after 20 seconds of silence one is sent.

Every frame from then on is a message. Without `where`, one is of this run if the run's id or namespace stands in it. A
WebSocket is a session: what a server sends while it is lost nobody can hear, and so it is not opened again. If it is
closed or lost before the checks hold, the step fails and says so.

Offers, of the first message of this run: `message.json` (missing if it is no valid JSON), `message.text`,
`message.subject` (`text` or `binary`), `message.headers` (empty); `messages`, a list of all with the same parts;
`count`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Dial, Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.headers import why_not
from synthmon.core.kinds import Maker
from synthmon.core.messages import OFFERS, Gap, Message
from synthmon.core.outcomes import Reason
from synthmon.core.payload import revealed
from synthmon.core.secrets import SecretError, masked
from synthmon.core.templates import Tree
from synthmon.core.urls import UrlTemplate, pairs, url_template
from synthmon.steps.heard import Heard
from synthmon.steps.websocket_frames import Ended, Frames
from synthmon.steps.websocket_turns import SayKeys, Turn, TurnSpec, compile_turn, converse

SILENCE_S = 20.0  # until a ping is sent, and until its answer must have come
OWN_PART = 0.95  # of the limit of beginning: so that whose silence it was can be said before that is over

Scalar = str | int | float | bool
_CLOSED = ConfigDict(frozen=True, extra="forbid")


class WebsocketKeys(BaseModel):
    """The keys of a `websocket` step."""

    model_config = _CLOSED

    websocket: str = Field(description="Where: `wss://host/path`, or a path behind the system's base.")
    headers: Mapping[str, Scalar] = Field({}, description="Headers of the handshake.")
    subprotocols: list[str] = Field([], description="The subprotocols that are offered, the best first.")
    open: list[SayKeys] = Field([], description="What is said and awaited first, turn by turn.")


@dataclass(frozen=True, slots=True)
class WebsocketRequest:
    """Where to connect, and the dialogue; secrets are sealed."""

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    turns: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class WebsocketSpec(Heard):
    """A WebSocket to be opened, with values still to be filled in (`core.journey.Spec`)."""

    url: UrlTemplate
    headers: Tree | None = None
    subprotocols: tuple[str, ...] = ()
    turns: tuple[TurnSpec, ...] = ()

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "websocket"

    @property
    def effect(self) -> bool:
        """Whether something is said."""
        return any(turn.said for turn in self.turns)

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        headers = self.headers.refs if self.headers else frozenset[str]()
        return self.url.refs.union(headers, *(turn.refs for turn in self.turns))

    def render(self, scope: Scope) -> WebsocketRequest:
        """With all values filled in. Raises `ExpressionError`."""
        headers = tuple(pairs(self.headers.render(scope))) if self.headers else ()
        turns = tuple(turn.render(scope) for turn in self.turns)
        return WebsocketRequest(self.url.render(scope), headers, self.subprotocols, turns)

    def describe(self, request: WebsocketRequest, answer: Sequence[Message] | None) -> str:
        """`/live on a websocket → a message`."""
        asked = f"{masked(request.url)} on a websocket"
        return f"{asked} → a message" if answer else asked


_MANUAL = __doc__


class WebsocketKind:
    """The kind of step that `websocket:` chooses (`core.kinds.Listens`)."""

    word: str = "websocket"
    manual: str = _MANUAL
    extra: str = "websocket"
    library: str = "websockets"
    keys: type[BaseModel] = WebsocketKeys
    offers: Mapping[str, str] = OFFERS
    via: Literal["system"] = "system"
    addressed: bool = False

    def compile(self, keys: WebsocketKeys, make: Maker) -> WebsocketSpec:
        """From checked keys to a spec; faults go to `make`."""
        for name in keys.headers:
            why = "is set by the handshake" if name.lower().startswith("sec-websocket-") else why_not(name)
            if why:
                make.fault(("headers", name), "http-header", f"The header {name!r} {why}.", "Leave it out.")
        turns = tuple(compile_turn(turn, i, make) for i, turn in enumerate(keys.open))
        headers = make.tree(dict(keys.headers), ("headers",)) if keys.headers else None
        return WebsocketSpec(_url(keys.websocket, make), headers, tuple(keys.subprotocols), turns)

    async def listen(self, request: WebsocketRequest, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Connect through the door, shake hands, go through the dialogue."""
        limit_s = envelope.timeout_s * OWN_PART
        over_s = asyncio.get_running_loop().time() + limit_s
        try:
            turns = [replace(turn, say=revealed(turn.say, door.reveal)) for turn in request.turns]
        except SecretError as error:
            return Trouble(Reason.MISSING_SECRET, str(error), sent=False)
        effect = any(turn.said for turn in turns)
        line = await door.dial(Dial(request.url, request.headers), replace(envelope, timeout_s=limit_s, effect=effect))
        if isinstance(line, Trouble):
            return line
        frames = Frames(line, request.subprotocols)
        try:
            async with asyncio.timeout_at(over_s):
                await frames.shake_hands()
                early = await converse(frames, turns)
        except Ended as error:
            await line.aclose()
            return Trouble(Reason.BAD_ANSWER, door.redact(str(error)), timing=line.timing)
        except Exception as error:  # noqa: BLE001  whatever the other side did, the line knows what it means
            await line.aclose()
            return line.trouble(error)
        except BaseException:
            await line.aclose()
            raise
        return _WebsocketEar(masked(request.url), frames, door, hear, early)


KIND = WebsocketKind()


class _WebsocketEar:
    """`core.door.OpenEar` of one WebSocket."""

    def __init__(self, where: str, frames: Frames, door: Door, hear: Hear, early: Sequence[Message]) -> None:
        self._where, self._frames, self._door, self._hear = where, frames, door, hear
        self._task = asyncio.create_task(self._hear_on(early))

    @property
    def where(self) -> str:
        return self._where

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(Exception):  # it may be gone, or nothing may leave any more: it is let go of
            await self._frames.close()
        await self._frames.line.aclose()

    async def _hear_on(self, early: Sequence[Message]) -> None:
        for message in early:
            self._hear(message)
        try:
            await self._until_it_ends()
        except Ended as error:
            said = f"{self._door.redact(str(error))}; a websocket is a session, and is not opened again"
            self._hear(Gap(Reason.RESET, said))
        except Exception as error:  # noqa: BLE001  whatever the other side did, the line knows what it means
            trouble = self._frames.line.trouble(error)
            self._hear(Gap(trouble.reason, f"{trouble.detail}; a websocket is a session, and is not opened again"))

    async def _until_it_ends(self) -> None:
        asked = False
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    messages = await self._frames.read()
            except TimeoutError:
                if asked:
                    raise Ended(f"it did not answer a ping within {SILENCE_S:g} s") from None
                asked = True
                await self._frames.ping()
                continue
            asked = False
            for message in messages:
                self._hear(message)


def _url(text: str, make: Maker) -> UrlTemplate:
    parts = make.template(text, ("websocket",)).parts
    first = parts[0] if parts and isinstance(parts[0], str) else ""
    if not parts or (first and not first.startswith(("/", "?", "ws://", "wss://"))):
        fault = f"{text!r} is no address of a websocket."
        make.fault(("websocket",), "websocket-url", fault, "Write `wss://host/path`, or `/path` behind the base.")
    return url_template(parts)

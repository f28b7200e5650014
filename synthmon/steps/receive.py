"""`receive` hears the messages of this run on a connection of the settings, from before the first step on.

```yaml
journey: order-accepted
every: 5m
system: shop
steps:
  - id: order
    http: POST /orders
    json: {reference: "${run.namespace}"}
    leaves: "a test order, gone after 24h"
    expect:
      - status == 201
    save:
      id: body.id
  - id: accepted
    receive: bus
    subject: orders.accepted
    where: message.json.order == order.id
    within: 10s after order
    settle: 2s
    expect:
      - count == 1
      - message.json.reference == run.namespace
```

It binds a queue, subscription or reader of its own, and takes no message from anybody else. It listens as soon as
every value in its place is known: mostly before the first step, so that the first message cannot be missed. Without
`where`, a message is of this run if the run's id or namespace stands in one of its headers (trace context, baggage,
correlation id, …) or in its content. A message is judged by when it came, not by when the step was reached. The step
holds when every check does; it then stays for `settle` and judges again, so that a second message is a duplicate.
`count == 0` holds when the time is over and nothing came. Where a connection was lost meanwhile, nothing
is called lost. The message of a step that fails tells how many messages came that are not of this run.

Offers: `message.json` (missing if it is no valid JSON), `message.text`, `message.headers` (lower-case names),
`message.subject` of the first message of this run; `messages`, a list of all with the same parts; `count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from synthmon.core.door import Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Maker
from synthmon.core.messages import OFFERS, Message
from synthmon.core.places import Place, PlaceKeys, compile_place, shown
from synthmon.core.secrets import masked
from synthmon.steps.heard import Heard


class ReceiveKeys(PlaceKeys):
    """The keys of a `receive` step."""

    receive: str = Field(description="The connection: a name under `connections:` in the settings.")


@dataclass(frozen=True, slots=True)
class ReceiveRequest:
    """Where to listen, in the words of the broker."""

    connection: str
    at: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class ReceiveSpec(Heard):
    """A place to listen at, with values still to be filled in (`core.journey.Spec`)."""

    connection: str
    at: Place

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "receive"

    @property
    def refs(self) -> frozenset[str]:
        """The names that its place reads."""
        return frozenset().union(*(template.refs for _, template in self.at))

    def render(self, scope: Scope) -> ReceiveRequest:
        """The place with all values filled in. Raises `ExpressionError`."""
        return ReceiveRequest(self.connection, {word: template.render_text(scope) for word, template in self.at})

    def describe(self, request: ReceiveRequest, answer: Sequence[Message] | None) -> str:
        """`orders.accepted over bus → a message`."""
        asked = f"{masked(shown(request.at))} over {request.connection}"
        return f"{asked} → a message" if answer else asked


_MANUAL = __doc__


class ReceiveKind:
    """The kind of step that `receive:` chooses (`core.kinds.Listens`)."""

    word: str = "receive"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = ReceiveKeys
    offers: Mapping[str, str] = OFFERS
    via: Literal["connection"] = "connection"
    addressed: bool = False

    def compile(self, keys: ReceiveKeys, make: Maker) -> ReceiveSpec:
        """From checked keys to a spec; faults go to `make`."""
        found = make.connection(keys.receive, ("receive",))
        if found is None:
            return ReceiveSpec(keys.receive, ())
        _, kind = found
        if not kind.hears_at:
            fault = f"Nothing can be heard over `{keys.receive}`: it is {kind.word}."
            make.fault(("receive",), "cannot-do", fault, "Name a broker under `connections:`.")
            return ReceiveSpec(keys.receive, ())
        at = compile_place(keys, kind.hears_at, kind, make, ("receive",), heard=True)
        return ReceiveSpec(keys.receive, at)

    async def listen(self, request: ReceiveRequest, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Listen through the door."""
        return await door.listen(request.connection, request.at, hear, envelope)


KIND = ReceiveKind()

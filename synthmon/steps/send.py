"""`send` publishes one message over a connection of the settings.

```yaml
journey: order-event
every: 5m
steps:
  - id: publish
    send: bus
    subject: orders.placed
    json: {reference: "${run.namespace}", amount: 12}
    headers: {Content-Type: application/json}
    leaves: "an order event, ignored by the shop's test tenant"
  - id: seen
    receive: bus
    subject: orders.accepted
    within: 10s after publish
    expect:
      - message.json.reference == run.namespace
```

Where it goes is said in the words of the broker: `subject` (NATS), `exchange` and `key` or `queue` (AMQP), `topic` and
`key` (Kafka), `stream` or `channel` (Redis), `topic` (MQTT, SNS), `queue` (SQS), `bus`, `source` and `type`
(EventBridge). The connection needs `writes: true`. The step holds as soon as the broker has acknowledged the message.
It carries the run's trace context, baggage, correlation id and idempotency key among its headers (as attributes,
properties or fields, where the broker has no headers). Publishing is a write: it needs `undo:` or `leaves:`.

Offers no names: what came of the message is for later steps to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field

from synthmon.core.door import Door, Envelope, Published, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.headers import why_not
from synthmon.core.kinds import Maker
from synthmon.core.messages import Publication
from synthmon.core.payload import JsonPayload, Payload, TextPayload
from synthmon.core.places import Place, PlaceKeys, compile_place, shown
from synthmon.core.secrets import masked
from synthmon.core.templates import Tree
from synthmon.core.urls import pairs

EXCERPT_BYTES = 4096
Scalar = str | int | float | bool


class SendKeys(PlaceKeys):
    """The keys of a `send` step."""

    send: str = Field(description="The connection: a name under `connections:` in the settings.")
    json_body: Any = Field(None, alias="json", description="The content as JSON; `${…}` may stand in any value.")
    body: str | None = Field(None, description="The content as text.")
    headers: Mapping[str, Scalar] = Field({}, description="Headers (attributes, properties) of the message.")


@dataclass(frozen=True, slots=True)
class SendRequest:
    """One message and the connection that it leaves by; secrets in it are sealed."""

    connection: str
    publication: Publication


@dataclass(frozen=True, slots=True, eq=False)
class SendSpec:
    """A message with values still to be filled in (`core.journey.Spec`)."""

    connection: str
    to: Place
    payload: Payload | None
    headers: Tree | None
    typed: bool = False

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "send"

    @property
    def effect(self) -> bool:
        """Publishing is a write."""
        return True

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        parts = [template.refs for _, template in self.to] + [p.refs for p in (self.payload, self.headers) if p]
        return frozenset().union(*parts)

    def render(self, scope: Scope) -> SendRequest:
        """The message with all values filled in. Raises `ExpressionError`."""
        to = {word: template.render_text(scope) for word, template in self.to}
        headers = [] if self.headers is None else pairs(self.headers.render(scope))
        content = b""
        if self.payload is not None:
            content, kind = self.payload.render(scope)
            if not self.typed:
                headers.append(("Content-Type", kind))
        return SendRequest(self.connection, Publication(to, tuple(headers), content))

    def see(self, request: SendRequest, answer: Published) -> Mapping[str, Any]:
        """Nothing: the acknowledgement is all there is."""
        return {}

    def describe(self, request: SendRequest, answer: Published | None) -> str:
        """`send orders.placed over bus → acknowledged`."""
        asked = f"send {masked(shown(request.publication.to))} over {request.connection}"
        return asked if answer is None else f"{asked} → acknowledged"

    def complaint(self, request: SendRequest, answer: Published | None) -> str:
        """There is no answer that could lack a part."""
        return ""

    def excerpt(self, request: SendRequest, answer: Published | None) -> tuple[str, str]:
        """The message, cut, the handles of secrets masked."""
        publication = request.publication
        lines = [shown(publication.to), *(f"{name}: {value}" for name, value in publication.headers), ""]
        text = publication.content[:EXCERPT_BYTES].decode("utf-8", "replace")
        return masked("\n".join(lines) + "\n" + text), "" if answer is None else "acknowledged"


_MANUAL = __doc__


class SendKind:
    """The kind of step that `send:` chooses (`core.kinds.Performs`)."""

    word: str = "send"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = SendKeys
    offers: Mapping[str, str] = MappingProxyType({})
    via: Literal["connection"] = "connection"

    def compile(self, keys: SendKeys, make: Maker) -> SendSpec:
        """From checked keys to a spec; faults go to `make`."""
        found = make.connection(keys.send, ("send",))
        to: Place = ()
        if found is not None:
            connection, kind = found
            if not kind.sends_to:
                fault = f"Nothing can be sent over `{keys.send}`: it is {kind.word}."
                make.fault(("send",), "cannot-do", fault, "Name a broker under `connections:`.")
            elif not connection.writes:
                fault = f"The connection `{keys.send}` may only be listened to."
                remedy = "Set `writes: true` for it in the settings, if messages may be sent there."
                make.fault(("send",), "write-not-allowed", fault, remedy)
            else:
                to = compile_place(keys, kind.sends_to, kind, make, ("send",))
        if "json_body" in keys.model_fields_set and keys.body is not None:
            make.fault(("body",), "http-bodies", "A message has one content, not json and body.", "Keep one of them.")
        for name in keys.headers:
            if why := why_not(name):
                make.fault(("headers", name), "http-header", f"The header {name!r} {why}.", "Leave it out.")
        return SendSpec(
            connection=keys.send,
            to=to,
            payload=_payload(keys, make),
            headers=make.tree(dict(keys.headers), ("headers",)) if keys.headers else None,
            typed=any(name.lower() == "content-type" for name in keys.headers),
        )

    async def perform(self, request: SendRequest, door: Door, envelope: Envelope) -> Published | Trouble:
        """Send it through the door."""
        return await door.publish(request.connection, request.publication, envelope)


KIND = SendKind()


def _payload(keys: SendKeys, make: Maker) -> Payload | None:
    if "json_body" in keys.model_fields_set:
        return JsonPayload(make.tree(keys.json_body, ("json",)))
    return None if keys.body is None else TextPayload(make.template(keys.body, ("body",)))

"""`grpc` calls one gRPC method with a message written as JSON, and reads its answer as JSON.

```yaml
journey: stock
every: 5m
system: shop
steps:
  - id: tea
    grpc: shop.Stock/Get
    json: {sku: tea, amount: 2}
    metadata: {x-tenant: synthetic}
    reads: true
    expect:
      - status == "OK"
      - body.available == true
      - elapsed < duration("1s")
```

The method is asked for at the host and port of the system's base: `https://` means TLS. What it takes and gives is
asked of the server itself by reflection at every call; with `descriptor`, a file of `protoc --include_imports
--descriptor_set_out=stock.pb`, nothing is asked, and mistakes in the name are told when the probe is loaded.

A call is a write, as long as `reads: true` does not say that the method changes nothing: it needs a system with
`writes: true` (or `writes: ["POST /shop.Stock/Get"]`, which is how it travels), and `undo:` or `leaves:`. The run's
marks, and the headers of the session, go out as metadata. Of a method that answers with a stream the first message is
read, or as many as `first` says; then it is cancelled. Streams of requests cannot be sent.

JSON is proto3's own: names in lowerCamelCase (`unit_price` is `body.unitPrice`), 64-bit numbers are texts, enums are
names, bytes are base64; fields that were not set have their default value. A status other than OK is an answer like any
other, and `expect` judges it; that nobody answers fails the step by itself.

Offers: `status` (`OK`, `NOT_FOUND`, …), `details` (its words), `body` (the first message; missing if none came),
`messages` (all), `count`, `trailers` (lower-case names), `elapsed` (connecting and describing included), `phase.wait`
(the call alone).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.headers import why_not
from synthmon.core.kinds import Maker
from synthmon.core.outcomes import Reason
from synthmon.core.payload import revealed
from synthmon.core.secrets import SecretError, masked
from synthmon.core.templates import Tree
from synthmon.core.urls import pairs
from synthmon.steps.grpc_call import Call, GrpcAnswer, GrpcRequest
from synthmon.steps.grpc_methods import NoMethod, from_file

EXCERPT_LETTERS = 4096
Scalar = str | int | float | bool


class GrpcKeys(BaseModel):
    """The keys of a `grpc` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grpc: str = Field(description="The method: `package.Service/Method`.")
    json_body: Any = Field({}, alias="json", description="The request as JSON; `${…}` may stand in any value.")
    metadata: Mapping[str, Scalar] = Field({}, description="Metadata of the call: lower-case names.")
    descriptor: str | None = Field(None, description="A descriptor set of protoc beside the probe, not reflection.")
    reads: bool = Field(False, description="Whether the method changes nothing.")
    first: int = Field(1, description="How many messages of a stream are read.", ge=1, le=1000)


@dataclass(frozen=True, slots=True, eq=False)
class GrpcSpec:
    """A call with values still to be filled in (`core.journey.Spec`)."""

    service: str
    method: str
    value: Tree
    metadata: Tree
    descriptor: bytes
    reads: bool
    first: int

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "grpc"

    @property
    def effect(self) -> bool:
        """Whether it may change something."""
        return not self.reads

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        return self.value.refs | self.metadata.refs

    def render(self, scope: Scope) -> GrpcRequest:
        """With all values filled in. Raises `ExpressionError`."""
        metadata = tuple(pairs(self.metadata.render(scope)))
        return GrpcRequest(self.service, self.method, self.value.render(scope), metadata, self.descriptor, self.first)

    def see(self, request: GrpcRequest, answer: GrpcAnswer) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use."""
        seen: dict[str, Any] = {
            "status": answer.status,
            "details": answer.details,
            "messages": list(answer.messages),
            "count": len(answer.messages),
            "trailers": dict(answer.trailers),
            "elapsed": timedelta(milliseconds=answer.timing.total_ms),
            "phase.wait": timedelta(milliseconds=answer.timing.wait_ms),
        }
        if answer.messages:
            seen["body"] = answer.messages[0]
        return seen

    def describe(self, request: GrpcRequest, answer: GrpcAnswer | None) -> str:
        """`shop.Stock/Get → OK`."""
        asked = f"{request.service}/{request.method}"
        return asked if answer is None else f"{asked} → {answer.status}"

    def complaint(self, request: GrpcRequest, answer: GrpcAnswer | None) -> str:
        """What the status says, where no message came."""
        if answer is None or answer.messages:
            return ""
        return f"it answered {answer.status}: {answer.details}" if answer.details else f"it answered {answer.status}"

    def excerpt(self, request: GrpcRequest, answer: GrpcAnswer | None) -> tuple[str, str]:
        """The call and its answer as JSON, cut, secrets masked."""
        asked = f"{self.describe(request, None)}\n{_shown(request.value)}"
        if answer is None:
            return masked(asked), ""
        return masked(asked), masked("\n".join([f"{answer.status} {answer.details}", *map(_shown, answer.messages)]))


_MANUAL = __doc__


class GrpcKind:
    """The kind of step that `grpc:` chooses (`core.kinds.Performs`)."""

    word: str = "grpc"
    manual: str = _MANUAL
    extra: str = "grpc"
    library: str = "grpc_reflection"
    keys: type[BaseModel] = GrpcKeys
    via: Literal["system"] = "system"
    offers: Mapping[str, str] = MappingProxyType(
        {
            "status": "string",
            "details": "string",
            "body": "dyn",
            "messages": "list",
            "count": "int",
            "trailers": "text_map",
            "elapsed": "duration",
            "phase.wait": "duration",
        }
    )

    def compile(self, keys: GrpcKeys, make: Maker) -> GrpcSpec:
        """From checked keys to a spec; faults go to `make`."""
        found = _METHOD.fullmatch(keys.grpc)
        service, method = (found[1], found[2]) if found else ("", "")
        if not found:
            fault = f"{keys.grpc!r} is no method."
            make.fault(("grpc",), "grpc-method", fault, "Write `package.Service/Method`: `shop.Stock/Get`.")
        for name in keys.metadata:
            if why := _not_metadata(name):
                make.fault(("metadata", name), "http-header", f"The name {name!r} {why}.", "Choose another.")
        descriptor = make.read(keys.descriptor, ("descriptor",)) if keys.descriptor else b""
        if found and descriptor:
            try:
                from_file(descriptor, service, method)
            except NoMethod as error:
                fault = f"{keys.grpc} cannot be called: {error}."
                make.fault(("grpc",), "grpc-method", fault, "Correct the name, or make the file anew.")
            except ImportError:
                pass  # that the library is not there is said by itself
        value, metadata = make.tree(keys.json_body, ("json",)), make.tree(dict(keys.metadata), ("metadata",))
        return GrpcSpec(service, method, value, metadata, descriptor, keys.reads, keys.first)

    async def perform(self, request: GrpcRequest, door: Door, envelope: Envelope) -> GrpcAnswer | Trouble:
        """Call it at addresses that the door has found."""
        call = Call(door, envelope)
        try:
            value = revealed(request.value, door.reveal)
            metadata = [(name.lower(), door.reveal(text)) for name, text in request.headers]
        except SecretError as error:
            return Trouble(Reason.MISSING_SECRET, str(error), sent=False)
        found = await door.find(f"/{request.service}/{request.method}", envelope)
        if isinstance(found, Trouble):
            return found
        try:
            async with asyncio.timeout(call.left_s()):
                return await call.made(request, value, metadata, found)
        except TimeoutError:
            said = f"{found.host}:{found.port} did not answer within {envelope.timeout_s:.3g} s"
            return Trouble(Reason.TIMEOUT, said, call.sent, call.timing())


KIND = GrpcKind()


def _not_metadata(name: str) -> str:
    if name != name.lower():
        return "has capitals"
    if name.startswith("grpc-") or name.endswith("-bin"):
        return "belongs to gRPC itself"
    return why_not(name)


def _shown(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()[:EXCERPT_LETTERS]


_METHOD = re.compile(r"([A-Za-z_][\w.]*)/([A-Za-z_]\w*)")

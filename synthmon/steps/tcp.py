"""`tcp` connects to a port, with TLS if asked, and reads what it says: mail, databases, certificates of any port.

```yaml
journey: mail-relay
every: 5m
system: shop
steps:
  - id: relay
    tcp: shop.example.com:465
    tls: true
    until: "\\r\\n"
    expect:
      - text.startsWith("220 ")
      - tls.expires_in > days(14)
      - phase.connect < duration("500ms")
```

The place is `host:port`, where the system's `allow` has the host, or `:port` at the host of the system's base. It is
connected, then `say` goes out, then it is read until `until` has come; without `until`, until the other side closes or,
if nothing is to be sent either, not at all. What comes is read up to 64 KiB. `say` and `until` know `\\r`, `\\n` and
other escapes where YAML does: in double quotes.

A step with `say` is a write: it needs a system with `writes: true`, and `undo:` or `leaves:` (`leaves: nothing` for a
greeting that changes nothing). A certificate that is not to be trusted, or has expired, fails the step by itself. TLS
begins at once; STARTTLS is not spoken. TCP has no headers, and so what is sent bears no marks: put `${run.id}` into it
where the protocol has a place for it.

Offers: `text` (what came), `bytes`, `elapsed`, `phase.dns` `phase.connect` `phase.tls` (also `phase.wait` and
`phase.read` where something is read), and over TLS `tls.expires_in`, `tls.version` (`TLSv1.3`), `tls.subject` and
`tls.issuer` (`CN=shop.example.com`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Certificate, Dial, Door, Envelope, Line, Trouble
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.foreign import decode
from synthmon.core.kinds import Maker
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import SecretError, masked
from synthmon.core.templates import Template
from synthmon.core.timing import Timing

MOST_BYTES = 64 * 1024
EXCERPT_BYTES = 4096


class TcpKeys(BaseModel):
    """The keys of a `tcp` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tcp: str = Field(description="Where to: `host:port`, or `:port` at the host of the system's base.")
    tls: bool = Field(False, description="Whether TLS is spoken there, from the first byte on.")
    say: str | None = Field(None, description="A text that is sent once connected: a write.", min_length=1)
    until: str | None = Field(None, description="A text; once it has come, enough was read.", min_length=1)


@dataclass(frozen=True, slots=True)
class TcpRequest:
    """Where to, and what to say and to wait for; secrets are sealed."""

    place: str
    tls: bool
    say: str = field(default="", repr=False)
    until: str = ""


@dataclass(frozen=True, slots=True)
class TcpAnswer:
    """What came, and how the connection was."""

    content: bytes = field(repr=False)
    timing: Timing
    certificate: Certificate | None = None

    @property
    def said(self) -> Mapping[str, Any]:
        """What it told (`core.proof.contents.Telling`)."""
        return {"text": decode(self.content, "utf-8")} if self.content else {}

    def saying(self, said: Mapping[str, Any]) -> TcpAnswer:
        """The same connection, other words."""
        return replace(self, content=str(said.get("text", "")).encode())

    def broken(self) -> None:
        """There is no word for it in TCP: it refuses."""


@dataclass(frozen=True, slots=True, eq=False)
class TcpSpec:
    """A connection to be made, with values still to be filled in (`core.journey.Spec`)."""

    place: Template
    tls: bool
    say: Template | None = None
    until: Template | None = None

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "tcp"

    @property
    def effect(self) -> bool:
        """Whether something is sent."""
        return self.say is not None

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        return self.place.refs.union(*(text.refs for text in (self.say, self.until) if text))

    def render(self, scope: Scope) -> TcpRequest:
        """With all values filled in. Raises `ExpressionError`."""
        place = self.place.render_text(scope)
        if not PLACE.fullmatch(place):
            raise ExpressionError(masked(place), "is no host:port")
        say = self.say.render_text(scope) if self.say else ""
        return TcpRequest(place, self.tls, say, self.until.render_text(scope) if self.until else "")

    def see(self, request: TcpRequest, answer: TcpAnswer) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use."""
        timing, certificate = answer.timing, answer.certificate
        seen: dict[str, Any] = {
            "text": decode(answer.content, "utf-8"),
            "bytes": answer.content,
            "elapsed": timedelta(milliseconds=timing.total_ms),
            "phase.dns": timedelta(milliseconds=timing.dns_ms),
            "phase.connect": timedelta(milliseconds=timing.connect_ms),
            "phase.tls": timedelta(milliseconds=timing.tls_ms),
            "phase.wait": timedelta(milliseconds=timing.wait_ms),
            "phase.read": timedelta(milliseconds=timing.read_ms),
        }
        if certificate is not None:
            seen["tls.expires_in"] = timedelta(seconds=certificate.expires_in_s)
            seen["tls.version"] = certificate.version
            seen["tls.subject"] = certificate.subject
            seen["tls.issuer"] = certificate.issuer
        return seen

    def describe(self, request: TcpRequest, answer: TcpAnswer | None) -> str:
        """`TLS to mail.example.com:465 → 42 bytes`, secrets masked."""
        asked = f"{'TLS' if request.tls else 'TCP'} to {masked(request.place)}"
        if answer is None:
            return asked
        return f"{asked} → {len(answer.content)} bytes" if answer.content else f"{asked} → connected"

    def complaint(self, request: TcpRequest, answer: TcpAnswer | None) -> str:
        """Why there is nothing to be known of TLS."""
        return "TLS was not spoken: `tls: true` asks for it" if answer and answer.certificate is None else ""

    def excerpt(self, request: TcpRequest, answer: TcpAnswer | None) -> tuple[str, str]:
        """What was sent, and what came."""
        asked = f"{self.describe(request, None)}\n\n{masked(request.say[:EXCERPT_BYTES])}".rstrip()
        return asked, "" if answer is None else masked(decode(answer.content[:EXCERPT_BYTES], "utf-8"))


_MANUAL = __doc__


class TcpKind:
    """The kind of step that `tcp:` chooses (`core.kinds.Performs`)."""

    word: str = "tcp"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = TcpKeys
    via: Literal["system"] = "system"
    offers: Mapping[str, str] = MappingProxyType(
        {
            "text": "string",
            "bytes": "bytes",
            "elapsed": "duration",
            "phase.dns": "duration",
            "phase.connect": "duration",
            "phase.tls": "duration",
            "phase.wait": "duration",
            "phase.read": "duration",
            "tls.expires_in": "duration",
            "tls.version": "string",
            "tls.subject": "string",
            "tls.issuer": "string",
        }
    )

    def compile(self, keys: TcpKeys, make: Maker) -> TcpSpec:
        """From checked keys to a spec; faults go to `make`."""
        place = make.template(keys.tcp, ("tcp",))
        if place.constant and not PLACE.fullmatch(keys.tcp):
            fault = f"{keys.tcp!r} is not a host and a port."
            make.fault(("tcp",), "tcp-place", fault, "Write `shop.example.com:443`, or `:443` at the system's host.")
        say = make.template(keys.say, ("say",)) if keys.say else None
        return TcpSpec(place, keys.tls, say, make.template(keys.until, ("until",)) if keys.until else None)

    async def perform(self, request: TcpRequest, door: Door, envelope: Envelope) -> TcpAnswer | Trouble:
        """Connect through the door, say what is to be said, read what is to be read."""
        over_s = asyncio.get_running_loop().time() + envelope.timeout_s
        try:
            say, until = door.reveal(request.say).encode(), door.reveal(request.until).encode()
        except SecretError as error:
            return Trouble(Reason.MISSING_SECRET, str(error), sent=False)
        line = await door.dial(Dial(f"{'tls' if request.tls else 'tcp'}://{request.place}"), envelope)
        if isinstance(line, Trouble):
            return line
        try:
            async with asyncio.timeout_at(over_s):
                return await _talk(line, say, until)
        except Exception as error:  # noqa: BLE001  whatever the other side did, the line knows what it means
            return line.trouble(error)
        finally:
            await line.aclose()


KIND = TcpKind()

PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/:@?#\[\]]*):(\d{1,5})")


async def _talk(line: Line, say: bytes, until: bytes) -> TcpAnswer | Trouble:
    if say:
        await line.write(say)
    came = b""
    while (say or until) and not (until and until in came):
        data = await line.read()
        if not data:
            break
        came += data
        if len(came) > MOST_BYTES:
            said = f"it sent more than {MOST_BYTES >> 10} KiB, and `until` was not among it"
            return Trouble(Reason.TOO_LARGE, said, timing=line.timing)
    if until and until not in came:
        said = f"it closed the connection after {len(came)} bytes, and `until` was not among them"
        return Trouble(Reason.BAD_ANSWER if came else Reason.NO_ANSWER, said, timing=line.timing)
    return TcpAnswer(came, line.timing, line.certificate)

"""`dns` asks for the records of a name, of this machine's resolver or of a server that it names.

```yaml
journey: names
every: 5m
system: shop
steps:
  - id: mail
    dns: shop.example.com
    type: MX
    expect:
      - status == "NOERROR"
      - answers.exists(one, one.endsWith(" mail.example.com."))
      - ttl >= duration("1m")
  - id: gone
    dns: old.shop.example.com
    server: shop.example.com
    expect:
      - status == "NXDOMAIN"
```

Without `server` the resolvers of `/etc/resolv.conf` are asked, in turn: if none answers, that is our own fault, and the
run is unknown. A `server` (an address or a host, with `:port` if it is not 53) is one of the system, in its `allow`; if
it does not answer, the step fails. It is asked over UDP, again after a third of the time, and over TCP if the answer is
cut short. The name is taken as it stands, no search domain is added. DNS has no place for the run's marks.

Offers: `status` (`NOERROR`, `NXDOMAIN`, `SERVFAIL`, …), `answers` (the records of this type, sorted, as zone files
write them: `10 mail.example.com.`; a TXT is its bare text), `count`, `ttl` (the shortest of them; missing without an
answer), `elapsed`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.foreign import decode, disarm
from synthmon.core.kinds import Maker
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import masked
from synthmon.core.templates import Template
from synthmon.core.timing import Timing

if TYPE_CHECKING:
    from dns.message import Message

RESOLVERS = "/etc/resolv.conf"
PORT = 53
TRIES = 3

End = tuple[str, int]


class DnsKeys(BaseModel):
    """The keys of a `dns` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dns: str = Field(description="The name that is asked for.", min_length=1)
    type: Literal["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "NS", "SOA"] = Field("A", description="The type of record.")
    server: str | None = Field(None, description="Who is asked: an address or a host of the system, maybe with a port.")


@dataclass(frozen=True, slots=True)
class DnsRequest:
    """What is asked, and of whom; without `server`, of this machine's resolvers."""

    name: str
    type: str
    server: str = ""


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What was answered, whatever its status."""

    status: str
    answers: tuple[str, ...]
    ttl_s: int
    timing: Timing

    @property
    def said(self) -> Mapping[str, Any]:
        """What it told (`core.proof.contents.Telling`)."""
        return {"answers": [*self.answers]} if self.answers else {}

    def saying(self, said: Mapping[str, Any]) -> DnsAnswer:
        """The same question, other records."""
        return replace(self, answers=tuple(sorted(map(str, said.get("answers", ())))))

    def broken(self) -> DnsAnswer:
        """What a server says that cannot find out."""
        return replace(self, status="SERVFAIL", answers=(), ttl_s=0)


@dataclass(frozen=True, slots=True, eq=False)
class DnsSpec:
    """A question with values still to be filled in (`core.journey.Spec`)."""

    name: Template
    type: str
    server: Template | None = None

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "dns"

    @property
    def effect(self) -> bool:
        """It changes nothing."""
        return False

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        return self.name.refs | (self.server.refs if self.server else frozenset())

    def render(self, scope: Scope) -> DnsRequest:
        """With all values filled in. Raises `ExpressionError`."""
        return DnsRequest(
            self.name.render_text(scope), self.type, self.server.render_text(scope) if self.server else ""
        )

    def see(self, request: DnsRequest, answer: DnsAnswer) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use."""
        seen: dict[str, Any] = {
            "status": answer.status,
            "answers": list(answer.answers),
            "count": len(answer.answers),
            "elapsed": timedelta(milliseconds=answer.timing.total_ms),
        }
        if answer.answers:
            seen["ttl"] = timedelta(seconds=answer.ttl_s)
        return seen

    def describe(self, request: DnsRequest, answer: DnsAnswer | None) -> str:
        """`MX shop.example.com → NOERROR, 2 records`."""
        asked = f"{request.type} {masked(request.name)}" + (f" at {masked(request.server)}" if request.server else "")
        return asked if answer is None else f"{asked} → {answer.status}, {len(answer.answers)} records"

    def complaint(self, request: DnsRequest, answer: DnsAnswer | None) -> str:
        """Why there is no `ttl`."""
        return "" if answer is None or answer.answers else f"it answered {answer.status} and no record of this type"

    def excerpt(self, request: DnsRequest, answer: DnsAnswer | None) -> tuple[str, str]:
        """The question, and the records."""
        return self.describe(request, None), "" if answer is None else "\n".join([answer.status, *answer.answers])


_MANUAL = __doc__


class DnsKind:
    """The kind of step that `dns:` chooses (`core.kinds.Performs`)."""

    word: str = "dns"
    manual: str = _MANUAL
    extra: str = "dns"
    library: str = "dns.asyncquery"
    keys: type[BaseModel] = DnsKeys
    via: Literal["system"] = "system"
    offers: Mapping[str, str] = MappingProxyType(
        {"status": "string", "answers": "list", "count": "int", "ttl": "duration", "elapsed": "duration"}
    )

    def compile(self, keys: DnsKeys, make: Maker) -> DnsSpec:
        """From checked keys to a spec; faults go to `make`."""
        name = make.template(keys.dns, ("dns",))
        if name.constant and not _NAME.fullmatch(keys.dns):
            make.fault(("dns",), "dns-name", f"{keys.dns!r} is no name.", "Write `shop.example.com`, without a scheme.")
        server = make.template(keys.server, ("server",)) if keys.server else None
        if server and keys.server and server.constant and _end(keys.server) is None:
            fault = f"{keys.server!r} is no server."
            make.fault(
                ("server",), "dns-name", fault, "Write an address or a host: `192.0.2.53`, `[2001:db8::53]:5353`."
            )
        return DnsSpec(name, keys.type, server)

    async def perform(self, request: DnsRequest, door: Door, envelope: Envelope) -> DnsAnswer | Trouble:
        """Ask, the servers that the door has found or this machine's own."""
        from dns.exception import DNSException
        from dns.message import make_query

        began_ns = time.monotonic_ns()
        try:
            query = make_query(request.name.rstrip(".") + ".", request.type, use_edns=0, payload=1232)
        except (DNSException, UnicodeError) as error:
            said = f"{masked(request.name)} cannot be asked for: {error}"
            return Trouble(Reason.EXPRESSION, door.redact(said), sent=False)
        ends = await _ends(request, door, envelope)
        if isinstance(ends, Trouble):
            return ends
        try:
            async with asyncio.timeout(envelope.timeout_s - (time.monotonic_ns() - began_ns) / 1e9):
                answer = await _asked(query, ends, envelope.timeout_s / TRIES)
        except (DNSException, OSError, TimeoutError) as error:
            return _trouble(error, request, ends, envelope, _timing(began_ns))
        return _read(answer, query, _timing(began_ns))


KIND = DnsKind()


async def _ends(request: DnsRequest, door: Door, envelope: Envelope) -> list[End] | Trouble:
    """Who is asked: numeric addresses and ports."""
    if not request.server:
        from dns.exception import DNSException
        from dns.resolver import Resolver

        try:
            return [(str(server), PORT) for server in Resolver(RESOLVERS).nameservers]
        except (DNSException, OSError) as error:
            return Trouble(Reason.RESOLVER, f"{RESOLVERS} names no resolver that can be asked: {error}", sent=False)
    end = _end(request.server)
    if end is None:
        return Trouble(Reason.EXPRESSION, f"{masked(request.server)!r} is no address of a server", sent=False)
    found = await door.pinned(*end, envelope)
    return found if isinstance(found, Trouble) else [(host, end[1]) for host in found]


async def _asked(query: Message, ends: Sequence[End], patience_s: float) -> Message:
    """The first answer; a packet may be lost, and so each is asked more than once. Raises the last failure."""
    from dns.asyncquery import udp_with_fallback
    from dns.exception import DNSException

    failure: Exception = TimeoutError()
    for _ in range(TRIES):
        for host, port in ends:
            try:
                answer, _ = await udp_with_fallback(query, host, timeout=patience_s, port=port, ignore_unexpected=True)
                return answer
            except (DNSException, OSError, EOFError) as error:
                failure = error if isinstance(error, DNSException | OSError) else ConnectionResetError(str(error))
    raise failure


def _read(answer: Message, query: Message, timing: Timing) -> DnsAnswer:
    """The records of the type that was asked for; those that lead there (CNAME) are passed over."""
    from dns.rcode import to_text

    wanted = query.question[0].rdtype
    found = [rrset for rrset in answer.answer if rrset.rdtype == wanted]
    texts = sorted(disarm(_text(record)) for rrset in found for record in rrset)
    return DnsAnswer(to_text(answer.rcode()), tuple(texts), min((rrset.ttl for rrset in found), default=0), timing)


def _text(record: Any) -> str:
    """As zone files write it; the parts of a TXT as the one text that they mean (RFC 7208 3.3)."""
    strings = getattr(record, "strings", None)
    return decode(b"".join(strings), "utf-8") if strings is not None else str(record.to_text())


def _trouble(error: Exception, request: DnsRequest, ends: Sequence[End], envelope: Envelope, timing: Timing) -> Trouble:
    from dns.exception import Timeout

    whom = request.server or ", ".join(host for host, _ in ends)
    if isinstance(error, TimeoutError | Timeout):
        reason, said = Reason.TIMEOUT, f"{whom} did not answer within {envelope.timeout_s:.3g} s"
    elif isinstance(error, ConnectionRefusedError):
        reason, said = Reason.REFUSED, f"{whom} refused: no server of names listens there"
    elif isinstance(error, ConnectionError):
        reason, said = Reason.RESET, f"{whom} broke the connection off"
    elif isinstance(error, OSError):
        reason, said = Reason.UNREACHABLE, f"{whom} cannot be reached: {error}"
    else:
        reason, said = Reason.BAD_ANSWER, f"{whom} sent something that is no answer: {error or type(error).__name__}"
    if not request.server:
        reason, said = Reason.RESOLVER, f"our own resolver gave no answer: {said}"
    return Trouble(reason, said, timing=timing)


def _timing(began_ns: int) -> Timing:
    total_ms = (time.monotonic_ns() - began_ns) / 1e6
    return Timing(wait_ms=total_ms, total_ms=total_ms, sent_at_s=began_ns / 1e9)


def _end(text: str) -> End | None:
    """Host and port of a server; an IPv6 address bare, or in brackets with its port."""
    if re.fullmatch(r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f.]*", text):
        return text, PORT
    found = _SERVER.fullmatch(text)
    return (found[1] or found[2], int(found[3] or PORT)) if found else None


_NAME = re.compile(r"[^\s/:@?#]+")
_SERVER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:@?#\[\]]+))(?::(\d{1,5}))?")

"""`mail` waits for a mail of this run in a mailbox of the settings.

```yaml
journey: welcome-mail
every: 5m
system: shop
identity: shopper
steps:
  - id: sign_up
    http: POST /customers
    json: {name: "${identity.name}", email: "${identity.email}"}
    leaves: "a test customer, gone after 24h"
    expect:
      - status == 201
  - id: welcome
    mail: inbox
    within: 60s after sign_up
    settle: 5s
    expect:
      - count == 1
      - message.subject == "Welcome"
      - message.from == "shop@example.com"
    save:
      link: find(message.text, "https://\\\\S+")
```

The mail is one to `identity.email`, or to `to:`; the address stands in `To`, `Cc`, `Delivered-To`, `X-Original-To` or
`Envelope-To`, in small or capital letters. It is compared as a whole: `probe+a@example.com` is not `probe@example.com`,
so that one mailbox serves many runs by addresses with a `+`, or as the one mailbox of a whole domain. An address that
is the same in every run needs `where`, which says whose mail it is. Only mails count that arrive after the run began to
listen, before its first step. None is marked as read, moved or deleted. A mail counts from when the server told of it
(without IDLE up to a second later); one in a mailbox that was out of reach is read afterwards. Of a mail 1 MiB is read.

Offers, of the first mail: `message.subject`, `message.text` (the plain text, or else that of the HTML), `message.html`
(missing without one; `css(message.html, "h1")` reads a text in it, `find(message.html, 'href="(https[^"]+)"')` a
link), `message.headers` (lower-case names), `message.from` (an address), `message.to` (a list of them),
`message.attachments` (a list of `{name, type, size}`), `message.json` (a text that is JSON); `messages`, a list of all
with the same parts; `count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Maker
from synthmon.core.messages import OFFERS, Message, complaint
from synthmon.core.secrets import masked
from synthmon.core.templates import Template
from synthmon.steps.heard import Heard


class MailKeys(BaseModel):
    """The keys of a `mail` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mail: str = Field(description="The mailbox: a name under `connections:` in the settings.")
    to: str | None = Field(None, description="The address that the mail is for. Default: `${identity.email}`.")


@dataclass(frozen=True, slots=True)
class MailRequest:
    """The mailbox, and the address that the mail is for."""

    connection: str
    to: str


@dataclass(frozen=True, slots=True, eq=False)
class MailSpec(Heard):
    """A mail to be waited for, its address still to be filled in (`core.journey.Spec`)."""

    connection: str
    to: Template

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "mail"

    @property
    def refs(self) -> frozenset[str]:
        """The names that the address reads."""
        return self.to.refs

    def render(self, scope: Scope) -> MailRequest:
        """With the address filled in. Raises `ExpressionError`."""
        return MailRequest(self.connection, self.to.render_text(scope))

    def describe(self, request: MailRequest, answer: Sequence[Message] | None) -> str:
        """`mail to probe@example.com in inbox → a mail`."""
        asked = f"mail to {masked(request.to)} in {request.connection}"
        return f"{asked} → a mail" if answer else asked

    def complaint(self, request: MailRequest, answer: Sequence[Message] | None) -> str:
        """What is wrong with a mail that lacks a part which checks read."""
        said = complaint(answer or ())
        return said and ("no mail of this run came" if not answer else "the text of the mail is not JSON")


_MANUAL = __doc__


class MailKind:
    """The kind of step that `mail:` chooses (`core.kinds.Listens`)."""

    word: str = "mail"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = MailKeys
    offers: Mapping[str, str] = MappingProxyType(
        {
            **OFFERS,
            "message.html": "string",
            "message.from": "string",
            "message.to": "list",
            "message.attachments": "list",
        }
    )
    via: Literal["connection"] = "connection"
    addressed: bool = True

    def compile(self, keys: MailKeys, make: Maker) -> MailSpec:
        """From checked keys to a spec; faults go to `make`."""
        found = make.connection(keys.mail, ("mail",))
        if found is not None and found[1].word != "imap":
            fault = f"`{keys.mail}` is no mailbox: it is {found[1].word}."
            make.fault(("mail",), "cannot-do", fault, "Name one with `imap:` under `connections:`.")
        told = "${identity.email}" if keys.to is None else keys.to
        to = make.template(told, ("mail",) if keys.to is None else ("to",))
        if keys.to is not None and "${" not in keys.to and getattr(keys, "where", None) is None:
            fault = f"Mails to {keys.to} may be anybody's: the address is the same in every run."
            make.fault(("to",), "shared-address", fault, "Add `where:` with what only this run's mail says.")
        return MailSpec(keys.mail, to)

    async def listen(self, request: MailRequest, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Listen through the door."""
        return await door.listen(request.connection, {"to": request.to}, hear, envelope)


KIND = MailKind()

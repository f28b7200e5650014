"""`hook` awaits calls of the system under test on an address of its own, which nobody can guess.

```yaml
journey: payment-callback
every: 5m
system: shop
steps:
  - id: pay
    http: POST /payments
    json: {amount: "12.50", callback: "${hook.paid.url}"}
    leaves: "a test payment, gone after 24h"
    expect:
      - status == 202
  - id: paid
    hook: POST
    reply: {status: 202, json: {received: true}}
    within: 15s after pay
    settle: 2s
    expect:
      - count == 1
      - message.json.status == "paid"
```

The address is `hook.<step>.url`: it is open before the first step, and can be used everywhere, in `vars` and in steps
before this one too. In a called file the step's own file calls it `hook.<step>.url`, the journey
`hook.<call>.<step>.url`. What comes there is the run's, without `where`; the address is gone once the step is over. The
settings need `hooks:`, whose `url` is what the system under test can reach; `synthmon run` listens there for the time
of its runs, so it cannot where a daemon on the same machine does. If nothing listens, the run is unknown, not failed.

Only the named method is taken (405 else), at most 1 MiB (413 else), also on a path below the address. `reply` is what
the caller gets (200 without it); of a list, the first call gets the first, and the last is repeated: for a system that
has to try again. It may read what there is before the first step. With `hmac`, a secret, calls must be signed as
Standard Webhooks say (`webhook-id`, `webhook-timestamp`, `webhook-signature`); one that is not, that is older than five
minutes, or that comes again with an id that was answered well, is refused (401, 409) and not heard. Calls are judged by
when they came, not by when the step was reached. The message of a step that fails tells which calls were refused
meanwhile, why and when.

Offers, of the first call: `message.json` (missing if it is no valid JSON), `message.text`, `message.headers`
(lower-case names), `message.subject` (the path below the address, and the query: `/done?id=7`); `messages`, a list of
all with the same parts; `count`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.door import Door, Envelope, Hear, OpenEar, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.headers import why_not
from synthmon.core.inbound import Hook, Reply
from synthmon.core.kinds import Maker, Path
from synthmon.core.messages import OFFERS, Message
from synthmon.core.outcomes import Reason
from synthmon.core.payload import JsonPayload, Payload, TextPayload
from synthmon.core.secrets import SecretError
from synthmon.core.signatures import read_key
from synthmon.core.templates import Template, Tree
from synthmon.core.transact.listen import MOST_MESSAGES
from synthmon.core.urls import pairs
from synthmon.steps.heard import Heard

METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
EXPIRES_S = 86400.0  # it is closed with its run; this is for a run that nobody closes

_CLOSED = ConfigDict(frozen=True, extra="forbid")
_KNOWN = ("run.", "identity.", "case.", "secret.", "vars.")  # before the first step
Scalar = str | int | float | bool


class ReplyKeys(BaseModel):
    """What a caller is answered."""

    model_config = _CLOSED

    status: int = Field(200, description="The status: 200 to 599.", ge=200, le=599)
    headers: Mapping[str, Scalar] = Field({}, description="Headers of the answer.")
    json_body: Any = Field(None, alias="json", description="The body as JSON; `${…}` may stand in any value.")
    body: str | None = Field(None, description="The body as text.")


class HookKeys(BaseModel):
    """The keys of a `hook` step."""

    model_config = _CLOSED

    hook: str = Field(description="The method that is awaited: `POST`.")
    reply: ReplyKeys | list[ReplyKeys] | None = Field(
        None, description="What callers are answered; a list is for successive calls, its last is repeated."
    )
    hmac: str | None = Field(
        None, description="The key that calls are signed with as Standard Webhooks say: `${secret.webhook_key}`."
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply with all values filled in; secrets in it are sealed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class HookRequest:
    """What is awaited; the key is sealed."""

    method: str
    key: str = field(default="", repr=False)
    replies: tuple[Answer, ...] = (Answer(200, (), b""),)


@dataclass(frozen=True, slots=True, eq=False)
class AnswerSpec:
    """A reply with values still to be filled in."""

    status: int
    headers: Tree | None
    payload: Payload | None
    typed: bool

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset().union(*(part.refs for part in (self.headers, self.payload) if part is not None))

    def render(self, scope: Scope) -> Answer:
        """With all values filled in. Raises `ExpressionError`."""
        headers = [] if self.headers is None else pairs(self.headers.render(scope))
        if self.payload is None:
            return Answer(self.status, tuple(headers), b"")
        content, kind = self.payload.render(scope)
        if not self.typed:
            headers.append(("content-type", kind))
        return Answer(self.status, tuple(headers), content)


@dataclass(frozen=True, slots=True, eq=False)
class HookSpec(Heard):
    """An address to be opened, and how its callers are answered (`core.journey.Spec`)."""

    method: str
    key: Template | None = None
    replies: tuple[AnswerSpec, ...] = ()

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "hook"

    @property
    def refs(self) -> frozenset[str]:
        """The names that the replies and the key read."""
        parts = [reply.refs for reply in self.replies]
        return frozenset().union(*parts, self.key.refs if self.key else ())

    def render(self, scope: Scope) -> HookRequest:
        """With all values filled in. Raises `ExpressionError`."""
        key = self.key.render_text(scope) if self.key else ""
        replies = tuple(reply.render(scope) for reply in self.replies)
        return HookRequest(self.method, key, replies) if replies else HookRequest(self.method, key)

    def describe(self, request: HookRequest, answer: Sequence[Message] | None) -> str:
        """`POST on the hook → a call`."""
        asked = f"{request.method} on the hook"
        return f"{asked} → a call" if answer else asked


_MANUAL = __doc__


class HookKind:
    """The kind of step that `hook:` chooses (`core.kinds.Listens`)."""

    word: str = "hook"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = HookKeys
    offers: Mapping[str, str] = OFFERS
    via: Literal["nothing"] = "nothing"
    addressed: bool = True

    def compile(self, keys: HookKeys, make: Maker) -> HookSpec:
        """From checked keys to a spec; faults go to `make`."""
        if keys.hook not in METHODS:
            fault, remedy = f"{keys.hook!r} is no method that can be awaited.", f"Write one of {', '.join(METHODS)}."
            make.fault(("hook",), "hook-method", fault, remedy)
        if make.settings is None or make.settings.hooks is None:
            fault = "Nothing listens for calls: the settings have no `hooks`."
            remedy = "Add `hooks: {listen: 127.0.0.1:9881, url: https://hooks.example.com}` to synthmon.yaml."
            make.fault(("hook",), "no-hooks", fault, remedy)
        replies: list[AnswerSpec] = []
        if isinstance(keys.reply, list):
            replies = [_answer(one, ("reply", i), make) for i, one in enumerate(keys.reply)]
        elif keys.reply is not None:
            replies = [_answer(keys.reply, ("reply",), make)]
        return HookSpec(keys.hook, _key(keys.hmac, make), tuple(replies))

    async def listen(self, request: HookRequest, door: Door, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        """Open the address through the door."""
        try:
            key = read_key(door.reveal(request.key)) if request.key else b""
            replies = [
                Reply(one.status, {name: door.reveal(text) for name, text in one.headers}, one.body)
                for one in request.replies
            ]
        except SecretError as error:
            return Trouble(Reason.MISSING_SECRET, str(error), sent=False)
        except ValueError as error:
            return Trouble(Reason.EXPRESSION, f"the hook cannot be opened: {error}", sent=False)
        hook = Hook(request.method, key, replies, EXPIRES_S, MOST_MESSAGES + 1)  # the ear tells of one too many
        return await door.hook(hook, hear, envelope)


KIND = HookKind()


def _answer(keys: ReplyKeys, path: Path, make: Maker) -> AnswerSpec:
    payload: Payload | None = None
    if "json_body" in keys.model_fields_set and keys.body is not None:
        make.fault((*path, "body"), "http-bodies", "An answer has one body, not json and body.", "Keep one of them.")
    elif "json_body" in keys.model_fields_set:
        payload = JsonPayload(make.tree(keys.json_body, (*path, "json")))
    elif keys.body is not None:
        payload = TextPayload(make.template(keys.body, (*path, "body")))
    if payload is not None and keys.status in (204, 205, 304):
        fault = f"An answer {keys.status} has no body."
        make.fault((*path, "status"), "hook-reply", fault, "Leave the body out, or write 200.")
    for name in keys.headers:
        if why := why_not(name):
            make.fault((*path, "headers", name), "http-header", f"The header {name!r} {why}.", "Leave it out.")
    headers = make.tree(dict(keys.headers), (*path, "headers")) if keys.headers else None
    made = AnswerSpec(keys.status, headers, payload, any(name.lower() == "content-type" for name in keys.headers))
    _check_early(made.refs, path, make)
    return made


def _key(text: str | None, make: Maker) -> Template | None:
    if text is None:
        return None
    made = make.template(text, ("hmac",))
    if not any(name.startswith("secret.") for name in made.refs):
        fault = "The key is written into the journey."
        make.fault(("hmac",), "hook-key", fault, 'Name a secret of the settings: `hmac: "${secret.webhook_key}"`.')
    _check_early(made.refs, ("hmac",), make)
    return made


def _check_early(refs: frozenset[str], path: Path, make: Maker) -> None:
    """The address is open before the first step, and so must be known what its callers are answered."""
    for name in sorted(name for name in refs if not name.startswith(_KNOWN)):
        fault = f"`{name}` has no value yet when the address is opened, before the first step."
        make.fault(path, "no-value-yet", fault, "Use what is known then: run, identity, case, secret and vars.")

"""`browser` opens a page in Chromium, does things on it as a person would, and reads what it shows.

```yaml
journey: checkout-page
every: 10m
deadline: 60s
system: shop
steps:
  - id: pay
    browser: /checkout
    timeout: 20s
    do:
      - fill: {"#email": "probe@synthetic.example.com", "#reference": "${run.namespace}"}
      - select: {"#country": SE}
      - click: 'role=button[name="Pay"]'
      - wait: "#receipt"
      - wait: {url: /orders/*}
    read:
      total: "#receipt .total"
    count:
      items: "#receipt li"
    writes: true
    leaves: "a test order, gone after 24h"
    expect:
      - status == 200
      - read.total == "12.50 EUR"
      - count.items == 1
      - size(console) == 0
      - paint.largest < duration("2500ms")
```

The page is opened at the URL, behind the system's base if it is not absolute, and waited for until it is loaded; then
`do` is gone through in order: `goto: url`, `click: selector`, `fill: {selector: text}`, `select: {selector: option}`,
`press: Enter` or `{selector: key}`, `wait: selector` until it is visible, `wait: {url: /orders/*}`. A selector is CSS,
`text=Pay`, or `role=button[name="Pay"]` (Playwright's); the first element that fits is meant. An action waits until it
can be done; what cannot be done within `timeout` fails the step as `timeout` and says what it waited for. Each step
opens a page of its own; cookies and what the page stored last for the run.

Whatever the page loads passes through a proxy of our own on this machine, with the rules of every other request: only
to hosts in `allow`, certificates verified by `tls` of the system, the run's marks on each request (Idempotency-Key
apart), GET, HEAD and OPTIONS alone. `writes: true` lets the page send anything else, and open WebSockets, at a system
that allows it; the step then needs `undo:` or `leaves:`. What was refused makes the step unknown (`egress_blocked`) and
is named: put the host into `allow`, or into `without:` if the page need not have it (`*.stats.example.com`, or with a
path `shop.example.com/collect*`). Headers of a session go to the origin of the page alone. One visit counts once
against `rate`. HTTP/1.1 is spoken, downloads and service workers are refused, and at most two pages are open at once;
waiting for a place, and the start of the browser, is in no latency.

Of a step that failed a picture is kept beside the store (`screenshot: failure`; or `always`, `never`): what was filled
in from a secret is covered, and a page on which a secret can be read gets none. It needs
`pip install 'synthmon[browser]'` and an installed Chromium, on the PATH or named by `SYNTHMON_CHROMIUM`. Root, and
a machine without user namespaces (`SYNTHMON_CHROMIUM_SANDBOX=off`), runs it without its sandbox: visit only pages that
you trust then.

Offers: `status` (of the last document), `url`, `title`, `text` (what is visible), `read.<name>` (text or value of the
first element, missing if there is none), `count.<name>`, `console` (errors), `requests`, `failed` (no answer, or one
from 400 on), `elapsed`, `phase.dns` `phase.connect` `phase.tls` `phase.wait` (of the first document), `phase.load`,
`paint.first` and `paint.largest` (missing if the page told none).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.browsing import PROGRAM_AT, PROGRAMS, Picture, Visit, Visited
from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.expressions import Scope
from synthmon.core.kinds import Maker
from synthmon.core.secrets import masked
from synthmon.core.templates import Template
from synthmon.core.urls import UrlTemplate, url_template
from synthmon.steps.browser_actions import ActionKeys, ActionSpec, compile_action

EXCERPT_LETTERS = 4096
_CLOSED = ConfigDict(frozen=True, extra="forbid")


class BrowserKeys(BaseModel):
    """The keys of a `browser` step."""

    model_config = _CLOSED

    browser: str = Field(description="Where the page is: a URL, or a path behind the system's base.")
    do: list[ActionKeys] = Field([], description="What is done on it, in order.")
    read: Mapping[str, str] = Field({}, description="Name → selector of what is read at the end: `read.<name>`.")
    count: Mapping[str, str] = Field({}, description="Name → selector of what is counted then: `count.<name>`.")
    writes: bool = Field(False, description="Whether the page may send more than GET, HEAD and OPTIONS.")
    without: list[str] = Field([], description="Hosts that the page asks for and need not have.")
    screenshot: Literal["failure", "always", "never"] = Field(
        "failure", description="When a picture of the page is kept."
    )


@dataclass(frozen=True, slots=True, eq=False)
class BrowserSpec:
    """A visit with values still to be filled in (`core.journey.Spec`)."""

    url: UrlTemplate
    actions: tuple[ActionSpec, ...]
    read: tuple[tuple[str, Template], ...]
    count: tuple[tuple[str, Template], ...]
    writes: bool
    without: tuple[str, ...]
    picture: Picture

    @property
    def kind(self) -> str:
        """The word that chose it."""
        return "browser"

    @property
    def effect(self) -> bool:
        """Whether the page may change something."""
        return self.writes

    @property
    def refs(self) -> frozenset[str]:
        """The names that its texts read."""
        looks = (text.refs for _, text in (*self.read, *self.count))
        return self.url.refs.union(*(action.refs for action in self.actions), *looks)

    def render(self, scope: Scope) -> Visit:
        """With all values filled in. Raises `ExpressionError`."""
        return Visit(
            self.url.render(scope),
            tuple(action.render(scope) for action in self.actions),
            writes=self.writes,
            without=self.without,
            read=tuple((name, text.render_text(scope)) for name, text in self.read),
            count=tuple((name, text.render_text(scope)) for name, text in self.count),
            picture=self.picture,
        )

    def see(self, request: Visit, answer: Visited) -> Mapping[str, Any]:
        """The names that `expect` and `save` may use."""
        timing = answer.timing
        took_ms = {
            "elapsed": timing.total_ms,
            "phase.dns": timing.dns_ms,
            "phase.connect": timing.connect_ms,
            "phase.tls": timing.tls_ms,
            "phase.wait": timing.wait_ms,
            "phase.load": answer.load_ms,
            "paint.first": answer.first_paint_ms,
            "paint.largest": answer.largest_paint_ms,
        }
        return {
            "status": answer.status,
            "url": answer.url,
            "title": answer.title,
            "text": answer.text,
            "read": dict(answer.read),
            "count": dict(answer.count),
            "console": list(answer.console),
            "requests": answer.requests,
            "failed": answer.failed,
            **{name: timedelta(milliseconds=ms) for name, ms in took_ms.items() if ms is not None},
        }

    def describe(self, request: Visit, answer: Visited | None) -> str:
        """`/checkout in a browser, 5 actions → 200`, secrets masked."""
        many = len(request.actions)
        asked = f"{masked(request.url)} in a browser"
        asked += f", {many} action{'s' if many > 1 else ''}" if many else ""
        return asked if answer is None else f"{asked} → {answer.status}"

    def complaint(self, request: Visit, answer: Visited | None) -> str:
        """Which selectors matched nothing."""
        missing = [selector for name, selector in request.read if answer is not None and name not in answer.read]
        return f"nothing on the page fits {', '.join(missing)}" if missing else ""

    def excerpt(self, request: Visit, answer: Visited | None) -> tuple[str, str]:
        """What was done, and what the page showed, cut, secrets masked."""
        asked = masked("\n".join([f"browser {request.url}", *(f"- {action}" for action in request.actions)]))
        if answer is None:
            return asked, ""
        lines = [f"{answer.status} {answer.url}", answer.title, *(f"console: {one}" for one in answer.console), ""]
        return asked, masked("\n".join(lines) + "\n" + answer.text[:EXCERPT_LETTERS])


_MANUAL = __doc__


class BrowserKind:
    """The kind of step that `browser:` chooses (`core.kinds.Performs`)."""

    word: str = "browser"
    manual: str = _MANUAL
    extra: str = "browser"
    library: str = "playwright"
    programs: tuple[str, ...] = PROGRAMS
    program_at: str = PROGRAM_AT
    keys: type[BaseModel] = BrowserKeys
    via: Literal["system"] = "system"
    roams: bool = True
    offers: Mapping[str, str] = MappingProxyType(
        {
            "status": "int",
            "url": "string",
            "title": "string",
            "text": "string",
            "read": "text_map",
            "count": "dyn",
            "console": "list",
            "requests": "int",
            "failed": "int",
            "elapsed": "duration",
            "phase.dns": "duration",
            "phase.connect": "duration",
            "phase.tls": "duration",
            "phase.wait": "duration",
            "phase.load": "duration",
            "paint.first": "duration",
            "paint.largest": "duration",
        }
    )

    def compile(self, keys: BrowserKeys, make: Maker) -> BrowserSpec:
        """From checked keys to a spec; faults go to `make`."""
        actions = [action for i, one in enumerate(keys.do) for action in compile_action(one, i, make)]
        for i, host in enumerate(keys.without):
            if "://" in host or not host:
                fault = f"{host!r} is no host."
                make.fault(("without", i), "browser-without", fault, "Write `stats.example.com`, or a path behind it.")
        return BrowserSpec(
            url=_url(keys.browser, make),
            actions=tuple(actions),
            read=tuple((name, make.template(text, ("read", name))) for name, text in keys.read.items()),
            count=tuple((name, make.template(text, ("count", name))) for name, text in keys.count.items()),
            writes=keys.writes,
            without=tuple(keys.without),
            picture=Picture(keys.screenshot),
        )

    async def perform(self, request: Visit, door: Door, envelope: Envelope) -> Visited | Trouble:
        """Visit it through the door."""
        return await door.visit(request, envelope)


KIND = BrowserKind()


def _url(text: str, make: Maker) -> UrlTemplate:
    parts = make.template(text, ("browser",)).parts
    first = parts[0] if parts and isinstance(parts[0], str) else ""
    if not parts or (first and not first.startswith(("/", "?", "http://", "https://"))):
        fault = f"{text!r} is no address of a page."
        make.fault(("browser",), "browser-url", fault, "Write `/path` behind the base, or `https://host/path`.")
    return url_template(parts)

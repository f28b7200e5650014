"""What a `browser` step asks of a browser, and what the page showed at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from synthmon.core.secrets import masked
from synthmon.core.timing import Timing

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
"""What the browser is called on the PATH, the best first."""

PROGRAM_AT = "SYNTHMON_CHROMIUM"
"""The variable of the environment that names it instead."""


class Verb(StrEnum):
    """What can be done on a page."""

    GOTO = "goto"
    CLICK = "click"
    FILL = "fill"
    SELECT = "select"
    PRESS = "press"
    WAIT = "wait"
    WAIT_URL = "wait_url"


class Picture(StrEnum):
    """When a picture of the page is kept."""

    FAILURE = "failure"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing done on a page: at what (a selector, or a URL), and with which value. Sealed handles may stand in the
    value and in a URL."""

    verb: Verb
    target: str
    value: str = field(default="", repr=False)

    def __str__(self) -> str:
        """As a person reads it, without the value."""
        match self.verb:
            case Verb.WAIT_URL:
                return f"wait for {masked(self.target)}"
            case Verb.PRESS if not self.target:
                return f"press {masked(self.value)}"
        return f"{self.verb} {masked(self.target)}"


@dataclass(frozen=True, slots=True)
class Visit:
    """A page of its own that is opened at `url`, and what is done on it.

    `headers` go to the origin of `url` alone. Only with `writes` may the page send what changes something. `without`
    names hosts that are refused without a word, `read` and `count` what is looked at in the end: name → selector.
    """

    url: str
    actions: tuple[Action, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    writes: bool = False
    without: tuple[str, ...] = ()
    read: tuple[tuple[str, str], ...] = ()
    count: tuple[tuple[str, str], ...] = ()
    picture: Picture = Picture.FAILURE


@dataclass(frozen=True, slots=True)
class Visited:
    """The page as it was after the last action; `timing` is of its document, and reads on until then.

    `status` is of the last main document. `read` lacks the names whose selector matched nothing. `requests` counts what
    left, `failed` those without an answer below 400. The instants of painting are None when the page told none.
    """

    status: int
    url: str
    title: str
    text: str = field(repr=False)
    timing: Timing
    read: Mapping[str, str] = field(default_factory=dict, repr=False)
    count: Mapping[str, int] = field(default_factory=dict)
    console: tuple[str, ...] = ()
    requests: int = 0
    failed: int = 0
    load_ms: float | None = None
    first_paint_ms: float | None = None
    largest_paint_ms: float | None = None
    shot: str = ""  # the name of its picture, if there is one

    @property
    def said(self) -> Mapping[str, Any]:
        """What the step looked at (`core.proof.contents.Telling`)."""
        return {word: dict(found) for word, found in (("read", self.read), ("count", self.count)) if found}

    def saying(self, said: Mapping[str, Any]) -> Visited:
        """The same page, with other things on it."""
        return replace(self, read=said.get("read", {}), count=said.get("count", {}))

    def broken(self) -> Visited:
        """The page of a site that is out of order."""
        nothing = dict.fromkeys(self.count, 0)
        return replace(self, status=500, title="", text="", read={}, count=nothing, failed=max(1, self.failed))

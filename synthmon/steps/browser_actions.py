"""What is done on a page: the items of `do`, their keys, and their values filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from synthmon.core.browsing import Action, Verb
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.kinds import Maker
from synthmon.core.secrets import masked, sealed
from synthmon.core.templates import Template

_CLOSED = ConfigDict(frozen=True, extra="forbid")


class WaitKeys(BaseModel):
    """What is waited for besides an element."""

    model_config = _CLOSED

    url: str = Field(description="A URL or its path, `*` for anything but a slash.")


Wait = Annotated[
    Annotated[str, Tag("a selector")] | Annotated[WaitKeys, Tag("a place")],
    Discriminator(lambda given: "a place" if isinstance(given, dict | WaitKeys) else "a selector"),
]


class ActionKeys(BaseModel):
    """One thing to do; exactly one key."""

    model_config = _CLOSED

    goto: str | None = Field(None, description="A URL, absolute or relative to the page's first.")
    click: str | None = Field(None, description="What is clicked.")
    fill: Mapping[str, str | int | float] | None = Field(None, description="Field → the text that replaces its own.")
    select: Mapping[str, str] | None = Field(None, description="List → the option, by value or label.")
    press: str | Mapping[str, str] | None = Field(None, description="A key, `Enter`, or where → the key.")
    wait: Wait | None = Field(None, description="What has to become visible, or `{url: /path/*}`.")


@dataclass(frozen=True, slots=True, eq=False)
class ActionSpec:
    """An action with values still to be filled in."""

    verb: Verb
    target: Template | None
    value: Template | None = None

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset().union(*(text.refs for text in (self.target, self.value) if text is not None))

    def render(self, scope: Scope) -> Action:
        """Raises `ExpressionError`."""
        target = self.target.render_text(scope) if self.target else ""
        if sealed(target) and self.verb is not Verb.GOTO:
            raise ExpressionError(masked(target), "a secret cannot stand in a selector")
        return Action(self.verb, target, self.value.render_text(scope) if self.value else "")


def compile_action(keys: ActionKeys, i: int, make: Maker) -> Iterator[ActionSpec]:
    """Item `i` of `do`, from checked keys to specs, one for each pair of a map; faults go to `make`."""
    given = [word for word in ActionKeys.model_fields if getattr(keys, word) is not None]
    if len(given) != 1:
        fault = f"An action does one thing, not {' and '.join(given)}." if given else "This action does nothing."
        make.fault(("do", i), "browser-action", fault, "Write each as an item of its own: `- click: selector`.")
        return
    word, path = given[0], ("do", i, given[0])
    match getattr(keys, word):
        case WaitKeys(url=url):
            yield ActionSpec(Verb.WAIT_URL, make.template(url, (*path, "url")))
        case str() as text if word == "press":
            yield ActionSpec(Verb.PRESS, None, make.template(text, path))
        case str() as text:
            yield ActionSpec(Verb(word), make.template(text, path))
        case pairs:
            for target, value in pairs.items():
                spot = make.template(target, path)
                yield ActionSpec(Verb(word), spot, make.template(str(value), (*path, target)))

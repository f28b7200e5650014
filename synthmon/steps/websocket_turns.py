"""The dialogue that opens a WebSocket: what is said, and which frame is awaited then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.expressions import Expression, ExpressionError, Scope
from synthmon.core.kinds import Maker
from synthmon.core.messages import OFFERS, Message, names_of
from synthmon.core.templates import Tree
from synthmon.steps.websocket_frames import Frames


class SayKeys(BaseModel):
    """One turn of the dialogue after connecting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: Any = Field(None, description="What goes out: a text as it is, anything else as JSON.")
    until: str | None = Field(None, description="Read until this check holds for a frame: `message.json.ok == true`.")


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said, and what is awaited then; secrets are sealed."""

    said: bool
    say: Any = field(repr=False)
    until: Expression | None = None
    scope: Scope = field(default_factory=lambda: Scope({}), repr=False)

    def heard(self, message: Message) -> bool:
        """Whether this frame is what was awaited."""
        if self.until is None:
            return True
        try:
            return self.until.value(self.scope.plus(names_of((message,)))) is True
        except ExpressionError:
            return False


@dataclass(frozen=True, slots=True, eq=False)
class TurnSpec:
    """A turn with values still to be filled in."""

    said: bool
    say: Tree
    until: Expression | None

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads, apart from those of the frame."""
        return self.say.refs | (self.until.refs - OFFERS.keys() if self.until else frozenset())

    def render(self, scope: Scope) -> Turn:
        """With all values filled in. Raises `ExpressionError`."""
        return Turn(self.said, self.say.render(scope), self.until, scope)


def compile_turn(keys: SayKeys, i: int, make: Maker) -> TurnSpec:
    """Item `i` of `open`, from checked keys to a spec; faults go to `make`."""
    said = "say" in keys.model_fields_set
    until = make.truth(keys.until, ("open", i, "until"), OFFERS) if keys.until else None
    return TurnSpec(said, make.tree(keys.say, ("open", i, "say")), until)


async def converse(frames: Frames, turns: Sequence[Turn]) -> list[Message]:
    """Go through the dialogue; what has come behind its last frame is answered."""
    rest: list[Message] = []
    for turn in turns:
        if turn.said:
            await frames.say(turn.say)
        if turn.until is None:
            continue
        while True:
            while rest and not turn.heard(rest[0]):
                rest.pop(0)
            if rest:
                rest.pop(0)
                break
            rest = await frames.read()
    return rest

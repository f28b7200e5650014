"""What single values of a file may be: names, expressions, durations after a step, checks; the base of every map."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from synthmon.language.words import word_fault


class Keys(BaseModel):
    """A map of a file: nothing but its keys, and none of them changes."""

    # built when first asked: a command that reads no file never needs them, and what holds others is built once
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("bad-name", "{fault}", {"fault": f"{value} is not a name", "remedy": _WORD_REMEDY})
    if fault := word_fault(value):
        raise PydanticCustomError("bad-name", "{fault}", {"fault": fault, "remedy": _WORD_REMEDY})
    return value


def _expression(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    shown = "empty" if value in (None, "") else "a boolean" if isinstance(value, bool) else "not a text"
    remedy = "Write a CEL expression such as status == 201; put it in single quotes if it has `: ` or ` #` in it."
    raise PydanticCustomError("not-an-expression", "{fault}", {"fault": f"The expression is {shown}", "remedy": remedy})


def _within(value: Any) -> str:
    if isinstance(value, str):
        return value
    remedy = "Write a duration, or one after a step: 10s after order."
    raise PydanticCustomError("bad-duration", "{fault}", {"fault": f"{value} is not a duration", "remedy": remedy})


_WORD_REMEDY = "Use small letters, digits and _, a letter first, and no word of CEL: order_id."

Word = Annotated[str, BeforeValidator(_word), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})]
ExpressionText = Annotated[str, BeforeValidator(_expression), WithJsonSchema({"type": "string", "minLength": 1})]
WithinText = Annotated[
    str, BeforeValidator(_within), WithJsonSchema({"type": "string", "examples": ["10s", "10s after order"]})
]
Text = Annotated[str, Field(min_length=1)]
SystemName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
LocationName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class CheckKeys(Keys):
    """A check with a name, or one that is made only sometimes."""

    check: ExpressionText = Field(description="The expression; it passes only when its value is the boolean true.")
    name: str = Field("", description="What the check is called where it is shown.")
    when: ExpressionText | None = Field(None, description="Make the check only if this is true.")


def _form(value: Any) -> str:
    return "map" if isinstance(value, dict | CheckKeys) else "text"


CheckForm = Annotated[
    Annotated[ExpressionText, Tag("text")] | Annotated[CheckKeys, Tag("map")],
    Discriminator(_form),
]
Checks = Annotated[list[CheckForm], Field(min_length=1)]
Saves = dict[Word, ExpressionText]

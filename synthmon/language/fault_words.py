"""The words in which pydantic's findings are said: what something is, what it should be, how it is mended."""

from __future__ import annotations

from typing import Any

WANTED = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "model_attributes_type": "a map",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
}
REMEDIES = {
    "string_type": "Put it in quotes if it is meant as a text.",
    "list_type": "Put each on a line of its own that begins with `- `.",
    "dict_type": "Write `key: value` lines below it.",
    "model_type": "Write `key: value` lines below it.",
    "model_attributes_type": "Write `key: value` lines below it.",
}
PATTERNS = {
    r"^[a-z][a-z0-9-]{0,62}$": "Use small letters, digits and -, a letter first, at most 63: order-pays.",
    r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$": "Use letters, digits, -, _ and . only.",
    r"^[a-z0-9][a-z0-9_.-]{0,62}$": "Use small letters, digits, -, _ and . only: eu-west.",
}


def kind(value: Any) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a map"
    return "something else"


def written(value: Any) -> str:
    """A value as an expression has it; nothing of what is no single value."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return f'"{value}"'
    return ""

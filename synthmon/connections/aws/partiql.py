"""A SELECT of PartiQL as DynamoDB takes it, and values as its attributes have them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from synthmon.connections.sql_names import Dialect, names_in, rewritten
from synthmon.connections.sql_values import as_json

Attribute = Mapping[str, Any]
"""A value as DynamoDB writes it: `{"S": "text"}`, `{"N": "12.5"}`."""


def names_of(statement: str) -> tuple[str, ...]:
    """The `:names` that want a value. Raises `ValueError` with words for a person unless it is one SELECT."""
    bare = _APART.sub(lambda found: " " if found[0].startswith(("-", "/")) else "''", statement).strip()
    first = re.match(r"\w*", bare)
    word = first[0].upper() if first else ""
    if word != "SELECT":
        raise ValueError(f"only SELECT may be asked, and this begins with {word or bare[:1] or 'nothing'}")
    if ";" in bare.rstrip("; \n"):
        raise ValueError("it is more than one statement")
    if "?" in bare:
        raise ValueError("a value has a name here: write `:name` instead of `?`")
    return names_in(statement, Dialect.PARTIQL)


def bound(statement: str, params: Mapping[str, Any]) -> tuple[str, list[Attribute]]:
    """The statement with `?` for each name, and the values in that order. Raises `ValueError`."""
    names_of(statement)
    values: list[Attribute] = []

    def written(name: str) -> str:
        if name not in params:
            raise ValueError(f":{name} has no value")
        values.append(attribute_of(params[name]))
        return "?"

    return rewritten(statement, Dialect.PARTIQL, written).rstrip("; \n"), values


def attribute_of(value: Any) -> Attribute:
    """JSON as an attribute. Raises `ValueError` for a number that DynamoDB cannot hold."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | float() | Decimal():
            if not Decimal(repr(value) if isinstance(value, float) else value).is_finite():
                raise ValueError(f"DynamoDB has no number {value}")
            return {"N": format(Decimal(str(value)), "f")}
        case str():
            return {"S": value}
        case Mapping():
            return {"M": {str(key): attribute_of(item) for key, item in value.items()}}
        case Sequence():
            return {"L": [attribute_of(item) for item in value]}
    raise ValueError(f"DynamoDB has nothing for a {type(value).__name__}")


def json_of(attribute: Attribute) -> Any:
    """An attribute as JSON has it: whole numbers as numbers, others as text; bytes as base64; sets as sorted lists."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return _number(value)
        case "NS":
            return [_number(one) for one in sorted(value, key=Decimal)]
        case "SS":
            return sorted(as_json(one) for one in value)
        case "BS":
            return sorted(base64.b64encode(one).decode() for one in value)
        case "L":
            return [json_of(one) for one in value]
        case "M":
            return {key: json_of(one) for key, one in row_of(value)}
        case "NULL":
            return None
    return as_json(value)


def row_of(item: Mapping[str, Attribute]) -> list[tuple[str, Attribute]]:
    """The attributes of an item, by names that are safe to show."""
    return [(str(as_json(name)), attribute) for name, attribute in item.items()]


def _number(text: str) -> Any:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return as_json(text)
    return as_json(int(number)) if number == number.to_integral_value() else format(number, "f")


_APART = re.compile(
    r"""'(?:[^']|'')*(?:'|\Z)|"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)|--[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)

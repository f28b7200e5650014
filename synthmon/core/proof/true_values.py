"""A request, or what the journal is told, with the true values in place of those that a run was told wrongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

from synthmon.core.expressions import Expression

Made = TypeVar("Made")


def put_right(value: Made, true_of: Mapping[str, str]) -> Made:
    """The same with every false text or number replaced, at any depth; `true_of` is false → true, as texts.

    Percent-encoded in a text, too. What is neither JSON nor made of dataclasses stays as it is.
    """
    made: Made = _right(value, true_of) if true_of else value
    return made


def _right(value: Any, true_of: Mapping[str, str]) -> Any:
    match value:
        case str():
            for false, true in true_of.items():
                value = value.replace(quote(false, safe=""), quote(true, safe="")).replace(false, true)
        case bytes():
            for false, true in true_of.items():
                value = value.replace(false.encode(), true.encode())
        case bool():
            pass
        case int() | float() if str(value) in true_of:
            return type(value)(true_of[str(value)])
        case Mapping():
            return {key: _right(each, true_of) for key, each in value.items()}
        case list() | tuple():
            return type(value)(_right(each, true_of) for each in value)
        case Expression():
            pass
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{one.name: _right(getattr(value, one.name), true_of) for one in _given(value)})
    return value


def _given(value: Any) -> list[Any]:
    """The parts of which it is made: `replace` takes no others."""
    return [one for one in fields(value) if one.init]

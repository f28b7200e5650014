"""The nouns of the core as JSON, and back: exact for what this version writes, forgiving to what others wrote."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import orjson

from synthmon.core.outcomes import Outcome, Reason

Noun = TypeVar("Noun")
Read = Callable[[Any], Any]


def packed(noun: object) -> bytes:
    """A noun, or a mapping of nouns, as UTF-8 JSON.

    What a target answered must never make its record unsavable. JSON may hold what orjson refuses (numbers beyond 64
    bits, half surrogate pairs): such a document is written by the standard library and starts with a space, so that
    `unpacked` knows who can read it exactly. NaN and infinity become null, values that are not JSON at all (bytes,
    decimals) their text, and what is nested deeper than 200 levels is cut.
    """
    try:
        return orjson.dumps(noun, default=_refused)
    except TypeError:
        return b" " + json.dumps(_plain(noun), separators=(",", ":"), default=str).encode()


def unpacked(document: bytes | str) -> Any:
    """The JSON of `packed`. Raises `ValueError` when it is none."""
    if document[:1] in (b" ", " "):
        return json.loads(document)
    return orjson.loads(document)


def read(noun: type[Noun], document: Mapping[str, Any]) -> Noun:
    """A noun from its JSON: keys unknown to this version are passed over, missing ones have their defaults.

    Raises `ValueError` when a key without a default is missing.
    """
    given = {name: how(document[name]) for name, how in _fields(cast("Any", noun)) if name in document}
    try:
        return noun(**given)
    except TypeError as error:
        raise ValueError(f"A stored {noun.__name__} cannot be read: {error}.") from error


def instant(text: str) -> datetime:
    """An instant of the store, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def microseconds(at: datetime) -> int:
    """An instant as microseconds since 1970 UTC: exact, sortable, the same in every database."""
    if at.tzinfo is None:
        raise ValueError(f"The instant {at.isoformat()} has no time zone; instants are UTC.")
    span = at - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def from_microseconds(count: int) -> datetime:
    """The instant so many microseconds after 1970 UTC."""
    days, rest = divmod(count, 86_400_000_000)
    return _EPOCH + _DAY * days + _MICROSECOND * rest


_DEEPEST = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = datetime(1970, 1, 2, tzinfo=UTC) - _EPOCH
_MICROSECOND = datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) - _EPOCH


def _refused(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _plain(value: Any, level: int = 0) -> Any:
    """A noun as dicts and lists, for the standard library."""
    if level > _DEEPEST:
        return "… (nested too deeply)"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), level + 1) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item, level + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, level + 1) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


@cache
def _fields(noun: type) -> tuple[tuple[str, Read], ...]:
    """The fields of a noun, each with how it is read."""
    hints = get_type_hints(noun)
    return tuple((f.name, _reader(hints[f.name])) for f in dataclasses.fields(noun))


def _reader(hint: Any) -> Read:
    """How a value of a type is read from its JSON."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (one,) = (arg for arg in inside if arg is not types.NoneType)
        present = _reader(one)
        return lambda value: None if value is None else present(value)
    if origin is tuple and inside[-1:] == (Ellipsis,):
        each = _reader(inside[0])
        return lambda value: tuple(each(item) for item in value)
    if origin is tuple:
        return tuple
    if hint is datetime:
        return instant
    if hint is float:
        return lambda value: 0.0 if value is None else float(value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _word(hint)
    if dataclasses.is_dataclass(hint):
        return lambda value: read(cast("type[Any]", hint), value)
    return lambda value: value


def _word(words: type[StrEnum]) -> Read:
    """A word of a list; one that only a newer version knows is read as the nearest honest one."""
    stranger = {Outcome: Outcome.UNKNOWN, Reason: Reason.BROKEN}.get(cast("Any", words))

    def known(text: str) -> StrEnum:
        try:
            return words(text)
        except ValueError:
            if stranger is None:
                raise
            return stranger

    return known

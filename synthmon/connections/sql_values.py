"""What a database gives, as JSON has it, and no more of it than is kept."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.foreign import disarm
from synthmon.core.outcomes import Reason

MOST_BYTES = 4 * 1024 * 1024  # of one answer
_LEAST_INT, _LARGEST_INT = -(1 << 63), (1 << 63) - 1  # of an expression


def gathered(columns: Sequence[str], rows: Iterable[Sequence[Any]], limit: int) -> list[Mapping[str, Any]]:
    """Rows as maps. Raises `ConnectionTrouble` for more than `limit` rows or 4 MiB, and for two columns of one name:
    a part of an answer would be taken for all of it."""
    names = [disarm(name) for name in columns]
    for name in names:
        if names.count(name) > 1:
            said = f"two columns of the answer are called {name}; name them with `AS`"
            raise ConnectionTrouble(Reason.EXPRESSION, said)
    kept: list[Mapping[str, Any]] = []
    width, size = sum(map(len, names)), 0
    for row in rows:
        if len(kept) == limit:
            raise ConnectionTrouble(
                Reason.TOO_MANY, f"the answer has more than {limit} rows; ask with LIMIT or count(*)"
            )
        made = [as_json(value) for value in row]
        size += width + sum(map(_size, made))
        if size > MOST_BYTES:
            raise ConnectionTrouble(Reason.TOO_MANY, "the answer is larger than 4 MiB; ask for less of it")
        kept.append(dict(zip(names, made, strict=True)))
    return kept


def as_json(value: Any) -> Any:
    """One value: decimals with a fraction as text, whole numbers as numbers up to 64 bits, else as text; NaN and
    Infinity as text; bytes as base64; times as ISO 8601 in UTC; lists and maps as they are; all else as text."""
    match value:
        case None | bool():
            return value
        case str():
            return disarm(value)
        case int():
            return value if _LEAST_INT <= value <= _LARGEST_INT else str(value)
        case float():
            return (
                value
                if math.isfinite(value)
                else "NaN"
                if math.isnan(value)
                else f"{value:+}".replace("inf", "Infinity").lstrip("+")
            )
        case Decimal():
            whole = value.is_finite() and value.as_tuple().exponent == 0
            return as_json(int(value)) if whole else format(value, "f") if value.is_finite() else str(value)
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return [as_json(item) for item in value]
        case dict():
            return {disarm(str(key)): as_json(item) for key, item in value.items()}
    return disarm(str(value))


def stamped(text: str) -> str:
    """A database's own `2026-11-23 10:02:00+00`, asked for in UTC, as `2026-11-23T10:02:00Z` (RFC 3339); what is no
    such instant (`infinity`, a year BC) as it is."""
    if " " not in text or text.endswith(" BC"):
        return text
    return text.removesuffix("+00").replace(" ", "T", 1) + "Z"


def _size(value: Any) -> int:
    match value:
        case str():
            return len(value)
        case list():
            return 8 + sum(map(_size, value))
        case dict():
            return 8 + sum(len(key) + _size(item) for key, item in value.items())
    return 8

"""How the web answers: JSON that never fails on strange text, problems a person can act on, pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from math import isfinite
from typing import Any

import orjson
from starlette.responses import Response


class Json(Response):
    """JSON of dataclasses, mappings and what is in them; instants are RFC 3339."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write the bytes."""
        return as_json(content)


class ProblemJson(Json):
    """What went wrong (RFC 9457); `more` are members of its own."""

    media_type = "application/problem+json"

    def __init__(self, status: int, title: str, detail: str, more: Mapping[str, Any] | None = None) -> None:
        super().__init__({"title": title, "status": status, "detail": detail, **(more or {})}, status)


class Html(Response):
    """A page; half surrogates from a target's answer become question marks."""

    media_type = "text/html"

    def render(self, content: str) -> bytes:
        """Write the bytes."""
        return content.encode("utf-8", "replace")


def as_json(value: Any) -> bytes:
    """JSON bytes; text that UTF-8 cannot say (half surrogates) is written as escapes."""
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(_deep(value), default=str, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def _deep(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _deep(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _deep(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_deep(inner) for inner in value]
    if isinstance(value, float) and not isfinite(value):
        return None  # NaN and infinities, as orjson writes them
    return value

"""URLs with values in them: a value fills its place and can never change what the URL around it means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote, quote_plus

from synthmon.core.expressions import Expression, ExpressionError, Scope
from synthmon.core.secrets import masked, seal, sealed
from synthmon.core.templates import as_text


class Spot(StrEnum):
    """Where in a URL a value stands."""

    START = "start"  # as it is: a whole URL, or the beginning of one
    HOST = "host"
    PATH = "path"
    QUERY = "query"


@dataclass(frozen=True, slots=True, eq=False)
class UrlTemplate:
    """A URL cut into literal parts, which stay as written, and values with their spots.

    A sealed secret stays a handle; whoever opens it must percent-encode it.
    """

    parts: tuple[str | tuple[Expression, Spot], ...]

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset().union(*(part[0].refs for part in self.parts if not isinstance(part, str)))

    def render(self, scope: Scope) -> str:
        """The URL. Raises `ExpressionError`, also for a value that would change the host or climb in the path."""
        match self.parts:
            case (str() as text,):
                return text
        url = "".join(part if isinstance(part, str) else _fill(*part, scope) for part in self.parts)
        path = _path(url)
        if any(segment in (".", "..") for segment in path.split("/")):
            raise ExpressionError(masked(path), 'a segment of the path is "." or ".." and would lead elsewhere')
        return url


def url_template(parts: Iterable[str | Expression]) -> UrlTemplate:
    """From the parts of a template (see `core.templates`)."""
    before, made = "", list[str | tuple[Expression, Spot]]()
    for part in parts:
        made.append(part if isinstance(part, str) else (part, _spot(before)))
        before += part if isinstance(part, str) else "x"
    return UrlTemplate(tuple(made))


def encode(text: str, plus: bool = False) -> str:
    """Percent-encode all but RFC 3986's unreserved characters, secret handles apart; `plus` writes a space as `+`."""
    encoded = quote_plus if plus else quote
    if not sealed(text):
        return encoded(text, safe="")
    pieces = _HANDLE.split(text)  # text, handle, text, …
    return "".join(piece if i % 2 else encoded(piece, safe="") for i, piece in enumerate(pieces))


def pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and texts of a map of values; a list repeats its name. Raises `ExpressionError` for null and maps."""
    found = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            found.append((name, as_text(each, name)))
    return found


def query(found: Iterable[tuple[str, str]], plus: bool = False) -> str:
    """`a=1&b=x%20y`."""
    return "&".join(f"{encode(name, plus)}={encode(value, plus)}" for name, value in found)


def _spot(before: str) -> Spot:
    if not before:
        return Spot.START
    if "?" in before:
        return Spot.QUERY
    return Spot.HOST if _IN_HOST.fullmatch(before) else Spot.PATH


def _fill(expression: Expression, spot: Spot, scope: Scope) -> str:
    text = as_text(expression.value(scope), expression.text)
    match spot:
        case Spot.START:
            return text
        case Spot.HOST:
            if not _HOST_PART.fullmatch(text):
                raise ExpressionError(expression.text, "is no part of a host name")
            return text
        case Spot.PATH if not text:
            raise ExpressionError(expression.text, "is empty, and the path would mean something else without it")
    return encode(text)


def _path(url: str) -> str:
    rest = url.partition("?")[0]
    return _IN_HOST.sub("", rest, count=1)


_HANDLE = re.compile("({0}[^{1}]*{1})".format(*seal("")))
_IN_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_HOST_PART = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?")

"""What came from outside, made fit to compute with: strict JSON, text in its charset, no forged secret handles."""

from __future__ import annotations

import math
import re
from typing import Any

import jiter

from synthmon.core.secrets import seal


class InvalidJson(ValueError):
    """A text that is no JSON by RFC 8259, or that means different things to different readers."""


def parse_json(content: bytes) -> Any:
    """Parse UTF-8 JSON; a byte order mark is skipped (RFC 8259 8.1).

    Refused as well: a key that stands twice in one object, NaN and Infinity, a number that overflows to infinity,
    a lone surrogate, more than 200 levels. Raises `InvalidJson` with line and column.
    """
    try:
        value = jiter.from_json(content.removeprefix(_BOM), allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise InvalidJson(str(error)) from None
    if _PERHAPS_HUGE.search(content) and _has_infinity(value):
        raise InvalidJson("a number is too large for a double (it would be read as infinity)")
    return _disarm_all(value) if _PERHAPS_HANDLE.search(content) else value


def decode(content: bytes, charset: str = "") -> str:
    """The text in a charset that is one of text, else in UTF-8; what cannot be decoded becomes U+FFFD."""
    known = charset if _CHARSET.fullmatch(charset) else "utf-8"
    try:
        return disarm(content.decode(known, "replace"))
    except LookupError:
        return disarm(content.decode("utf-8", "replace"))


def disarm(text: str) -> str:
    """The text without the two characters that make a secret handle: an answer that holds `secret.token` between them
    must not have it opened when a later step sends it back."""
    return text.translate(_REPLACED) if _FIRST in text or _LAST in text else text


def _has_infinity(value: Any) -> bool:
    match value:
        case float():
            return math.isinf(value)
        case dict():
            return any(map(_has_infinity, value.values()))
        case list():
            return any(map(_has_infinity, value))
    return False


def _disarm_all(value: Any) -> Any:
    match value:
        case str():
            return disarm(value)
        case dict():
            return {disarm(key): _disarm_all(each) for key, each in value.items()}
        case list():
            return [_disarm_all(each) for each in value]
    return value


_BOM = b"\xef\xbb\xbf"
_FIRST, _LAST = tuple(seal(""))
_REPLACED = {ord(_FIRST): "\ufffd", ord(_LAST): "\ufffd"}
_PERHAPS_HANDLE = re.compile(rb"\xee\x80[\x80\x81]|\\u[eE]00[01]")
_PERHAPS_HUGE = re.compile(rb"\d[eE]\+?\d{3}|\d{200}")  # 1e308 is the largest power of ten in a double
_CHARSET = re.compile(
    r"(?i)utf-?(8|16|32)([-_]?[bl]e)?(-?sig)?|us-ascii|ascii|latin-?1|(iso|windows|cp|koi8|euc|gb|big5|shift|mac)[-_\w]*"
)

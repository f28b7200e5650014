"""What an HTTP message says of itself: its headers as a map, its media type, its charset, whether it is JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from synthmon.core.foreign import disarm


def headers_map(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names (lower-case already) to values; a repeated header is joined by ", " (RFC 9110 5.3)."""
    headers: dict[str, str] = {}
    for name, value in found:
        headers[name] = f"{headers[name]}, {disarm(value)}" if name in headers else disarm(value)
    return headers


def media_type(headers: Mapping[str, str]) -> str:
    """`application/json`, lower-case and without parameters; empty when there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(content_type: str) -> str:
    """The charset parameter of a content-type, empty when there is none."""
    found = _CHARSET.search(content_type)
    return found[1] if found else ""


def says_json(kind: str, method: str, status: int, content: bytes) -> bool:
    """Whether an answer of this media type says that JSON comes, and content may come at all (RFC 9110 6.4.1)."""
    if not content and (method == "HEAD" or status in (204, 205, 304)):
        return False
    return kind in ("application/json", "text/json") or kind.endswith("+json")


_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;"']+)""", re.IGNORECASE)

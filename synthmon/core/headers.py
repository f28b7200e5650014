"""Which HTTP headers a journey may set, which belong to the connection, and which are for one host's eyes only."""

from __future__ import annotations

import re

from synthmon.core.secrets import SHORTEST

CONNECTION = frozenset(
    "host content-length transfer-encoding connection keep-alive proxy-authorization proxy-connection te trailer "
    "upgrade expect".split()
)
"""Lower-case names that only the door sets: a `Host` of one's own would reach past the allow-list, the others would
break the framing of messages (RFC 9112)."""

OVERRIDES = frozenset("x-http-method-override x-http-method x-method-override x-original-url x-rewrite-url".split())
"""Lower-case names by which many servers take a GET for a DELETE, or one path for another, behind the guard's back."""

_PRIVATE = ("auth", "cookie", "api-key", "apikey", "token", "secret", "signature", "session", "credential", "password")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2


def private(name: str) -> bool:
    """Whether a header (lower-case) authenticates. By a part of its name, as APIs do not agree on one."""
    return any(word in name for word in _PRIVATE) and name not in ("www-authenticate", "proxy-authenticate")


def secrets_of(name: str, value: str) -> list[str]:
    """What is secret in the value of a private header of an answer: a cookie's value, what follows `Bearer`.

    A value without a digit (`theme=standard`) is a word, and hiding it would hide innocent text.
    """
    if not private(name):
        return []
    pieces = value.partition(";")[0].partition("=")[2:] if name == "set-cookie" else value.split()
    found = [piece.strip('",') for piece in pieces]
    return [piece for piece in found if len(piece) >= SHORTEST and any(map(str.isdigit, piece))]


def why_not(name: str) -> str:
    """Why a journey cannot set this header, empty if it can."""
    if not _TOKEN.fullmatch(name):
        return "is no header name"
    if name.lower() in OVERRIDES:
        return "would make another request of this one; write its method in front of the URL"
    return "is set by the door, never by a journey" if name.lower() in CONNECTION else ""

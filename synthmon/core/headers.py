"""Which HTTP headers a journey may set, and which belong to the connection."""

from __future__ import annotations

import re

CONNECTION = frozenset(
    "host content-length transfer-encoding connection keep-alive proxy-authorization proxy-connection te trailer "
    "upgrade expect".split()
)
"""Lower-case names that only the door sets: a `Host` of one's own would reach past the allow-list, the others would
break the framing of messages (RFC 9112)."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2


def why_not(name: str) -> str:
    """Why a journey cannot set this header, empty if it can."""
    if not _TOKEN.fullmatch(name):
        return "is no header name"
    return "is set by the door, never by a journey" if name.lower() in CONNECTION else ""

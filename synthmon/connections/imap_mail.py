"""A mail as a journey reads it: its text, its HTML, who wrote to whom, what hangs on it."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message as Part
from email.utils import getaddresses
from typing import Any

from synthmon.core.foreign import decode, disarm
from synthmon.core.messages import Message
from synthmon.core.pages import text_of

_DEEPEST = 20  # of parts in parts
_TO = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to")


def addresses_of(head: bytes) -> frozenset[str]:
    """Whom a mail is for, by its header lines, in lower case: as its sender wrote it, and as it was delivered."""
    read = email.message_from_bytes(head)
    return frozenset(address.lower() for address in _addresses(read, *_TO))


def read_mail(content: bytes, id: str = "") -> Message:
    """The mail (RFC 5322, MIME) as a message; parts that cannot be decoded are left out. Up to 50 ms for 1 MiB."""
    read = email.message_from_bytes(content)
    headers = tuple((name.lower(), _shown(str(value))) for name, value in read.items())
    plain = html = None
    attachments: list[dict[str, Any]] = []
    for part in _leaves(read):
        kind, name = part.get_content_type(), part.get_filename()
        if part.get_content_disposition() == "attachment" or not kind.startswith("text/"):
            attachments.append({"name": disarm(_shown(name or "")), "type": disarm(kind), "size": len(_bytes(part))})
        elif kind == "text/html":
            html = _text(part) if html is None else html
        elif kind == "text/plain":
            plain = _text(part) if plain is None else plain
    facts: dict[str, Any] = {
        "from": next(iter(_addresses(read, "from")), ""),
        "to": _addresses(read, "to", "cc"),
        "attachments": attachments,
    }
    if html is not None:
        facts["html"] = html
    text = plain if plain is not None else _text_of(html or "")
    return Message(_shown(str(read.get("subject", ""))), headers, text.encode(), 0.0, id, facts)


def _leaves(part: Part, depth: int = 0) -> Iterator[Part]:
    """What is no multipart, a forwarded mail as a whole."""
    held = part.get_payload()
    if part.get_content_maintype() == "multipart" and isinstance(held, list):
        for inner in held if depth < _DEEPEST else ():
            if isinstance(inner, Part):
                yield from _leaves(inner, depth + 1)
    else:
        yield part


def _bytes(part: Part) -> bytes:
    held = part.get_payload(decode=True)
    return held if isinstance(held, bytes) else b""


def _text(part: Part) -> str:
    return decode(_bytes(part), part.get_content_charset("utf-8")).replace("\r\n", "\n")


def _text_of(html: str) -> str:
    try:
        return text_of(html, "body") or ""
    except ValueError:  # more of it than a person reads
        return ""


def _addresses(read: Part, *names: str) -> list[str]:
    lines = [str(value) for name in names for value in read.get_all(name, [])]
    return list(dict.fromkeys(disarm(address) for _, address in getaddresses(lines) if "@" in address))


def _shown(value: str) -> str:
    """A header without its folds, its encoded words (RFC 2047) read."""
    line = " ".join(value.split())
    try:
        return disarm(str(make_header(decode_header(line))))
    except (ValueError, LookupError):  # a charset that is none, base64 that is none
        return disarm(line)

"""Whether a call was signed by who knows the key, lately, and for the first time (Standard Webhooks 1.0.0).

The signature is HMAC-SHA256 over `id.timestamp.body`, in base64, in the header `webhook-signature` as `v1,<base64>`,
several of them separated by spaces while a key is changed. See https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_S = 300.0
LONGEST_ID = 256
_MOST_SIGNATURES = 8
_ID = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a call says of itself, before its body was read; `sent_s` is Unix time."""

    message_id: str
    sent_s: int
    signatures: tuple[bytes, ...]


def read_key(text: str) -> bytes:
    """The key in a secret: base64 after `whsec_`, else the text itself. Raises `ValueError` for bad base64."""
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ is not base64.") from None  # the cause would show a part of it


def read_stamp(headers: Mapping[str, str], now_s: float) -> Stamp | None:
    """The three headers (lower-case names), or None when one is missing, odd, or older or newer than five minutes."""
    message_id, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if len(message_id) > LONGEST_ID or not _ID.fullmatch(message_id):
        return None
    if not (sent.isascii() and sent.isdecimal() and len(sent) <= 12) or abs(now_s - int(sent)) > WINDOW_S:
        return None
    signatures = tuple(_signatures(headers.get("webhook-signature", "")))
    return Stamp(message_id, int(sent), signatures) if signatures else None


def is_signed(stamp: Stamp, body: bytes, key: bytes) -> bool:
    """Whether one of the signatures is right."""
    right = sign(stamp.message_id, stamp.sent_s, body, key)
    return sum(hmac.compare_digest(right, given) for given in stamp.signatures) > 0


def sign(message_id: str, sent_s: int, body: bytes, key: bytes) -> bytes:
    """The right signature, 32 bytes."""
    return hmac.digest(key, f"{message_id}.{sent_s}.".encode() + body, hashlib.sha256)


def _signatures(text: str) -> list[bytes]:
    found = []
    for one in text.split(" ")[:_MOST_SIGNATURES]:
        version, _, given = one.partition(",")
        if version == "v1" and len(given) <= 64:
            try:
                found.append(base64.b64decode(given, validate=True))
            except binascii.Error:
                continue
    return found

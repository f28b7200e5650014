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
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


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
    if flaw(headers, now_s):
        return None
    signatures = tuple(_signatures(headers["webhook-signature"]))
    return Stamp(headers["webhook-id"], int(headers["webhook-timestamp"]), signatures)


def flaw(headers: Mapping[str, str], now_s: float) -> str:
    """Why there is no stamp in the headers of a call, in words that repeat nothing that the caller wrote; empty where
    there is one."""
    missing = [name for name in _HEADERS if not headers.get(name)]
    if missing:
        return f"without {', '.join(missing)}"
    if len(headers["webhook-id"]) > LONGEST_ID or not _ID.fullmatch(headers["webhook-id"]):
        return f"its webhook-id is not 1 to {LONGEST_ID} visible characters"
    sent = headers["webhook-timestamp"]
    if not (sent.isascii() and sent.isdecimal() and len(sent) <= 12):
        return "its webhook-timestamp is no Unix time in seconds"
    age_s = now_s - int(sent)
    if abs(age_s) > WINDOW_S:
        when = f"{abs(age_s):.0f}s {'old' if age_s > 0 else 'ahead'}"
        return f"stale: its webhook-timestamp is {when}, by our clock"
    return "" if _signatures(headers["webhook-signature"]) else "its webhook-signature holds no v1 signature"


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

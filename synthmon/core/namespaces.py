"""The mark on everything that a run makes, and how it is told from all that only looks like it.

A namespace is `syn-`, the first 16 hex digits of the run's id, and 8 more that vouch for them: an HMAC-SHA-256 (RFC
2104) keyed with who made it. So a text that somebody typed, a copy with a suffix, or what another instance or another
location made is not taken for ours (one look-alike in 2³²). It keeps mistakes away and no forger: the key is no secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re

NAMESPACE = re.compile(r"syn-[0-9a-f]{24}")
"""Finds what looks like a namespace, whosesoever it is."""

_FORM = re.compile(r"syn-([0-9a-f]{16})([0-9a-f]{8})")


def namespace(run_id: str, instance: str, location: str) -> str:
    """The namespace of a run: `syn-` and 24 hex digits, safe in a DNS label, an e-mail local part, a SQL value."""
    begin = run_id[:16]
    return f"syn-{begin}{_voucher(begin, instance, location)}"


def is_ours(tag: str, instance: str, location: str) -> bool:
    """Whether a text is exactly a namespace of a run of this instance at this location."""
    found = _FORM.fullmatch(tag)
    return found is not None and hmac.compare_digest(_voucher(found[1], instance, location), found[2])


def _voucher(begin: str, instance: str, location: str) -> str:
    key = f"synthmon namespace\0{instance}\0{location}".encode()
    return hmac.new(key, begin.encode(), hashlib.sha256).hexdigest()[:8]

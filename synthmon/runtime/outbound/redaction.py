"""Secrets blotted out of any text, in every form in which they could come by."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from synthmon.core.secrets import MASK, Vault, masked


class Redactor:
    """Knows every form of every value of a vault: plain, percent-encoded, JSON, HTML, base64 at any offset, hex."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: tuple[str, ...] = ()
        self._pattern: re.Pattern[str] | None = None

    def redact(self, text: str) -> str:
        """The text with `•••` for each secret and each sealed handle."""
        text = masked(text)
        pattern = self._current()
        return pattern.sub(MASK, text) if pattern is not None else text

    def holds(self, text: str) -> bool:
        """Whether a secret stands in the text, in any form."""
        pattern = self._current()
        return pattern is not None and pattern.search(text) is not None

    def _current(self) -> re.Pattern[str] | None:
        values = self._vault.values()
        if values != self._known:
            forms = {form for value in values for form in _forms(value)}
            self._known = values
            self._pattern = re.compile("|".join(sorted(forms, key=len, reverse=True)))
        return self._pattern


def _forms(value: str) -> Iterator[str]:
    """Patterns of one secret."""
    raw = value.encode()
    exact = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], html.escape(value)}
    exact |= {each.replace("/", r"\/") for each in exact}  # JSON as PHP writes it
    exact |= {repr(value)[1:-1], raw.decode("latin-1")}
    for altchars in (b"+/", b"-_"):
        exact |= {_inner_base64(raw, offset, altchars) for offset in range(3)}
    yield from (re.escape(each) for each in exact)
    loose = {quote(value, safe=""), quote(value), quote_plus(value), raw.hex()}
    yield from (f"(?i:{re.escape(each)})" for each in loose)


def _inner_base64(raw: bytes, offset: int, altchars: bytes) -> str:
    """What base64 makes of these bytes wherever they begin in a longer text: the characters that they alone decide."""
    text = base64.b64encode(b"\0" * offset + raw, altchars).decode()
    return text[(0, 2, 3)[offset] : (offset + len(raw)) * 8 // 6]

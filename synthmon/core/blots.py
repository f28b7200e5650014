"""Secrets found in any text, in every form in which they could come by."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import re2

MASK = "•••"
FEW = 8  # values up to which looking for each form is cheaper than compiling them all
SHORTEST_PART = 4  # characters of a secret that are masked where a text was cut in the middle of it

_CUT = re.compile("\n?…")  # how every text of ours ends that was cut
_CODE_BYTES = 64 << 20


class Blots:
    """A set of values and how each looks plain, percent-encoded, in JSON, in HTML, in base64 at any offset, in hex.

    Made lazily and shared by all runs that know the same values. Many values are one automaton (RE2): 40 of them cost
    0.2 ms for 64 KiB; a few are looked for one by one.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = frozenset(values)
        self._found: tuple[str, ...] | None = None
        self._pattern: Any = None
        self._starts: frozenset[str] | None = None

    def __bool__(self) -> bool:
        """Whether it knows any value."""
        return bool(self.values)

    def holds(self, text: str) -> bool:
        """Whether a value stands in the text in any form, or the beginning of one where the text was cut."""
        if not self.values:
            return False
        if len(self.values) <= FEW:
            here = any(form in text for form in self._forms())
        else:
            here = self._automaton().search(_encoded(text)) is not None
        return here or ("…" in text and self._blot_cuts(text) != text)

    def redact(self, text: str) -> str:
        """The text with `•••` for each."""
        if not self.holds(text):
            return text
        if len(self.values) <= FEW:
            for form in self._forms():
                text = text.replace(form, MASK)
        else:
            text = self._automaton().sub(MASK.encode(), _encoded(text)).decode()
        return self._blot_cuts(text) if "…" in text else text

    def _forms(self) -> tuple[str, ...]:
        """Every form, the longest first."""
        if self._found is None:
            found = {form for value in self.values for form in forms(value)}
            self._found = tuple(sorted(found, key=lambda form: (-len(form), form)))
        return self._found

    def _automaton(self) -> Any:
        if self._pattern is None:
            options = re2.Options()
            options.max_mem, options.never_capture = _CODE_BYTES, True
            self._pattern = re2.compile("|".join(map(re2.escape, self._forms())), options)
        return self._pattern

    def _blot_cuts(self, text: str) -> str:
        """Where a text was cut, perhaps in the middle of a value: its beginning goes too."""
        pieces, at = [], 0
        for cut in _CUT.finditer(text):
            end = cut.start()
            part = next(
                (
                    n
                    for n in range(min(self._longest(), end - at), SHORTEST_PART - 1, -1)
                    if text[end - n : end] in self._beginnings()
                ),
                0,
            )
            pieces += [text[at : end - part], MASK if part else ""]
            at = end
        return "".join(pieces) + text[at:]

    def _longest(self) -> int:
        return len(self._forms()[0])

    def _beginnings(self) -> frozenset[str]:
        if self._starts is None:
            self._starts = frozenset(form[:n] for form in self._forms() for n in range(SHORTEST_PART, len(form)))
        return self._starts


def forms(value: str) -> frozenset[str]:
    """How a value may be written by somebody who repeats it."""
    raw = value.encode(errors="replace")
    plain = {value, value.lower(), value.upper()}  # a host name comes back in lower case
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_json |= {json.dumps(each)[1:-1] for each in in_json}  # JSON inside JSON
    in_json |= {each.replace("/", r"\/") for each in in_json}  # as PHP writes it
    written = plain | in_json | {html.escape(value), html.escape(value, quote=False), repr(value)[1:-1]}
    written |= {html.escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}  # as Go writes it
    written |= {raw.decode("latin-1"), "\0".join(value)}  # read in the wrong charset; UTF-16 read as bytes
    percent = {encoded for safe in _SAFE for encoded in (quote(value, safe=safe), quote_plus(value, safe=safe))}
    percent |= {quote(each, safe="") for each in percent}  # a URL inside a URL
    percent |= {_PERCENT.sub(lambda found: found[0].lower(), each) for each in percent}
    written |= percent | {raw.hex(), raw.hex().upper()}
    written |= set(_in_base64(raw))
    return frozenset(written)


def _in_base64(raw: bytes) -> Iterator[str]:
    """What base64 makes of these bytes wherever they begin in a longer text: the characters that they alone decide."""
    for altchars in (b"+/", b"-_"):
        for offset in range(3):
            text = base64.b64encode(b"\0" * offset + raw, altchars).decode()
            yield text[(0, 2, 3)[offset] : (offset + len(raw)) * 8 // 6]


def _encoded(text: str) -> bytes:
    """In UTF-8, which the automaton reads; a lone surrogate becomes a question mark."""
    return text.encode(errors="replace")


_SAFE = ("", "/", "!'()*", "/:@!$&'()*+,;=")  # RFC 3986 strictly, Python, a browser's script, a browser's path
_PERCENT = re.compile("%[0-9A-F]{2}")

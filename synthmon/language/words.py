"""Which words a journey may give to its own things, and which word was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from synthmon.core.expressions import KEYWORDS

TAKEN = frozenset(
    "run identity vars case hook secret status headers body text bytes elapsed phase tls message messages "
    "count rows".split()
)
"""The first words of the names that the language gives itself."""

_WORD = re.compile(r"[a-z][a-z0-9_]*")


def word_fault(word: str, taken: Iterable[str] = ()) -> str:
    """What is wrong with a word as a name; empty if nothing."""
    if not _WORD.fullmatch(word):
        return f"{word!r} is not a name" if word else "A name is empty"
    if word in KEYWORDS:
        return f"`{word}` is a word of the expression language"
    if word in taken:
        return f"`{word}` is a name of the language itself"
    return ""


def near(word: str, words: Iterable[str]) -> str:
    """The known word that is most like this one, or nothing."""
    known = tuple(words)
    lower = {w.lower(): w for w in known}
    if word.lower() in lower:
        return lower[word.lower()]
    found = get_close_matches(word, known, 1, 0.6)
    return found[0] if found else ""


def meant(word: str, words: Iterable[str], otherwise: str) -> str:
    """A remedy: `Did you mean …?`, or else another."""
    guess = near(word, words)
    return f"Did you mean `{guess}`?" if guess else otherwise


def listed(words: Iterable[str], most: int = 12) -> str:
    """Words for a person: `a, b, c`."""
    known = sorted(set(words))
    return ", ".join(known[:most]) + (", …" if len(known) > most else "") if known else "none"

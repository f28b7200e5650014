"""Whether a text stood in a record that is no longer held: surely not, or perhaps.

Two Bloom filters (B. H. Bloom, CACM 13/7, 1970), each of 2²⁴ bits with four for a text, take turns: full, with 400,000
texts each, they say "perhaps" of 1 in 8,000 that they never saw. They take 4 MiB, and nothing before the first record.
"""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST, LONGEST = 8, 100  # of what is ever asked for: `core.transact.own_keys`
MOST_TEXTS = 400_000
_BITS, _EACH = 1 << 24, 4


class Forgotten:
    """The texts of records that were let go, the oldest first; instants are seconds of a clock that never goes back."""

    def __init__(self) -> None:
        self._old, self._new = bytearray(), bytearray()
        self._count = 0
        self._old_until_s = self._until_s = self._unknown_until_s = float("-inf")

    def add(self, texts: Iterable[str], at_s: float) -> None:
        """A record with these texts, that came at this instant, is let go."""
        if not self._new or self._count >= MOST_TEXTS:
            self._unknown_until_s, self._old_until_s = self._old_until_s, self._until_s
            self._old, self._new, self._count = self._new, bytearray(_BITS // 8), 0
        self._until_s = at_s
        for text in texts:
            if SHORTEST <= len(text) <= LONGEST:
                self._count += 1
                for place in _places(text):
                    self._new[place >> 3] |= 1 << (place & 7)

    def perhaps(self, text: str, since_s: float) -> bool:
        """Whether this may have been a text of a record that came since then."""
        if since_s <= self._unknown_until_s:
            return True
        if since_s > self._until_s:
            return False
        return any(
            bits and all(bits[place >> 3] & 1 << (place & 7) for place in _places(text))
            for bits in (self._old, self._new)
        )


def _places(text: str) -> list[int]:
    """Kirsch and Mitzenmacher, ESA 2006: two hashes do for all."""
    first, step = hash(text), hash(text) >> 32 | 1
    return [(first + n * step) % _BITS for n in range(_EACH)]

"""Secrets as sealed handles: texts that name a value without holding it, opened only by the door out.

A handle is `U+E000 word U+E001`: two characters of Unicode's private use area, which no honest text contains.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping

MASK = "•••"
SHORTEST = 8  # a shorter secret would mask innocent text everywhere

_OPEN, _CLOSE = "\ue000", "\ue001"
_SEALED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")


class SecretError(Exception):
    """A handle that cannot be opened: unknown name, or a value too short to be masked safely."""


def seal(word: str) -> str:
    """The handle with this name."""
    return f"{_OPEN}{word}{_CLOSE}"


def sealed(text: str) -> bool:
    """Whether a text holds a handle."""
    return _OPEN in text


def compose(verb: str, *parts: str) -> str:
    """A handle for something computed from handles: `basic` or `hmac`, computed when it is opened."""
    packed = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    return seal(f"{verb} {packed}")


def masked(text: str) -> str:
    """The text as every surface shows it."""
    return _SEALED.sub(MASK, text) if _OPEN in text else text


class Vault:
    """The values behind the handles of one run: what the settings gave, and what the run learnt with `secret(…)`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)  # handle word -> value

    def keep(self, text: str) -> str:
        """Take what `secret(…)` wrapped into the vault; answers the text with plain handles in their place."""

        def take(found: re.Match[str]) -> str:
            verb, _, packed = found[1].partition(" ")
            if verb != "new":
                return found[0]
            (value,) = json.loads(base64.urlsafe_b64decode(packed))
            if len(value) < SHORTEST:
                raise SecretError(f"the value given to secret() has fewer than {SHORTEST} characters")
            word = f"learned.{hashlib.sha256(value.encode()).hexdigest()[:16]}"
            self._values[word] = value
            return seal(word)

        return _SEALED.sub(take, text) if _OPEN in text else text

    def reveal(self, text: str) -> str:
        """The text with every handle opened. Raises `SecretError`. For the door only."""
        return _SEALED.sub(lambda found: self._open(found[1]), text) if _OPEN in text else text

    def learned(self) -> Mapping[str, str]:
        """What `secret(…)` took in: handle word → value. For a session that outlives the run which logged in."""
        return {word: value for word, value in self._values.items() if word.startswith("learned.")}

    def adopt(self, words: Mapping[str, str]) -> None:
        """Take in what another vault has learned."""
        self._values.update(words)

    def values(self) -> tuple[str, ...]:
        """Every value, longest first, for redaction."""
        return tuple(sorted(self._values.values(), key=len, reverse=True))

    def _open(self, word: str) -> str:
        verb, _, packed = word.partition(" ")
        if not packed:
            if word not in self._values:
                raise SecretError(f"{word} is not known here; check `secrets:` in the settings")
            return self._values[word]
        parts = [self.reveal(part) for part in json.loads(base64.urlsafe_b64decode(packed))]
        match verb, parts:
            case "basic", [user, password]:
                return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            case "hmac", [key, text]:
                return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
            case "new", [value]:
                return value
        raise SecretError(f"a handle that says {verb!r} cannot be opened")

"""Secrets as sealed handles: texts that name a value without holding it, opened only by the door out.

A handle is `U+E000 word U+E001`: two characters of Unicode's private use area, which no honest text contains.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from synthmon.core.blots import MASK as MASK
from synthmon.core.blots import Blots

SHORTEST = 8  # a shorter secret would mask innocent text everywhere

_OPEN, _CLOSE = "\ue000", "\ue001"
_SEALED = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_REPLACED = {ord(_OPEN): "\ufffd", ord(_CLOSE): "\ufffd"}
_NO_WORD = "a secret in another form"  # what no vault can open


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


def disarmed(value: Any, trusted: Iterable[Any]) -> Any:
    """What an expression made of an answer, without the handles that the answer forged.

    `string(bytes)` or `string(base64.decode(body.x))` can bring the two characters of a handle in. Only handles of
    names that stand in `trusted` too, which the journey itself put in, are left; all others lose their characters, or
    a later step would open them and send the secret to whoever wrote them.
    """
    if not _any_handle(value):
        return value
    known = frozenset(word for each in trusted for text in _texts(each) for word in _words(text))
    return _each_text(value, lambda text: _SEALED.sub(lambda found: _if_known(found, known), text))


class _Growing:
    """Values that come one by one, and their blots, made when somebody looks."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self._blots = Blots()

    def add(self, value: str) -> None:
        """One more."""
        if value not in self.values:
            self.values.add(value)
            self._blots = Blots()

    @property
    def blots(self) -> Blots:
        """How they are found."""
        if self.values and not self._blots:
            self._blots = Blots(self.values)
        return self._blots


class Vault:
    """The values behind the handles of one run: what the settings gave, and what the run learnt with `secret(…)`.

    It also finds them again in any text. `blots`, shared between runs, knows `values` already, and perhaps others that
    must not be shown either; without it they are compiled here.
    """

    def __init__(self, values: Mapping[str, str], blots: Blots | None = None) -> None:
        self._words: dict[str, str] = {}  # handle word -> value, of what came later
        # many runs share `values`, which may be thousands; a ChainMap writes to its first map only
        self._values: Mapping[str, str] = ChainMap(self._words, values)  # type: ignore[arg-type]
        self._blots = Blots(values.values()) if blots is None else blots
        self._later = _Growing()  # values that came later
        self._nameless = _Growing()
        self._noted: set[str] = set()

    def keep(self, value: Any) -> Any:
        """Take what `secret(…)` wrapped into the vault, in a text or in the texts of a list or a map; answers it with
        plain handles in their place. Raises `SecretError` for one that is too short."""
        return _each_text(value, lambda text: _SEALED.sub(self._take, text)) if _any_handle(value) else value

    def reveal(self, text: str) -> str:
        """The text with every handle opened. Raises `SecretError`. For the door only."""
        return _SEALED.sub(lambda found: self._open(found[1]), text) if _OPEN in text else text

    def hide(self, value: str) -> None:
        """Never show this value either: nobody gave it a name, but it is a secret (a cookie that a target set)."""
        if len(value) >= SHORTEST:
            self._nameless.add(value)

    def learned(self) -> Mapping[str, str]:
        """What `secret(…)` took in: handle word → value. For a session that outlives the run which logged in."""
        return {word: value for word, value in self._words.items() if word.startswith("learned.")}

    @contextmanager
    def noting(self) -> Iterator[set[str]]:
        """The words that are learnt inside the block, also those that were known before."""
        before, self._noted = self._noted, set()
        try:
            yield self._noted
        finally:
            before |= self._noted
            self._noted = before

    def adopt(self, words: Mapping[str, str]) -> None:
        """Take in what another vault has learned."""
        self._words.update(words)
        for value in words.values():
            if value not in self._blots.values:
                self._later.add(value)

    def values(self) -> tuple[str, ...]:
        """Every value, longest first."""
        return tuple(sorted({*self._values.values(), *self._nameless.values}, key=len, reverse=True))

    @property
    def hides(self) -> bool:
        """Whether there is anything that must not be shown."""
        return bool(self._blots or self._later.values or self._nameless.values)

    def redact(self, text: str) -> str:
        """The text with `•••` for every handle and every value, in any form that it may take."""
        for blots in self._all():
            text = blots.redact(text)
        return masked(text)

    def holds(self, text: str) -> bool:
        """Whether a value stands in the text, in any form."""
        return any(blots.holds(text) for blots in self._all())

    def sealed(self, value: Any) -> Any:
        """A value as it may lie on a disk: a handle for each secret in it, which the door opens again.

        A secret in another form than plain becomes a handle that cannot be opened: rather no clean-up than a wrong one.
        What has no name (`hide`) stays: clean-up may need it, and nobody could open it again.
        """
        kept = self.keep(value)
        return _each_text(kept, self._seal_in) if self._blots or self._later.values else kept

    def _seal_in(self, text: str) -> str:
        if not self._holds_named(text):
            return text
        for word, value in sorted(self._values.items(), key=lambda pair: len(pair[1]), reverse=True):
            if value in text:
                pieces = _SEALED.split(text)  # text, word of a handle, text, …
                text = "".join(
                    seal(piece) if i % 2 else piece.replace(value, seal(word)) for i, piece in enumerate(pieces)
                )
        pieces = _SEALED.split(text)
        return "".join(
            seal(piece) if i % 2 else seal(_NO_WORD) if self._holds_named(piece) else piece
            for i, piece in enumerate(pieces)
        )

    def _holds_named(self, text: str) -> bool:
        return self._blots.holds(text) or self._later.blots.holds(text)

    def _all(self) -> tuple[Blots, ...]:
        return self._blots, self._later.blots, self._nameless.blots

    def _take(self, found: re.Match[str]) -> str:
        verb, _, packed = found[1].partition(" ")
        return seal(self._learn(*_parts(packed))) if verb == "new" else found[0]

    def _learn(self, value: str) -> str:
        if len(value) < SHORTEST:
            raise SecretError(f"the value given to secret() has fewer than {SHORTEST} characters")
        word = f"learned.{hashlib.sha256(value.encode()).hexdigest()[:16]}"
        self._noted.add(word)
        self.adopt({word: value})
        return word

    def _open(self, word: str) -> str:
        verb, _, packed = word.partition(" ")
        if word in self._values:
            return self._values[word]
        if not packed or word == _NO_WORD:
            raise SecretError(f"{word} is not known here; check `secrets:` in the settings")
        parts = [self.reveal(part) for part in _parts(packed)]
        match verb, parts:
            case "basic", [user, password]:
                return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            case "hmac", [key, text]:
                return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
            case "new", [value]:
                return self._values[self._learn(value)]
        raise SecretError(f"a handle that says {verb!r} cannot be opened")


def _parts(packed: str) -> list[str]:
    """What `compose` packed. Raises `SecretError` for what it did not pack."""
    try:
        found = json.loads(base64.urlsafe_b64decode(packed))
    except (binascii.Error, ValueError) as error:
        raise SecretError("a handle that nobody sealed cannot be opened") from error
    return [str(part) for part in found] if isinstance(found, list) else []


def _if_known(found: re.Match[str], known: frozenset[str]) -> str:
    verb, _, packed = found[1].partition(" ")
    if not packed:
        return found[0] if found[1] in known else found[0].translate(_REPLACED)
    try:
        inner = [word for part in _parts(packed) for word in _words(part)]
    except SecretError:
        inner = [found[1]]
    # what `secret()` wraps is opened as it is: a handle inside is text there
    return found[0] if verb == "new" or known.issuperset(inner) else found[0].translate(_REPLACED)


def _words(text: str) -> Iterator[str]:
    """The names in a text's handles, those inside composed ones included."""
    for found in _SEALED.finditer(text) if _OPEN in text else ():
        word = found[1]
        verb, _, packed = word.partition(" ")
        if not packed:
            yield word
        elif verb != "new":
            for part in _parts(packed):
                yield from _words(part)


def _any_handle(value: Any) -> bool:
    return any(_OPEN in text for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, each in value.items():
                yield from _texts(key)
                yield from _texts(each)
        case list():
            for each in value:
                yield from _texts(each)


def _each_text(value: Any, change: Any) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {_each_text(key, change): _each_text(each, change) for key, each in value.items()}
        case list():
            return [_each_text(each, change) for each in value]
    return value

"""Puts invented people where a captured request named somebody who may be real."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from synthmon.identities.literals import LiteralKind, Unsafe, find_unsafe_literals
from synthmon.imports.exchanges import Exchange
from synthmon.imports.sealing import Safe
from synthmon.imports.texts import Fill, Path, Text, Value, fill, joined, leaves, mapped

NEVER_GIVEN_SSN = "666-12-3456"  # area 666 is never given (Social Security Administration)


def invented(exchanges: Sequence[Exchange], safe: Safe) -> list[Exchange]:
    """The exchanges with nothing in what they send that looks like the property of a real person."""

    def of_leaf(_: Path, leaf: Value) -> Value:
        return harmless(leaf, safe)

    return [
        replace(
            exchange,
            path=tuple(_segment(piece, safe) for piece in exchange.path),
            params=mapped(dict(exchange.params), of_leaf),
            headers=mapped(dict(exchange.headers), of_leaf),
            body=mapped(exchange.body, of_leaf) if exchange.word else None,
        )
        for exchange in exchanges
    ]


def harmless(leaf: Value, safe: Safe) -> Value:
    """A leaf in which e-mails, phones, cards and accounts are those of `identity`."""
    if isinstance(leaf, bool) or not isinstance(leaf, str | int | float | Text):
        return leaf
    if isinstance(leaf, int | float):
        return _cleaned(str(leaf), safe) if find_unsafe_literals(str(leaf)) else leaf
    pieces: list[str | Fill | Text] = []
    for part in leaf.parts if isinstance(leaf, Text) else (leaf,):
        pieces.append(_cleaned(part, safe) if isinstance(part, str) else part)
    return joined(*pieces)


def fields_used(values: Sequence[Value]) -> tuple[str, ...]:
    """The fields of `identity` that these trees read, each once."""
    found: dict[str, None] = {}
    for value in values:
        for _, leaf in leaves(value):
            for part in leaf.parts if isinstance(leaf, Text) else ():
                if isinstance(part, Fill):
                    found.update(dict.fromkeys(re.findall(r"identity\.(\w+)", part.expression)))
    return tuple(found)


def _segment(piece: Value, safe: Safe) -> Value:
    """A segment of a path stays as written (percent-encoded) unless something in it is replaced."""
    if not isinstance(piece, str):
        return piece
    made = harmless(unquote(piece), safe)
    if not isinstance(made, Text):
        return piece if made == unquote(piece) else quote(made, safe="")
    return Text(tuple(quote(part, safe="@:") if isinstance(part, str) else part for part in made.parts))


def _cleaned(text: str, safe: Safe) -> str | Text:
    """One finding after the other is replaced, until there is none."""
    found = find_unsafe_literals(text)
    if not found:
        return text
    first = found[0]
    end = first.at + _length(text[first.at :], first)
    return joined(text[: first.at], _stand_in(first, text[first.at : end], safe), _cleaned(text[end:], safe))


def _stand_in(unsafe: Unsafe, text: str, safe: Safe) -> str | Text:
    match unsafe.kind:
        case LiteralKind.EMAIL:
            return fill("identity.email")
        case LiteralKind.PHONE:
            return fill("identity.phone")
        case LiteralKind.CARD:
            return fill("identity.card")
        case LiteralKind.IBAN:
            return fill("identity.iban")
        case LiteralKind.SSN:
            return NEVER_GIVEN_SSN
        case LiteralKind.API_KEY:
            return safe.keep(
                text, "api_key", "it was a key of a service, which should be replaced since it stood in a file"
            )


def _length(text: str, unsafe: Unsafe) -> int:
    """How long the finding at the beginning of `text` is; the whole text if that cannot be told."""
    found = _SHAPES[unsafe.kind].match(text)
    return len(found[0]) if found else len(text)


_SHAPES = {
    LiteralKind.EMAIL: re.compile(r"[^@]+@[\w.-]*\w"),
    LiteralKind.PHONE: re.compile(r"[+\d][\d ().\-]*\d"),
    LiteralKind.CARD: re.compile(r"\d(?:[ -]?\d)*"),
    LiteralKind.IBAN: re.compile(r"[A-Z]{2}\d\d(?: ?[A-Z0-9])*"),
    LiteralKind.SSN: re.compile(r"\d{3}-\d\d-\d{4}"),
    LiteralKind.API_KEY: re.compile(r"-----BEGIN [\s\S]*|[\w.-]+"),
}

"""Texts in which some places are filled by a run: what a draft puts where a captured value was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from synthmon.language.expressions import literal

Value = Any
"""JSON from outside, with `Text` among its leaves. A plain `str` always means itself: `${` is escaped when written."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fill:
    """One `${…}`: an expression."""

    expression: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text with at least one `${…}` in it. Alone, a `Fill` keeps the type of its value."""

    parts: tuple[str | Fill, ...]

    @property
    def only(self) -> str:
        """The expression, if the text is nothing else; else empty."""
        match self.parts:
            case (Fill(expression),):
                return expression
        return ""


def fill(expression: str) -> Text:
    """A text that is one `${…}`."""
    return Text((Fill(expression),))


def joined(*pieces: str | Fill | Text) -> str | Text:
    """Pieces as one text; a plain `str` if nothing in it is filled."""
    parts: list[str | Fill] = []
    for piece in pieces:
        for part in piece.parts if isinstance(piece, Text) else (piece,):
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part != "":
                parts.append(part)
    if any(isinstance(part, Fill) for part in parts):
        return Text(tuple(parts))
    return "".join(part for part in parts if isinstance(part, str))


def written(value: str | Text) -> str:
    """As it stands in a probe: `${…}` for what is filled, `$${` for a plain `${`."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    made = ""
    for part in value.parts:
        if isinstance(part, str):
            made += part.replace("${", "$${")
        else:
            if dollars := len(made) - len(made.rstrip("$")):  # or the last would be read as the escape
                made = made[:-dollars] + '${"' + "$" * dollars + '"}'
            made += f"${{{part.expression}}}"
    return made


def shown(value: str | Text) -> str:
    """For a title: `…` for what is filled."""
    return value if isinstance(value, str) else "".join(p if isinstance(p, str) else "…" for p in value.parts)


def leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Every leaf with its path, in order."""
    match value:
        case dict():
            for key, item in value.items():
                yield from leaves(item, (*path, key))
        case list():
            for i, item in enumerate(value):
                yield from leaves(item, (*path, i))
        case _:
            yield path, value


def mapped(value: Value, change: Callable[[Path, Value], Value], path: Path = ()) -> Value:
    """The same tree with other leaves."""
    match value:
        case dict():
            return {key: mapped(item, change, (*path, key)) for key, item in value.items()}
        case list():
            return [mapped(item, change, (*path, i)) for i, item in enumerate(value)]
    return change(path, value)


def replaced(value: str | Text, old: str, new: Text) -> str | Text:
    """The text with every plain occurrence of `old` filled instead."""
    pieces: list[str | Fill | Text] = []
    for part in value.parts if isinstance(value, Text) else (value,):
        if isinstance(part, Fill):
            pieces.append(part)
            continue
        for i, between in enumerate(part.split(old)):
            pieces.extend((new, between) if i else (between,))
    return joined(*pieces)


def constant(value: Value) -> str:
    """A leaf as an expression: `"placed"`, `12`, `identity.email`; empty if it has none."""
    match value:
        case Text():
            return value.only
        case str():
            return literal(value) if value.isprintable() else ""
        case None | bool() | int() | float():
            return literal(value)
    return ""

"""Where every key and value of a document stands in its file, to the column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Protocol

from synthmon.core.errors import Place

Path = tuple[str | int, ...]
"""Where a value stands inside a document: `("steps", 1, "expect", 0)`."""


class Mark(Protocol):
    """A place in a file: line and column from 0, the index of the character."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...

    @property
    def index(self) -> int: ...


Spot = tuple[Mark, Mark, str]
"""One entry of a map or a list: the places of its key and its value (the same in a list), and how the value is quoted:
nothing for a plain text, `"` or `'`, `|` or `>` for a block."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The places of one document. `spots` are by identity of the map or list, so an alias shares its anchor's."""

    file: str
    text: str
    root: Mark
    tree: Any = None
    spots: dict[int, dict[str | int, Spot]] = field(default_factory=dict)

    def key(self, path: Sequence[str | int], label: Path | None = None) -> Place:
        """The place of a key, or of the nearest thing around it that is there."""
        spot, known = self._spot(path)
        return self._place(spot[0] if spot else self.root, known if label is None else label)

    def value(self, path: Sequence[str | int], label: Path | None = None) -> Place:
        """The place of a value, or of the nearest thing around it that is there."""
        spot, known = self._spot(path)
        return self._place(spot[1] if spot else self.root, known if label is None else label)

    def inside(self, path: Sequence[str | int], offset: int) -> Place:
        """The place of a character (from 0) of a text: quotes, escapes and folded lines are counted as written."""
        spot, known = self._spot(path)
        if spot is None or len(known) != len(path):
            return self.value(path)
        start = spot[1].index
        at = start + _written(self.text[start : start + 8 * offset + 4096], spot[2], self._text(path), offset)
        line_start = self.text.rfind("\n", 0, at) + 1
        line = spot[1].line + self.text.count("\n", start, at)
        return Place(self.file, line + 1, at - line_start + 1, dotted(known))

    def before(self, path: Sequence[str | int], text: str) -> int:
        """How many characters of the text at a path stand before `text`, which is a part of it."""
        spot, known = self._spot(path)
        whole = self._text(path) if spot and len(known) == len(path) else text
        return max(whole.rfind(text), 0) if whole != text else 0

    def _spot(self, path: Sequence[str | int]) -> tuple[Spot | None, Path]:
        """The deepest spot of a path; words that a schema added to it (the form of a union) are passed over."""
        node, spot, known = self.tree, None, []
        for step in path:
            here = self.spots.get(id(node), {})
            if step in here:
                spot = here[step]
                node = node[step]
                known.append(step)
        return spot, tuple(known)

    def _text(self, path: Sequence[str | int]) -> str:
        node = self.tree
        for step in path:
            node = node[step]
        return str(node)

    def _place(self, mark: Mark, path: Path) -> Place:
        return Place(self.file, mark.line + 1, mark.column + 1, dotted(path))


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it: `steps[1].expect[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return intern(text)


def _written(raw: str, style: str, value: str, offset: int) -> int:
    """How many characters of the written form `raw` stand before character `offset` of the value."""
    at = _opening(raw, style)
    for i, char in enumerate(value[:offset]):
        if at >= len(raw):
            return 0
        if style == '"' and raw[at] == "\\":
            while raw[at : at + 2] == "\\\n":  # a line broken on purpose
                at = _past_blanks(raw, at + 2)
            if raw[at] == "\\":
                at += 2 + {"x": 2, "u": 4, "U": 8}.get(raw[at + 1 : at + 2], 0)
                continue
        if style == "'" and raw[at : at + 2] == "''":
            at += 2
        elif char == raw[at] and char != "\n":
            at += 1
        elif char in " \n":
            at = _past_fold(raw, at, style, value[i + 1 : i + 2])
        else:
            return 0
    return _past_fold(raw, at, style, "x") if raw[at : at + 1] == "\n" else at


def _opening(raw: str, style: str) -> int:
    if style in ("|", ">"):
        return _past_blanks(raw, raw.find("\n") + 1)
    return 1 if style in ("'", '"') else 0


def _past_fold(raw: str, at: int, style: str, following: str) -> int:
    """Past the end of a line and the indentation of the next; a block keeps its empty lines as characters."""
    while raw[at : at + 1] in (" ", "\t"):
        at += 1
    if raw[at : at + 1] == "\n":
        at += 1
    if following == "\n" and style == "|":
        return at
    return _past_blanks(raw, at)


def _past_blanks(raw: str, at: int) -> int:
    while at < len(raw) and raw[at] in " \t\r\n":
        at += 1
    return at

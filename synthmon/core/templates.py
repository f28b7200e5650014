"""Texts and trees with `${…}` in them: how a journey writes values that are only known in a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from synthmon.core import functions
from synthmon.core.expressions import CompileError, Compiler, Expression, ExpressionError, Scope
from synthmon.core.words import STRINGS

MOST_VALUES = 100_000  # of a tree that is rendered


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A text with `${…}` in it. Exactly one `${…}` keeps its type; otherwise values are joined as text."""

    text: str
    parts: tuple[str | Expression, ...]

    @property
    def refs(self) -> frozenset[str]:
        """The names that it reads."""
        return frozenset().union(*(p.refs for p in self.parts if isinstance(p, Expression)))

    @property
    def type(self) -> str:
        """The type of what it renders to."""
        match self.parts:
            case (Expression() as only,):
                return only.type
        return "string"

    @property
    def constant(self) -> bool:
        """Whether it is the same text in every run."""
        return all(isinstance(p, str) for p in self.parts)

    def render(self, scope: Scope) -> Any:
        """The text, or the value of its only `${…}`. Raises `ExpressionError`."""
        match self.parts:
            case ():
                return ""
            case (str() as text,):
                return text
            case (Expression() as only,):
                return _light(only.value(scope), self.text)
        made = [p if isinstance(p, str) else as_text(p.value(scope), p.text) for p in self.parts]
        if sum(map(len, made)) > functions.MOST_LETTERS:
            raise ExpressionError(self.text, f"makes a text of more than {functions.MOST_LETTERS} letters")
        return "".join(made)

    def render_text(self, scope: Scope) -> str:
        """What it renders to, as text in any case. Raises `ExpressionError`."""
        value = self.render(scope)
        return value if isinstance(value, str) else as_text(value, self.text)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """JSON with templates as leaves: lists are tuples of trees, maps are pairs, everything else stands for itself."""

    node: Any
    refs: frozenset[str]

    def render(self, scope: Scope) -> Any:
        """The JSON with every value filled in; timestamps and durations as text. Raises `ExpressionError`."""
        return _light(_render(self.node, scope), "the values")


def compile_template(compiler: Compiler, text: str, names: Mapping[str, str]) -> Template:
    """Compile a text with `${…}`; `$${` is a literal `${`. Raises `CompileError`, columns counted in the whole text."""
    parts: list[str | Expression] = []
    for start, piece, is_expression in split(text):
        if not is_expression:
            parts.append(piece)
            continue
        try:
            parts.append(compiler.compile(piece.strip(), names))
        except CompileError as error:
            lead = len(piece) - len(piece.lstrip())
            raise CompileError(start + lead + error.column, error.fault, error.name) from error
    return Template(text, tuple(parts))


def split(text: str) -> Iterable[tuple[int, str, bool]]:
    """Cut a text into (offset, piece, is an expression). Raises `CompileError` for a `${` that is never closed."""
    at, plain_from, plain = 0, 0, ""
    while (found := text.find("${", at)) >= 0:
        if found and text[found - 1] == "$":
            plain += text[at : found - 1] + "${"
            at = found + 2
            continue
        plain += text[at:found]
        if plain:
            yield plain_from, plain, False
        end = _closing(text, found + 2)
        yield found + 2, text[found + 2 : end], True
        at = plain_from = end + 1
        plain = ""
    plain += text[at:]
    if plain:
        yield plain_from, plain, False


def as_text(value: Any, text: str = "") -> str:
    """A value inside a longer text: numbers and booleans as CEL writes them; a list, a map or null is refused."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case None:
            raise ExpressionError(text, "is null and cannot be joined to a text")
        case list() | dict():
            raise ExpressionError(text, "is a list or a map and cannot be joined to a text")
        case bytes():
            raise ExpressionError(text, "is bytes and cannot be joined to a text; use base64.encode(…)")
    return functions.plain(value)


def _render(node: Any, scope: Scope) -> Any:
    match node:
        case Template():
            value = node.render(scope)
            return functions.plain(value) if isinstance(value, datetime | timedelta) else value
        case list():
            return [_render(item, scope) for item in node]
        case dict():
            return {key: _render(item, scope) for key, item in node.items()}
    return node


def _light(value: Any, text: str) -> Any:
    """The value, if it is no bomb: what stands in it twice, and in that twice, counts as often as it would be sent."""
    if isinstance(value, list | dict):
        values = letters = 0
        rest = [value]
        while rest:
            node = rest.pop()
            if isinstance(node, dict):
                rest += node.values()
            elif isinstance(node, list):
                rest += node
            elif isinstance(node, str):
                letters += len(node)
            values += 1
            if values > MOST_VALUES or letters > functions.MOST_LETTERS:
                limits = f"{MOST_VALUES} values or {functions.MOST_LETTERS} letters"
                raise ExpressionError(text, f"holds more than {limits}")
    return value


def _closing(text: str, at: int) -> int:
    """Where the `}` stands that closes an expression which begins at `at`."""
    masked = STRINGS.sub(lambda m: "\0" * len(m.group()), text[at:])
    depth = 0
    for i, char in enumerate(masked):
        if char == "{":
            depth += 1
        elif char == "}":
            if depth == 0:
                return at + i
            depth -= 1
    raise CompileError(at - 1, "`${` is never closed by `}`")

"""Compiles the expressions of one file, and says what is wrong with one in words and with a column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from synthmon.core.expressions import CompileError, Compiler, Expression
from synthmon.core.templates import Template, Tree, split
from synthmon.core.words import STRINGS, respell
from synthmon.language.compile_faults import explain_fault
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.names import Names


class Shelf:
    """What is compiled once for all files of a load; let go with it."""

    def __init__(self) -> None:
        self.compiler = Compiler()
        self.templates: dict[tuple[str, tuple[int, ...]], Template] = {}
        self._pieces: dict[str, tuple[tuple[int, str, bool], ...]] = {}

    def pieces(self, text: str) -> tuple[tuple[int, str, bool], ...]:
        """A text cut at its `${…}`. Raises `CompileError`."""
        if text not in self._pieces:
            self._pieces[text] = tuple(split(text))
        return self._pieces[text]


class Expressions:
    """The expressions of one file. After a fault, an answer that a caller need not look at."""

    def __init__(self, shelf: Shelf, faults: Faults) -> None:
        self._shelf, self.faults = shelf, faults

    def truth(self, text: str, path: Path, names: Names) -> Expression | None:
        """An expression that is true or false: of `expect`, `when` or `blame`."""
        made = self._compile(text, path, 0, names, "check")
        if made is not None and made.type not in ("bool", "dyn"):
            remedy = "Compare it with something: `==`, `<`, `in`."
            self.faults.say(
                path, "not-a-check", f"`{_cut(text)}` is {_a(made.type)}; a check must be true or false.", remedy
            )
            return None
        return made

    def value(self, text: str, path: Path, names: Names) -> Expression | None:
        """An expression of any type: of `save`."""
        return self._compile(text, path, 0, names, "save")

    def template(self, text: str, path: Path, names: Names, before: int = 0) -> Template:
        """A text with `${…}`; `before` characters of the value at `path` stand before it."""
        if "${" not in text:
            return Template(text, (text,) if text else ())
        parts: list[str | Expression] = []
        try:
            pieces = self._shelf.pieces(text)
        except CompileError as error:
            self.faults.say_inside(
                path,
                before + error.column - 1,
                "bad-expression",
                "`${` is never closed.",
                "Close it with `}`, or write `$${` for a plain `${`.",
            )
            return Template(text, (text,))
        for start, piece, is_expression in pieces:
            if not is_expression:
                parts.append(piece)
                continue
            lead = len(piece) - len(piece.lstrip())
            made = self._compile(piece.strip(), path, before + start + lead, names, "template")
            if made is None:
                continue  # said already; the rest of the text stays, so that a kind can look at it
            if len(pieces) > 1 and made.type in ("list", "map", "text_map", "bytes"):
                fault = f"`{_cut(piece.strip())}` is {_a(made.type)} and cannot be joined to a text."
                self.faults.say_inside(
                    path, before + start + lead, "cannot-join", fault, "Join a value of it, or let `${…}` stand alone."
                )
                continue
            parts.append(made)
        return self._shared(text, tuple(parts))

    def tree(self, value: Any, path: Path, names: Names) -> Tree:
        """JSON with texts in it."""
        refs: set[str] = set()

        def walk(node: Any, at: Path) -> Any:
            match node:
                case str() if "${" in node:
                    made = self.template(node, at, names)
                    refs.update(made.refs)
                    return made
                case list():
                    return [walk(item, (*at, i)) for i, item in enumerate(node)]
                case dict():
                    return {key: walk(item, (*at, key)) for key, item in node.items()}
            return node

        node = walk(value, path)
        return Tree(node, frozenset(refs))

    def _compile(self, text: str, path: Path, offset: int, names: Names, use: str) -> Expression | None:
        flat = text if '"""' in text or "'''" in text else text.replace("\n", " ")
        try:
            made = self._shelf.compiler.compile(flat, names.types)
        except CompileError as error:
            said = explain_fault(error, flat, names)
            self.faults.say_inside(path, offset + said.at, said.code, said.fault, said.remedy)
            return None
        for constant in _CONSTANT.finditer(flat) if "duration(" in flat or "timestamp(" in flat else ():
            try:
                self._shelf.compiler.compile(constant[0], {})
            except CompileError as error:
                said = explain_fault(error, constant[0], names)
                self.faults.say_inside(path, offset + constant.start(), said.code, said.fault, said.remedy)
                return None
        secrets = sorted(filter(names.holds_secret, made.refs))
        if secrets and not _may_use_secret(flat, secrets, use):
            fault = f"`{secrets[0]}` is a secret: it may only be joined to a text that is sent."
            remedy = 'Write "${…}" with it, or hand it to basic() or hmac_sha256().'
            self.faults.say_inside(path, offset + max(flat.find(secrets[0]), 0), "secret-misuse", fault, remedy)
            return None
        if names.spelled:
            return self._outside(made, flat, path, offset, names)
        return made

    def _outside(self, made: Expression, text: str, path: Path, offset: int, names: Names) -> Expression | None:
        """An expression of a called file in the names of the journey."""
        used = {name: names.spelled[name] for name in made.refs if name in names.spelled}
        if not used:
            return made
        try:
            return self._shelf.compiler.compile(respell(text, used), names.outer)
        except CompileError as error:
            fault = f"With what `with` gives, this has no meaning: {error.fault}."
            self.faults.say_inside(path, offset, "type-mismatch", fault, "Correct `with`, or this expression.")
            return None

    def _shared(self, text: str, parts: tuple[str | Expression, ...]) -> Template:
        """One template for all that are alike: expressions are shared already, so their identity tells."""
        key = (text, tuple(id(part) for part in parts if isinstance(part, Expression)))
        return self._shelf.templates.setdefault(key, Template(text, parts))


_CONSTANT = re.compile(r"""(?<![\w.])(?:duration|timestamp)\((?:"[^"\\]*"|'[^'\\]*')\)""")
"""Calls whose value is known before the run, also inside of a longer expression."""


def literal(value: Any) -> str:
    """A plain value as an expression that gives it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
            return f'"{escaped}"'
        case float():
            return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value!r}.0"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return str(value)


def as_expression(template: Template) -> str:
    """A template as one expression: what `with` gives, wherever the called file names it."""
    match template.parts:
        case ():
            return '""'
        case (Expression() as only,):
            return f"({only.text})"
    texts = [literal(p) if isinstance(p, str) else f"string({p.text})" for p in template.parts]
    return "(" + " + ".join(texts) + ")"


def _may_use_secret(text: str, secrets: list[str], use: str) -> bool:
    if use == "check":
        return False
    bare = STRINGS.sub(lambda m: "s" * len(m.group()), text)
    for name in secrets:
        for found in re.finditer(rf"(?<![\w.]){re.escape(name)}(?!\w)", bare):
            caller = _caller(bare, found.start())
            joined = use == "template" and not caller and re.fullmatch(r"[\w.\s+()]*", bare)
            if not joined and caller not in ("basic", "hmac_sha256"):
                return False
    return True


def _caller(text: str, at: int) -> str:
    """The function whose argument stands at `at`, or nothing."""
    depth = 0
    for i in range(at - 1, -1, -1):
        if text[i] == ")":
            depth += 1
        elif text[i] == "(":
            if depth == 0:
                word = re.search(r"\w+$", text[:i])
                return word[0] if word else _caller(text, i)
            depth -= 1
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _a(kind: str) -> str:
    return WORDS.get(kind, kind)


WORDS: Mapping[str, str] = {
    "string": "a text",
    "int": "a whole number",
    "uint": "a whole number",
    "double": "a number with a fraction",
    "bool": "true or false",
    "bytes": "bytes",
    "timestamp": "a time",
    "duration": "a duration",
    "list": "a list",
    "map": "a map",
    "text_map": "a map of texts",
    "dyn": "of any type",
    "null": "null",
}

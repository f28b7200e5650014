"""The one language of every expression: Google's CEL, compiled against the names that a place may use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_encoders, ext_optional, ext_strings

from synthmon.core import functions

_TYPES: Mapping[str, Any] = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "string": cel.Type.STRING,
    "bytes": cel.Type.BYTES,
    "timestamp": cel.Type.TIMESTAMP,
    "duration": cel.Type.DURATION,
    "dyn": cel.Type.DYN,
    "list": cel.Type.List(cel.Type.DYN),
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "text_map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}

_NAMES = {"BOOL": "bool", "INT": "int", "DOUBLE": "double", "STRING": "string", "BYTES": "bytes"} | {
    "TIMESTAMP": "timestamp",
    "DURATION": "duration",
}

KEYWORDS = frozenset(
    "true false null in as break const continue else for function if import let loop package namespace return var void "
    "while".split()
)


class CompileError(Exception):
    """An expression that cannot be meant: `column` counts from 1 inside the expression."""

    def __init__(self, column: int, fault: str, name: str = "") -> None:
        super().__init__(fault)
        self.column, self.fault, self.name = column, fault, name


class ExpressionError(Exception):
    """An expression that has no value this time: a key is missing, types do not match, a budget is exceeded."""

    def __init__(self, text: str, fault: str) -> None:
        super().__init__(f"{text}: {fault}")
        self.text, self.fault = text, fault

    @property
    def missing(self) -> bool:
        """Whether a key or an index was not there: `find` reads this as "not found"."""
        return "not found" in self.fault.lower() or "out of bounds" in self.fault.lower()


class Scope:
    """Names and their values at one place of a run; the converted form is made once and shared by every expression."""

    __slots__ = ("_activation", "names")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self._activation: Any = None

    def plus(self, more: Mapping[str, Any]) -> Scope:
        """A scope with more names."""
        return Scope({**self.names, **more})

    def activation(self, env: Any) -> Any:
        """CEL's own form of the values."""
        if self._activation is None:
            self._activation = env.Activation(self.names)
        return self._activation


@dataclass(frozen=True, slots=True)
class Held:
    """How a check came out. `values` are (operand as written, its value), told for a check that does not hold."""

    ok: bool
    values: tuple[tuple[str, Any], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A compiled expression: `type` is a word of `compile`'s vocabulary, `refs` the declared names that it reads."""

    text: str
    type: str
    refs: frozenset[str]
    _program: Any = field(repr=False)
    _env: Any = field(repr=False)

    def value(self, scope: Scope) -> Any:
        """Its value as JSON-like Python (plus datetime, timedelta, bytes). Raises `ExpressionError`."""
        got = self._program.eval(scope.activation(self._env))
        if got.type() == cel.Type.ERROR:
            raise ExpressionError(self.text, _plainly(str(got.value())))
        value = got.plain_value()
        return bytes(value) if isinstance(value, bytearray) else value

    def holds(self, scope: Scope) -> Held:
        """Whether its value is the boolean true; if not, what its operands were."""
        try:
            value = self.value(scope)
        except ExpressionError as error:
            return Held(False, self._operands(scope), error.fault)
        if value is True:
            return Held(True)
        if value is not False:
            return Held(False, ((self.text, value),), "its value is not a boolean")
        return Held(False, self._operands(scope))

    def _operands(self, scope: Scope) -> tuple[tuple[str, Any], ...]:
        shown: list[tuple[str, Any]] = []
        for text in operands(self.text):
            try:
                program = self._env.compile(functions.SEEDED.sub(r"\1(run.seed, ", text))
                got = program.eval(scope.activation(self._env))
            except RuntimeError:
                continue  # an operand inside a macro: its variable is unknown out here
            if got.type() != cel.Type.ERROR:
                value = got.plain_value()
                shown.append((text, bytes(value) if isinstance(value, bytearray) else value))
        return tuple(shown)


class Compiler:
    """Compiles expressions and shares what is alike between them; made for one load of files, then let go."""

    def __init__(self) -> None:
        self._envs: dict[tuple[tuple[str, str], ...], Any] = {}
        self._done: dict[tuple[int, str], Expression] = {}

    def compile(self, text: str, names: Mapping[str, str]) -> Expression:
        """Compile against names → types (bool int double string bytes timestamp duration dyn list map text_map).

        Raises `CompileError` for syntax, an unknown name, a call or operator that no overload fits.
        """
        env = self._env(names)
        key = (id(env), text)
        if key not in self._done:
            self._done[key] = self._compile(text, names, env)
        return self._done[key]

    def _compile(self, text: str, names: Mapping[str, str], env: Any) -> Expression:
        try:
            program = env.compile(text)
            seeded = functions.SEEDED.sub(r"\1(run.seed, ", text)  # after the first compile: columns are the writer's
            program = program if seeded == text else env.compile(seeded)
        except RuntimeError as error:
            raise _compile_error(str(error)) from error
        if not (refs := frozenset(references(seeded, names))):
            got = program.eval()
            if got.type() == cel.Type.ERROR:  # a constant that can never have a value: duration("14d")
                raise CompileError(1, _plainly(str(got.value())))
        return Expression(text, _type_word(program.return_type()), refs, program, env)

    def _env(self, names: Mapping[str, str]) -> Any:
        key = tuple(sorted(names.items()))
        if key not in self._envs:
            self._envs[key] = cel.NewEnv(
                variables={name: _TYPES[kind] for name, kind in key},
                extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_encoders.ExtEncoders()],
                functions=_declared(),
            )
        return self._envs[key]


def references(text: str, names: Iterable[str]) -> set[str]:
    """The declared names that an expression reads, found by its words (strings and bound variables apart)."""
    words = set(_CHAIN.findall(STRINGS.sub('""', text)))
    found = set()
    for name in names:
        for word in words:
            if word == name or (word.startswith(name) and word[len(name)] == "."):
                found.add(name)
    return found


def operands(text: str) -> list[str]:
    """What is worth showing of a check that fails: both sides of each comparison, and bare parts, literals left out."""
    found: list[str] = []
    for clause in _cut(_unwrap(text), ("&&", "||")):
        sides = _cut(_unwrap(clause), ("==", "!=", "<=", ">=", "<", ">", " in "))
        for side in sides:
            bare = _unwrap(side).lstrip("!").strip()
            if bare and not _LITERAL.fullmatch(bare) and bare not in found and (len(sides) > 1 or "(" not in bare):
                found.append(bare)
    return found


STRINGS = re.compile(r"""[rbRB]*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_CHAIN = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)*")
_LITERAL = re.compile(
    r"""-?[\d.]+(?:[eE][-+]?\d+)?u?|true|false|null|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[\]|\{\}|duration\("[^"]*"\)"""
)
_WHERE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")


def _cut(text: str, words: tuple[str, ...]) -> list[str]:
    """Split at operators that stand outside of brackets and strings."""
    masked = STRINGS.sub(lambda m: "\0" * len(m.group()), text)
    pieces, depth, at, i = [], 0, 0, 0
    while i < len(masked):
        depth += (masked[i] in "([{") - (masked[i] in ")]}")
        word = next((w for w in words if depth == 0 and masked.startswith(w, i)), None)
        if word:
            pieces.append(text[at:i])
            i = at = i + len(word)
        else:
            i += 1
    return [piece.strip() for piece in [*pieces, text[at:]]]


def _unwrap(text: str) -> str:
    text = text.strip()
    while text.startswith("(") and text.endswith(")") and len(_cut(text[1:-1], (")",))) == 1:
        text = text[1:-1].strip()
    return text


def _compile_error(message: str) -> CompileError:
    found = _WHERE.search(message)
    if not found:
        return CompileError(1, _plainly(message))
    column, fault = int(found[2]), found[3].replace(" (in container '')", "")
    name = re.search(r"undeclared reference to '([^']+)'", fault)
    return CompileError(column, fault, name[1] if name else "")


def _plainly(message: str) -> str:
    """CEL's words without its status code."""
    return re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message)


def _type_word(kind: Any) -> str:
    name = str(kind.name())
    if name in _NAMES:
        return _NAMES[name]
    upper = str(kind).upper()
    return "list" if "LIST" in upper else "map" if "MAP" in upper and "STRING" in upper else "dyn"


def _declared() -> list[Any]:
    declared = []
    for name, overloads in functions.CATALOGUE.items():
        declared.append(
            cel.FunctionDecl(
                name,
                [
                    cel.Overload(
                        f"{name}_{'_'.join(o.takes)}",
                        return_type=_TYPES[o.gives],
                        parameters=[_TYPES[t] for t in o.takes],
                        impl=o.impl,
                    )
                    for o in overloads
                ],
            )
        )
    return declared

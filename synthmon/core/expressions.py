"""The one language of every expression: Google's CEL, compiled against the names that a place may use."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
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
        return self.fault.startswith(("there is no", "not found"))


class Scope:
    """Names and their values at one place of a run; converted forms are made once and shared by alike expressions."""

    __slots__ = ("_activations", "names")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self._activations: dict[tuple[int, tuple[tuple[str, str], ...]], Any] = {}

    def plus(self, more: Mapping[str, Any]) -> Scope:
        """A scope with more names."""
        return Scope({**self.names, **more})

    def activation(self, env: Any, slots: tuple[tuple[str, str], ...]) -> Any:
        """CEL's own form of the values, for one environment (it knows their types) and the slots that are filled."""
        key = (id(env), slots)
        if key not in self._activations:
            filled = {slot: self.names[name] for slot, name in slots if name in self.names}
            self._activations[key] = env.Activation({**self.names, **filled})
        return self._activations[key]


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
    _slots: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # (slot, the name that fills it)

    def value(self, scope: Scope) -> Any:
        """Its value as JSON-like Python (plus datetime, timedelta, bytes). Raises `ExpressionError`."""
        try:
            got = self._program.eval(scope.activation(self._env, self._slots))
        except RuntimeError as error:  # a budget of the evaluator
            raise ExpressionError(self.text, _plainly(str(error))) from error
        if got.type() == cel.Type.ERROR:
            raise ExpressionError(self.text, self._named(_plainly(str(got.value()))))
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
                program = self._env.compile(respell(_seeded(text), {name: slot for slot, name in self._slots}))
                got = program.eval(scope.activation(self._env, self._slots))
            except RuntimeError:
                continue  # an operand inside a macro: its variable is unknown out here
            if got.type() != cel.Type.ERROR:
                value = got.plain_value()
                shown.append((text, bytes(value) if isinstance(value, bytearray) else value))
        return tuple(shown)

    def _named(self, fault: str) -> str:
        for slot, name in self._slots:
            fault = fault.replace(slot, name)
        return fault


class Compiler:
    """Compiles expressions and shares what is alike between them; made for one load of files, then let go.

    An environment of CEL costs a millisecond and 150 kB, so names that belong to one journey (`order.id`, `vars.sku`)
    are compiled as numbered slots of their type: thousands of different journeys share a handful of environments.
    """

    def __init__(self) -> None:
        self._envs: dict[tuple[tuple[str, str], ...], Any] = {}
        self._programs: dict[tuple[int, str], Any] = {}
        self._chains: dict[str, frozenset[str]] = {}
        self._last_plain: tuple[tuple[tuple[str, str], ...] | None, Any] = (None, None)
        self._done: dict[tuple[str, tuple[tuple[str, str], ...]], Expression] = {}

    def compile(self, text: str, names: Mapping[str, str]) -> Expression:
        """Compile against names → types (bool int double string bytes timestamp duration dyn list map text_map).

        Raises `CompileError` for syntax, an unknown name, a call or operator that no overload fits.
        """
        refs = self._references(text, names)
        key = (text, tuple(sorted((name, names[name]) for name in refs)))
        if key not in self._done:
            self._done[key] = self._compile(text, names, frozenset(refs))
        return self._done[key]

    def _compile(self, text: str, names: Mapping[str, str], refs: frozenset[str]) -> Expression:
        own = sorted(name for name in refs if not _common(name))
        slots = tuple((f"_{names[name]}_{i}", name) for i, name in enumerate(own))
        env = self._env({name: kind for name, kind in names.items() if _common(name)}, len(slots))
        try:
            program = self._program(env, respell(_seeded(text), {name: slot for slot, name in slots}))
        except RuntimeError:
            spelled = {name: f"{name[:-1]}_" for name in names if name in _CEL_TYPES}
            slots, env = (), self._plain({spelled.get(name, name): kind for name, kind in names.items()})
            program = _in_words(respell(text, spelled), env)  # as the writer wrote it, for the fault and its column
        made = Expression(text, _type_word(program.return_type()), refs, program, env, slots)
        if not refs:
            try:
                made.value(Scope({}))
            except ExpressionError as error:  # a constant that can never have a value: duration("14d")
                raise CompileError(1, error.fault) from error
        return made

    def _references(self, text: str, names: Mapping[str, str]) -> set[str]:
        if text not in self._chains:
            self._chains[text] = chains(_seeded(text))
        return {name for chain in self._chains[text] if (name := _declared_part(chain, names))}

    def _plain(self, names: Mapping[str, str]) -> Any:
        """An environment without slots; the last one is kept, since mistakes come in alike files."""
        key = tuple(sorted(names.items()))
        if self._last_plain[0] != key:
            self._last_plain = (key, _environment(names))
        return self._last_plain[1]

    def _program(self, env: Any, text: str) -> Any:
        key = (id(env), text)
        if key not in self._programs:
            self._programs[key] = env.compile(text)
        return self._programs[key]

    def _env(self, common: Mapping[str, str], slots: int) -> Any:
        places = -(-slots // _SLOTS) * _SLOTS or _SLOTS
        key = (*sorted(common.items()), ("", str(places)))
        if key not in self._envs:
            numbered = {f"_{kind}_{i}": kind for kind in _TYPES for i in range(places)}
            self._envs[key] = _environment({**common, **numbered})
        return self._envs[key]


_SLOTS = 6  # of each type, to begin with; an expression that reads more names gets an environment with more


def _common(name: str) -> bool:
    """Whether many journeys have this name: `run.id`, `status`, `body`."""
    return name.startswith("run.") or ("." not in name and name not in _CEL_TYPES)


_CEL_TYPES = frozenset("bool bytes double dyn int list map null_type string type uint".split())
"""CEL's own words for types: no variable may have such a name, so one (`bytes`) is always a slot."""


def _seeded(text: str) -> str:
    return functions.SEEDED.sub(r"\1(run.seed, ", text)


def _in_words(text: str, env: Any) -> Any:
    """Compile without slots. Raises `CompileError`."""
    try:
        env.compile(text)  # without the seed: columns are the writer's
        return env.compile(_seeded(text))
    except RuntimeError as error:
        raise _compile_error(str(error), text) from error


def _environment(names: Mapping[str, str]) -> Any:
    return cel.NewEnv(
        variables={name: _TYPES[kind] for name, kind in names.items()},
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_encoders.ExtEncoders()],
        functions=_declared(),
    )


def respell(text: str, spelled: Mapping[str, str]) -> str:
    """The expression with names written otherwise (name → text); strings and bound variables are left alone."""
    if not spelled:
        return text
    bound = _bound(text)

    def replace(found: re.Match[str]) -> str:
        word = found.group()
        if found.lastgroup != "chain" or _is_call(word, text, found.end()):
            return word
        word = "".join(word.split())  # blanks may stand around a dot
        name = "" if word.partition(".")[0] in bound else _declared_part(word, spelled)
        return spelled[name] + word[len(name) :] if name else found.group()

    return _STRING_OR_CHAIN.sub(replace, text)


def references(text: str, names: Container[str]) -> set[str]:
    """The declared names that an expression reads, found by its words (strings and bound variables apart)."""
    return {name for chain in chains(text) if (name := _declared_part(chain, names))}


def chains(text: str) -> frozenset[str]:
    """Every `a.b.c` of an expression that may be a name: no function, nothing in a string, no bound variable."""
    bare = STRINGS.sub('""', text)
    bound = _bound(bare)
    found = (f for f in _CHAIN.finditer(bare) if not _is_call(f.group(), bare, f.end()))
    words = ("".join(f.group().split()) for f in found)
    return frozenset(word for word in words if word.partition(".")[0] not in bound)


def _is_call(word: str, text: str, end: int) -> bool:
    """Whether a word that ends here is the name of a function: `bytes("a")`."""
    return "." not in word and text[end : end + 1] == "("


def _declared_part(word: str, names: Container[str]) -> str:
    """The longest declared name that a chain `a.b.c` begins with, or nothing."""
    while word not in names:
        word, dot, _ = word.rpartition(".")
        if not dot:
            return ""
    return word


def _bound(text: str) -> set[str]:
    return set(_MACRO.findall(text))


def operands(text: str) -> list[str]:
    """What is worth showing of a check that fails: both sides of each comparison, and bare parts, literals left out."""
    found: list[str] = []
    for clause in _clauses(text):
        sides = _cut(clause, ("==", "!=", "<=", ">=", "<", ">", " in "))
        for side in sides:
            bare = _unwrap(side)
            lone_call = len(sides) == 1 and "(" in bare  # has() and exists() tell nothing by their value
            if bare and bare[0] not in "[{" and not lone_call and not _LITERAL.fullmatch(bare) and bare not in found:
                found.append(bare)
    return found


def _clauses(text: str) -> list[str]:
    """What `&&`, `||` and `!` join, taken apart."""
    bare = _unwrap(text)
    pieces = _cut(bare, ("&&", "||"))
    if len(pieces) > 1:
        return [clause for piece in pieces for clause in _clauses(piece)]
    return _clauses(bare[1:]) if bare.startswith("!") else [bare]


STRINGS = re.compile(r"""[rbRB]*("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_CHAIN = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\s*\.\s*\w+)*")
_STRING_OR_CHAIN = re.compile(rf"(?:{STRINGS.pattern})|(?P<chain>{_CHAIN.pattern})")
_MACRO = re.compile(r"\.(?:all|exists|exists_one|existsOne|map|filter|optMap|optFlatMap)\(\s*([A-Za-z_]\w*)\s*,")
_LITERAL = re.compile(
    r"""-?[\d.]+(?:[eE][-+]?\d+)?u?|true|false|null|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[\]|\{\}|duration\("[^"]*"\)"""
)
_NO_KEY = re.compile(r"Key not found in map : (.*)")
_NO_ITEM = re.compile(r"Index error: index=(-?\d+) size=(\d+)")
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
    while text.startswith("(") and _closes_at(text) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _closes_at(text: str) -> int:
    """Where the bracket closes that a text begins with."""
    depth = 0
    for i, char in enumerate(STRINGS.sub(lambda m: "\0" * len(m.group()), text)):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return i
    return -1


def _compile_error(message: str, text: str) -> CompileError:
    """What CEL says, its column counted in the whole of a text of many lines."""
    found = _WHERE.search(message)
    if not found:
        return CompileError(1, _plainly(message))
    column = sum(len(line) + 1 for line in text.split("\n")[: int(found[1]) - 1]) + int(found[2])
    fault = found[3].replace(" (in container '')", "")
    name = re.search(r"undeclared reference to '([^']+)'", fault)
    return CompileError(column, fault, name[1] if name else "")


def _plainly(message: str) -> str:
    """CEL's words without its status code, and the two commonest in words of our own."""
    bare = re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", message)
    if found := _NO_KEY.fullmatch(bare):
        return f"there is no key {found[1]}"
    if found := _NO_ITEM.fullmatch(bare):
        return f"there is no item {found[1]} in a list of {found[2]}"
    return bare


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

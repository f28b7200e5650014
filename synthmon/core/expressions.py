"""The one language of every expression: Google's CEL, compiled against the names that a place may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_encoders, ext_optional, ext_strings

from synthmon.core import functions
from synthmon.core.cel_faults import located, plainly
from synthmon.core.words import chains, declared_part, operands, recall, respell

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
    """Names and their values at one place of a run; CEL's form of them is made once for all that is evaluated there."""

    __slots__ = ("_activations", "names")

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self._activations: dict[tuple[int, int], Any] = {}

    def plus(self, more: Mapping[str, Any]) -> Scope:
        """A scope with more names."""
        return Scope({**self.names, **more})

    def activation(self, env: Any, layout: Mapping[str, str]) -> Any:
        """CEL's own form of the values, for one environment and the slots that stand for the journey's own names."""
        key = (id(env), id(layout))
        made = self._activations.get(key)
        if made is None:
            spelled = {layout.get(name, name): value for name, value in self.names.items()} if layout else self.names
            made = self._activations[key] = env.Activation(spelled)
        return made


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
    _layout: Mapping[str, str] = field(repr=False)  # name → the slot that stands for it
    _compile: Callable[[Any, str], Any] = field(repr=False)  # an operand of a check that does not hold

    def value(self, scope: Scope) -> Any:
        """Its value as JSON-like Python (plus datetime, timedelta, bytes). Raises `ExpressionError`."""
        if self.text in self.refs and type(said := scope.names.get(self.text)) is str:
            return said  # `${order.id}`, the commonest of all: CEL would give the same text back
        try:
            got = self._program.eval(scope.activation(self._env, self._layout))
        except RuntimeError as error:  # a budget of the evaluator
            raise ExpressionError(self.text, plainly(str(error))) from error
        if got.type() == cel.Type.ERROR:
            raise ExpressionError(self.text, self._named(plainly(str(got.value()))))
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
                program = self._compile(self._env, respell(_seeded(text), self._layout))
                got = program.eval(scope.activation(self._env, self._layout))
            except RuntimeError:
                continue  # an operand inside a macro: its variable is unknown out here
            if got.type() != cel.Type.ERROR:
                value = got.plain_value()
                shown.append((text, bytes(value) if isinstance(value, bytearray) else value))
        return tuple(shown)

    def _named(self, fault: str) -> str:
        for name in self.refs & self._layout.keys():
            fault = fault.replace(self._layout[name], name)
        return fault


class Compiler:
    """Compiles expressions and shares what is alike between them; made for one load of files, then let go.

    An environment of CEL costs a millisecond and 150 kB, so names that belong to one journey (`order.id`, `vars.sku`)
    are compiled as slots, numbered by type in the order in which the journey declares them: thousands of different
    journeys share a handful of environments, and all expressions of one place share their values.
    """

    def __init__(self) -> None:
        self._envs: dict[tuple[tuple[str, str], ...], Any] = {}
        self._programs: dict[tuple[int, str], Any] = {}
        self._chains: dict[str, frozenset[str]] = {}
        self._layouts: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        self._done: dict[tuple[str, int, int], Expression] = {}
        # in an outage the same checks fail again and again; no more are kept, as each is a few kilobytes
        self._operand = lru_cache(maxsize=_MOST_OPERANDS)(_compiled)

    def compile(self, text: str, names: Mapping[str, str]) -> Expression:
        """Compile against names → types (bool int double string bytes timestamp duration dyn list map text_map).

        Raises `CompileError` for syntax, an unknown name, a call or operator that no overload fits.
        """
        layout = self._layout(names)
        env = self._env({name: kind for name, kind in names.items() if _common(name)}, layout)
        key = (text, id(env), id(layout))
        if key not in self._done:
            self._done[key] = self._compile(text, names, env, layout)
        return self._done[key]

    def _compile(self, text: str, names: Mapping[str, str], env: Any, layout: Mapping[str, str]) -> Expression:
        refs = frozenset(self._references(text, names))
        try:
            program = self._program(env, respell(_seeded(text), layout))
        except RuntimeError:
            layout = {name: f"{name[:-1]}_" for name in names if name in _CEL_TYPES}
            env = _environment({layout.get(name, name): kind for name, kind in names.items()})
            program = _in_words(respell(text, layout), env)  # as the writer wrote it, for the fault and its column
        made = Expression(text, _type_word(program.return_type()), refs, program, env, layout, self._operand)
        if not refs:
            try:
                made.value(Scope({}))
            except ExpressionError as error:  # a constant that can never have a value: duration("14d")
                raise CompileError(1, error.fault) from error
        return made

    def _references(self, text: str, names: Mapping[str, str]) -> set[str]:
        if text not in self._chains:
            self._chains[text] = chains(_seeded(text))
        return {name for chain in self._chains[text] if (name := declared_part(chain, names))}

    def _program(self, env: Any, text: str) -> Any:
        key = (id(env), text)
        if key not in self._programs:
            self._programs[key] = env.compile(text)
        return self._programs[key]

    def _layout(self, names: Mapping[str, str]) -> Mapping[str, str]:
        own = tuple((name, kind) for name, kind in names.items() if not _common(name))
        if own not in self._layouts:
            counts: dict[str, int] = {}
            layout = {}
            for name, kind in own:
                layout[name] = f"_{kind}_{counts.get(kind, 0)}"
                counts[kind] = counts.get(kind, 0) + 1
            self._layouts[own] = layout
        return self._layouts[own]

    def _env(self, common: Mapping[str, str], layout: Mapping[str, str]) -> Any:
        most = max((int(slot.rpartition("_")[2]) + 1 for slot in layout.values()), default=0)
        places = -(-most // _SLOTS) * _SLOTS or _SLOTS
        key = (*sorted(common.items()), ("", str(places)))
        if key not in self._envs:
            numbered = {f"_{kind}_{i}": kind for kind in _TYPES for i in range(places)}
            self._envs[key] = _environment({**common, **numbered})
        return self._envs[key]


def _compiled(env: Any, text: str) -> Any:
    return env.compile(text)


_MOST_OPERANDS = 1_000  # whose programs are kept
_SLOTS = 8  # of each type, to begin with; a journey with more names of a type gets an environment with more


def _common(name: str) -> bool:
    """Whether many journeys have this name: `run.id`, `status`, `body`."""
    return name.startswith("run.") or ("." not in name and name not in _CEL_TYPES)


_CEL_TYPES = frozenset("bool bytes double dyn int list map null_type string type uint".split())
"""CEL's own words for types: no variable may have such a name, so one (`bytes`) is always a slot."""


def _seeded(text: str) -> str:
    return recall(text, functions.SEEDED, functions.BOUNDED)


def _in_words(text: str, env: Any) -> Any:
    """Compile without slots. Raises `CompileError`."""
    try:
        env.compile(text)  # without the seed: columns are the writer's
        return env.compile(_seeded(text))
    except RuntimeError as error:
        raise CompileError(*located(str(error), text)) from error


def _environment(names: Mapping[str, str]) -> Any:
    return cel.NewEnv(
        variables={name: _TYPES[kind] for name, kind in names.items()},
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_encoders.ExtEncoders()],
        functions=_declared(),
    )


def _type_word(kind: Any) -> str:
    name = str(kind.name())
    if name in _NAMES:
        return _NAMES[name]
    upper = str(kind).upper()
    return "list" if "LIST" in upper else "map" if "MAP" in upper and "STRING" in upper else "dyn"


def _declared() -> list[Any]:
    called = [cel.FunctionDecl(name, [_overload(name, o) for o in each]) for name, each in functions.CATALOGUE.items()]
    asked = [
        cel.FunctionDecl(f"{name}_", [_overload(f"{name}_", o, member=True) for o in each])
        for name, each in functions.BOUNDED.items()
    ]
    return called + asked


def _overload(name: str, overload: functions.Overload, member: bool = False) -> Any:
    return cel.Overload(
        f"{name}_{'_'.join(overload.takes)}",
        return_type=_TYPES[overload.gives],
        parameters=[_TYPES[each] for each in overload.takes],
        is_member=member,
        impl=overload.impl,
    )

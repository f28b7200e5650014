"""What is wrong with an expression, in the words of the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from synthmon.core import functions
from synthmon.core.expressions import CompileError
from synthmon.core.words import STRINGS
from synthmon.language.name_faults import Said, explain_name
from synthmon.language.names import Names
from synthmon.language.words import meant

CEL_FUNCTIONS = frozenset(
    "size has matches contains startsWith endsWith int uint double string bytes bool timestamp duration type "
    "dyn all exists "
    "exists_one map filter charAt indexOf join lastIndexOf lowerAscii quote replace reverse split strings "
    "substring trim "
    "upperAscii format base64 optional getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours "
    "getMilliseconds getMinutes getMonth getSeconds encode decode of none ofNonZeroValue value hasValue or "
    "orValue optMap "
    "optFlatMap".split()
)
"""CEL's own functions and macros, with the extensions strings, optional and encoders."""


def explain_fault(error: CompileError, text: str, names: Names) -> Said:
    """What a `CompileError` means for a person."""
    at = max(error.column - 1, 0)
    if error.name:
        start = text.rfind(error.name, 0, at + len(error.name))
        start = at if start < 0 else start
        if text[start + len(error.name) :].lstrip().startswith("("):
            return _function(start, error.name, text)
        return explain_name(start, error.name, names)
    if found := _OVERLOAD.search(error.fault):
        return _mismatch(at, found[1], found[2])
    if error.fault.startswith("Syntax error"):
        return _syntax(at, text, error.fault)
    if "select operation" in error.fault:
        kind = (re.search(r"type '(\w+)'", error.fault) or ["", "this type"])[1]
        return Said(at, "type-mismatch", f"{_said(kind).capitalize()} has no fields.", "Remove what follows the dot.")
    if error.fault.startswith("expected type"):
        return Said(
            at, "type-mismatch", f"The types do not fit: {error.fault}.", "Convert with string(…), int(…) or double(…)."
        )
    fault = f"It can never have a value: {error.fault}."
    remedy = (
        "Durations in expressions end in h, m, s or ms; for days write days(14)."
        if "uration" in error.fault
        else "Correct it."
    )
    return Said(at, "bad-constant", fault, remedy)


_OVERLOAD = re.compile(r"found no matching overload for '([^']+)' applied to '\(?(.*?)\)?'$")


def _function(at: int, name: str, text: str) -> Said:
    if name in functions.CATALOGUE:
        forms = " or ".join(
            f"{name}({', '.join(o.takes)})"
            for o in functions.CATALOGUE[name]
            if ("seed" not in name and o.takes[:1] != ("int",)) or name == "days"
        )
        return Said(at, "wrong-arguments", f"`{name}` does not fit these arguments.", f"It takes {forms}.")
    if name in CEL_FUNCTIONS:
        remedy = "See the CEL language definition; on a text write text.matches(…), on anything size(…)."
        return Said(at, "wrong-arguments", f"`{name}` does not fit these arguments.", remedy)
    if name in _ALSO_CALLED:
        return Said(
            at, "unknown-function", f"There is no function `{name}`.", f"It is called `{_ALSO_CALLED[name]}` here."
        )
    known = {*functions.CATALOGUE, *CEL_FUNCTIONS}
    return Said(
        at,
        "unknown-function",
        f"There is no function `{name}`.",
        meant(name, known, "`synthmon explain functions` lists them."),
    )


_ALSO_CALLED: Mapping[str, str] = {
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "upper": "upperAscii",
    "strip": "trim",
    "regex": "matches",
    "any": "exists",
    "now": "run.started",
    "str": "string",
    "float": "double",
}


def _mismatch(at: int, operator: str, types: str) -> Said:
    left, _, right = _two(types)
    sides = f"{_said(left)} and {_said(right)}" if right else _said(left)
    match operator:
        case "_==_" | "_!=_":
            fault = f"{sides} are never equal." if operator == "_==_" else f"{sides} always differ."
            return Said(at, "type-mismatch", fault[0].upper() + fault[1:], _convert(left, right))
        case "_?_:_":
            return Said(
                at, "type-mismatch", "The condition before `?` is not true or false.", "Compare it with something."
            )
        case "@in":
            return Said(
                at,
                "type-mismatch",
                f"`in` does not find {_said(left)} in {_said(right)}.",
                _convert(left, right.removeprefix("list(").rstrip(")")),
            )
        case "!_" | "_&&_" | "_||_":
            return Said(
                at,
                "type-mismatch",
                f"`{operator.replace('_', '')}` works on true and false, not on {sides}.",
                "Compare it with something.",
            )
    if operator.startswith(("_", "-")):
        word = operator.replace("_", "")
        return Said(at, "type-mismatch", f"`{word}` does not work on {sides}.", _convert(left, right))
    arguments = ", ".join(_said(kind) for kind in types.split(", "))
    remedy = (
        f"It takes {' or '.join('(' + ', '.join(o.takes) + ')' for o in functions.CATALOGUE[operator])}."
        if operator in functions.CATALOGUE
        else "Convert with string(…), int(…) or double(…)."
    )
    return Said(at, "wrong-arguments", f"`{operator}` does not take {arguments}.", remedy)


def _two(types: str) -> tuple[str, str, str]:
    depth = 0
    for i, char in enumerate(types):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            return types[:i].strip(), ",", types[i + 1 :].strip()
    return types.strip(), "", ""


def _convert(left: str, right: str) -> str:
    numbers = {"int", "uint", "double"}
    left, right = (kind.removeprefix("google.protobuf.").lower() for kind in (left, right))
    match left, right:
        case (a, "string") if a in numbers:
            return "Drop the quotes of the text, or convert: string(…)."
        case ("string", b) if b in numbers:
            return "Put the number in quotes, or convert: int(…), double(…)."
        case ("int", "double") | ("double", "int"):
            return "Write both with a fraction, or convert: double(…)."
        case ("duration", b) if b in numbers | {"string"}:
            return 'Write a duration: duration("1.5s").'
        case ("timestamp", b) if b in numbers | {"string"}:
            return 'Write a time: timestamp("2026-01-01T00:00:00Z").'
    return "Convert one of them: string(…), int(…), double(…)."


_WORDS: Mapping[str, str] = {
    "string": "a text",
    "int": "a whole number",
    "uint": "a whole number",
    "double": "a number with a fraction",
    "bool": "a boolean",
    "bytes": "bytes",
    "timestamp": "a time",
    "duration": "a duration",
    "google.protobuf.Timestamp": "a time",
    "google.protobuf.Duration": "a duration",
    "dyn": "anything",
    "null": "null",
    "null_type": "null",
}


def _said(kind: str) -> str:
    if kind.startswith("list("):
        return "a list"
    return "a map" if kind.startswith("map(") else _WORDS.get(kind, kind)


_SIGNS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda t: "${" in t, "An expression stands bare here: drop `${` and `}`."),
    (
        lambda t: t.count('"') % 2 or t.count("'") % 2,
        "A quote is not closed; ` #` begins a comment in YAML, so put the whole expression in single quotes.",
    ),
    (lambda t: re.search(r"===|!==|=~|~=", t), "Compare with `==` or `!=`; for a pattern write text.matches(…)."),
    (lambda t: re.search(r"(?<![=!<>])=(?!=)", t), "Compare with `==`."),
    (lambda t: re.search(r"(?<!\w)(and|or|not)(?!\w)", t), "Write `&&`, `||` and `!` for and, or and not."),
    (lambda t: re.search(r"(?<![\w.\"'])\d+(ms|s|m|h)\b", t), 'A span of time is written duration("2s").'),
    (lambda t: ";" in t, "Remove the `;`."),
    (lambda t: "[*]" in t or "[?" in t, "Ask a list with .all(x, …), .exists(x, …), .map(x, …) or .filter(x, …)."),
    (lambda t: t.count("(") != t.count(")") or t.count("[") != t.count("]"), "Close the bracket."),
)


def _syntax(at: int, text: str, fault: str) -> Said:
    bare = STRINGS.sub(lambda found: "s" * len(found.group()), text)
    remedy = next(
        (remedy for sign, remedy in _SIGNS if sign(bare)),
        'Write a CEL expression: status == 201 && body.state == "open".',
    )
    said = re.sub(r" expecting .*", "", fault.removeprefix("Syntax error: "))
    said = (
        said.replace("<EOF>", "the end")
        .replace("mismatched input", "cannot read")
        .replace("extraneous input", "cannot read")
        .replace("token recognition error at:", "cannot read")
    )
    return Said(min(at, max(len(text) - 1, 0)), "bad-expression", f"This is not an expression: {said}.", remedy)

"""Collects what is wrong, and says pydantic's findings in the words of a person: place, fault, remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from synthmon.core.errors import Problem
from synthmon.language.fault_words import PATTERNS, REMEDIES, WANTED, kind, written
from synthmon.language.marks import Marks, Path
from synthmon.language.words import listed, near

_WORD = re.compile(r"[A-Za-z_][\w.]*")
M = TypeVar("M", bound=BaseModel)
_NONE: Mapping[str, str] = MappingProxyType({})


class Faults:
    """The problems of one document, as they are found; places come from its marks."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.problems: list[Problem] = []

    def say(self, path: Path, code: str, fault: str, remedy: str, *, at_key: bool = False) -> None:
        """An error at a value, or at its key."""
        place = self.marks.key(path) if at_key else self.marks.value(path)
        self.problems.append(Problem(place, code, fault, remedy))

    def say_inside(self, path: Path, offset: int, code: str, fault: str, remedy: str) -> None:
        """An error at a character (from 0) of a text."""
        self.problems.append(Problem(self.marks.inside(path, offset), code, fault, remedy))

    def warn(self, path: Path, code: str, fault: str, remedy: str) -> None:
        """A warning at a value."""
        self.problems.append(Problem(self.marks.value(path), code, fault, remedy, "warning"))


def check_keys(
    model: type[M],
    tree: Any,
    path: Path,
    faults: Faults,
    not_yet: Mapping[str, str] = _NONE,
    elsewhere: Mapping[str, str] = _NONE,
    hollow: bool = False,
) -> M | None:
    """The tree as a model. Faults are said; keys with a fault are left out then, so that the rest is looked at too.

    `not_yet`: keys of the language that this version refuses, with what they would do. `elsewhere`: keys that belong
    to another map, with the name of that map. None if a key that must be there has a fault, unless it may be `hollow`.
    """
    if not isinstance(tree, dict):
        shown = "empty" if tree is None else f"{kind(tree)}"
        faults.say(path, "wrong-type", f"This is {shown}, not a map.", "Write `key: value` lines.")
        return None
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        found = _without_echoes(error.errors(include_url=False, include_context=True), tree)
    for one in found:
        _say(model, one, path, faults, not_yet, elsewhere)
    spoilt = {one["loc"][0] for one in found if one["loc"]}
    rest = {key: value for key, value in tree.items() if key not in spoilt}
    try:
        return model.model_validate(rest)
    except ValidationError:
        return _without_required(model, rest) if hollow else None


def _without_echoes(found: Sequence[Mapping[str, Any]], tree: Any) -> list[Mapping[str, Any]]:
    """One fault for each value: a union of forms reports each form that does not fit, and the closest one counts."""
    best: dict[Path, Mapping[str, Any]] = {}
    unknown = {tuple(one["loc"][:-1]) for one in found if one["type"] == "extra_forbidden"}
    for one in found:
        if one["type"] == "missing" and "expect" in one["loc"] and tuple(one["loc"][:-1]) in unknown:
            continue  # not a check that lacks something, but something else
        loc: Path = tuple(one["loc"])
        real = _real(loc, tree)
        tagged = len(real) < len(loc) and one["type"] != "missing"
        field = real[: len(loc) - 1] if tagged and not isinstance(one.get("input"), dict) else real
        deeper = [path for path in best if path[: len(field)] == field and len(path) > len(field)]
        if not (tagged and (deeper or field in best)):
            best[real if one["type"] != "missing" else loc] = one
    return list(best.values())


def _real(loc: Path, tree: Any) -> Path:
    """The part of a place that is in the tree; the others are names of forms."""
    real: list[str | int] = []
    for step in loc:
        match tree:
            case dict() if step in tree:
                tree = tree[step]
            case list() if isinstance(step, int) and step < len(tree):
                tree = tree[step]
            case _:
                continue
        real.append(step)
    return tuple(real)


_HOLES: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {"journey": ("unnamed", "unnamed"), "steps": ([None], []), "together": ([None, None], [])}
)
"""What stands for a key that must be there and has a fault: to get past the model, and afterwards."""


def _without_required(model: type[M], tree: Mapping[str, Any]) -> M | None:
    """A model that lacks what it must have: read as far as it goes, in a document that is refused anyway."""
    holes = {key for key, about in model.model_fields.items() if about.is_required() and key not in tree}
    if not holes <= set(_HOLES):
        return None
    made = model.model_validate({**tree, **{key: _HOLES[key][0] for key in holes}})
    return made.model_copy(update={key: _HOLES[key][1] for key in holes})


def say_broken(word: str, origin: object, error: Exception, path: Path, faults: Faults) -> None:
    """A defect of the kind that a key chooses: it is the kind's author's, and not that of who wrote the key."""
    fault = f"`{word}` of {origin} failed: {type(error).__name__}: {str(error)[:200]}."
    faults.say(path, "broken-kind", fault, "Tell whoever wrote that kind.", at_key=True)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a model as they are written."""
    return [_key(model, name) for name in model.model_fields]


def _key(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def _say(
    model: type[BaseModel],
    one: Mapping[str, Any],
    path: Path,
    faults: Faults,
    not_yet: Mapping[str, str],
    elsewhere: Mapping[str, str],
) -> None:
    where: Path = (*path, *one["loc"])
    context, given = one.get("ctx", {}), one.get("input")
    match one["type"]:
        case "extra_forbidden":
            key = str(one["loc"][-1])
            known = _known_beside(model, one["loc"])
            if "expect" in where[-4:-1] and _WORD.fullmatch(key) and not near(key, known) and written(given):
                remedy = f"A check is an expression: `{key} == {written(given)}`."
                faults.say(where, "unknown-key", f"There is no key `{key}` here.", remedy, at_key=True)
                return
            _say_unknown(
                key,
                known,
                where,
                faults,
                not_yet if len(one["loc"]) == 1 else _NONE,
                elsewhere if len(one["loc"]) == 1 else _NONE,
            )
        case "missing":
            key = str(one["loc"][-1])
            faults.say(where[:-1], "missing-key", f"`{key}` is missing.", f"Add `{key}:`.")
        case code if "remedy" in context:
            at_key = bool(one["loc"]) and one["loc"][-1] == "[key]"
            faults.say(where, code, _sentence(str(context["fault"])), str(context["remedy"]), at_key=at_key)
        case "string_pattern_mismatch":
            faults.say(
                where,
                "bad-name",
                f"{given!r} is not a name.",
                PATTERNS.get(context["pattern"], f"It must match {context['pattern']}."),
            )
        case "literal_error":
            words = str(context["expected"]).replace("'", "`")
            guess = near(str(given), [w.strip("` ") for w in words.replace(" or ", ", ").split(",")])
            remedy = f"Did you mean `{guess}`? It may be {words}." if guess else f"It may be {words}."
            faults.say(where, "unknown-word", f"{given!r} is not a word that fits here.", remedy)
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            bound = next(iter(context.values()))
            side = "at least" if "greater" in one["type"] else "at most"
            faults.say(where, "out-of-range", f"{given} is out of range.", f"Write {side} {bound}.")
        case "too_short" | "string_too_short":
            few = f"`{_last(where)}` holds fewer than {context.get('min_length')} entries."
            fault = few if context.get("min_length", 1) > 1 else f"`{_last(where)}` is empty."
            faults.say(where, "empty", fault, "Write something there, or remove the key.")
        case "too_long":
            faults.say(
                where,
                "out-of-range",
                f"`{_last(where)}` has {len(given) if isinstance(given, dict | list) else 'too many'} entries.",
                f"Keep at most {context['max_length']}.",
            )
        case _:
            wanted = WANTED.get(one["type"], str(one["msg"]).removeprefix("Input should be "))
            remedy = REMEDIES.get(one["type"], f"Write {wanted}.")
            if one["type"] == "string_type" and isinstance(given, dict):
                remedy = "Write one text behind the colon, and nothing below it."
            elif one["type"].startswith("model") and (keys := _known_beside(model, (*one["loc"], ""))):
                remedy = f"Write `key: value` lines below it. Keys there: {listed(keys, 12)}."
            faults.say(where, "wrong-type", f"`{_last(where)}` is {kind(given)}, not {wanted}.", remedy)


def _say_unknown(
    key: str, known: list[str], where: Path, faults: Faults, not_yet: Mapping[str, str], elsewhere: Mapping[str, str]
) -> None:
    if key in not_yet:
        faults.say(
            where,
            "not-yet",
            f"{not_yet[key]} cannot be used in this version.",
            "Leave it out; `synthmon explain` lists what there is.",
            at_key=True,
        )
    elif key == "<<":
        faults.say(
            where,
            "unknown-key",
            "`<<` (merge) is not part of YAML 1.2.",
            "Write the keys out, or share steps with `call`.",
            at_key=True,
        )
    elif any(sign in key for sign in ("==", "&&", "||", "(", "!=", ">=", "<=", "[")):
        faults.say(
            where,
            "yaml-quote",
            "YAML reads this expression as a map, because of the `: ` in it.",
            "Put the whole expression in single quotes.",
            at_key=True,
        )
    elif key in elsewhere and near(key, known) != key:
        faults.say(
            where, "unknown-key", f"`{key}` does not belong here.", f"It is a key of {elsewhere[key]}.", at_key=True
        )
    else:
        guess = near(key, known)
        remedy = f"Did you mean `{guess}`?" if guess else f"Keys here: {listed(known, 40)}."
        faults.say(where, "unknown-key", f"There is no key `{key}` here.", remedy, at_key=True)


def _known_beside(model: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """The keys of the map in which an unknown key stands."""
    here: Any = model
    for step in loc[:-1]:
        if isinstance(step, str) and isinstance(here, type) and issubclass(here, BaseModel):
            field = next((f for n, f in here.model_fields.items() if step in (n, f.alias)), None)
            here = _model_in(field.annotation) if field else here
    return keys_of(here) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The one model that stands somewhere inside a type, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _model_in(part))), None)


def _last(path: Path) -> str:
    return next(
        (str(step) for step in reversed(path) if isinstance(step, str) and step not in ("text", "map", "[key]")), "it"
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "…")) else f"{text}."

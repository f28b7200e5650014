"""How orphans are listed when the journal is lost: the `sweep` of an undo, and what it may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from synthmon.core.expressions import Expression
from synthmon.core.journey import Sweep
from synthmon.language.faults import check_keys
from synthmon.language.marks import Path
from synthmon.language.names import Names
from synthmon.language.schema import NOT_YET
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import SweepKeys
from synthmon.language.words import listed

_KNOWN = ("case.", "secret.", "run.location", "run.instance")
_TYPES = {"each": ("list",), "tag": ("string",), "at": ("timestamp",)}
_WORDS = {"list": "a list", "string": "a text", "timestamp": "a timestamp"}


def compile_sweep(
    raw: Any, path: Path, step_id: str, before: Names, wanted: frozenset[str], parts: Parts, system: str | None
) -> Sweep | None:
    """The sweep of a step's undo. `before` are the names that the step had, `wanted` those that its undo reads."""
    chosen = parts.choose(raw, path, structure=False)
    keys = check_keys(chosen.sweep, raw, path, parts.faults, NOT_YET["look"]) if chosen and chosen.sweep else None
    if chosen is None or not isinstance(keys, SweepKeys):
        return None
    names = replace(before, types=_known(before.types), outer=_known(before.outer))
    asking = names.plus({"page": "string"})
    made = parts.spec(chosen.kind, keys, raw, path, asking, system)
    seen, item = asking.plus(chosen.kind.offers), names.plus({"item": "dyn"})
    each = parts.expressions.value(keys.each, (*path, "each"), seen)
    following = parts.expressions.value(keys.next, (*path, "next"), seen) if keys.next else None
    tag = parts.expressions.value(keys.tag, (*path, "tag"), item)
    at = parts.expressions.value(keys.at, (*path, "at"), item)
    save = parts.saves(keys.save, (*path, "save"), item)
    _check_values(wanted, {f"{step_id}.{name}" for name, _ in save}, path, step_id, parts)
    for word, expression in (("each", each), ("tag", tag), ("at", at)):
        _check_form(word, expression, path, parts)
    if made is None or each is None or tag is None or at is None:
        return None
    if made[0].effect:
        fault = "`sweep` changes the system: it lists, and `undo` takes back what is ours."
        parts.faults.say((*path, chosen.kind.word), "look-writes", fault, "Use a read, such as GET.")
    return Sweep(made[0], each, tag, at, save, following)


def _known(types: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in types.items() if name.startswith(_KNOWN)}


def _check_values(wanted: frozenset[str], saved: set[str], path: Path, step_id: str, parts: Parts) -> None:
    """After a lost journal nothing is known of the run but its namespace."""
    missing = sorted(n for n in wanted - saved if not n.startswith(_KNOWN) and n != "run.namespace")
    if own := [name for name in missing if name.startswith(f"{step_id}.")]:
        fault = f"The undo needs {listed(f'`{name}`' for name in own)}, which `sweep` does not save."
        words = (f"`{name.removeprefix(step_id)[1:]}`" for name in own)
        parts.faults.say(path, "sweep-misses-value", fault, f"Save {listed(words)} there, from `item`.")
    elif missing:
        fault = f"The undo needs `{missing[0]}`, which nobody knows when the journal is lost."
        remedy = "Let the undo use only what the step itself saves, and `save` that in `sweep` from `item`."
        parts.faults.say(path, "sweep-misses-value", fault, remedy)


def _check_form(word: str, expression: Expression | None, path: Path, parts: Parts) -> None:
    if expression is None:
        return
    if word != "each" and "item" not in expression.refs:
        fault = f"`{word}` does not look at `item`: it is the same for all that is listed."
        parts.faults.say((*path, word), "bad-sweep", fault, f"Read it from the item: item.{_SAMPLES[word]}.")
    elif expression.type not in ("dyn", *_TYPES[word]):
        fault = f"`{word}` is not {_WORDS[_TYPES[word][0]]}."
        parts.faults.say((*path, word), "bad-sweep", fault, f"Write {_REMEDIES[word]}.")


_SAMPLES = {"tag": "reference", "at": "created"}
_REMEDIES = {"each": "body.items", "tag": "item.reference", "at": "timestamp(item.created)"}

"""`call`: the steps of another file in the place of one step, with names of their own."""

from __future__ import annotations

from typing import Any

from synthmon.core.journey import Step
from synthmon.language.expressions import as_expression, literal
from synthmon.language.faults import Faults, check_keys, keys_of
from synthmon.language.marks import Path
from synthmon.language.named_files import documents_of
from synthmon.language.names import type_of
from synthmon.language.sources import beside
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import CalledKeys, CallKeys, StepKeys
from synthmon.language.steps import Inside, Steps
from synthmon.language.unsafe import owned_domains, say_unsafe

_ELSEWHERE = dict.fromkeys(keys_of(StepKeys), "the steps of the called file, not of `call`")


def compile_call(outer: Steps, raw: Any, path: Path, default_id: str) -> tuple[Step, ...]:
    """The steps of the file that a step calls: `login.open` for step `open` of a call with the id `login`.

    Inside, `vars.<name>` is what `with` gives, and names of the journey other than run, identity and secret are not
    known. Faults inside are said at their place in the called file.
    """
    faults = outer.faults
    keys = check_keys(CallKeys, raw, path, faults, elsewhere=_ELSEWHERE)
    if keys is None:
        return ()
    when = outer.compile_when(keys.when, path)
    prefix = outer.take_id(keys.id, default_id, path) + "."
    given = {name: _given(outer, name, value, (*path, "with", name)) for name, value in keys.with_.items()}
    file = beside(faults.marks.file, keys.call)
    at: Path = (*path, "call")
    if file in outer.inside.calling or len(outer.inside.calling) > 8:
        faults.say(at, "endless-call", f"{file} calls itself in the end.", "Remove one of the calls.")
        return ()
    found = read_called(file, at, outer.parts, faults)
    if found is None:
        return ()
    inner_faults, called = found
    parts = Parts(outer.parts.shop, outer.progress, inner_faults)
    inner = Steps(parts, outer.call, Inside(prefix, given, when, (*outer.inside.calling, file)))
    made = inner.compile(called.steps, ("steps",))
    faults.problems.extend(p for p in inner_faults.problems if p not in faults.problems)
    _check_given(keys, path, inner_faults.marks.text, faults)
    return made


def read_called(file: str, at: Path, parts: Parts, faults: Faults) -> tuple[Faults, CalledKeys] | None:
    """A file with `steps:`, its faults to be; None after a fault."""
    read = documents_of(file, at, parts.shop.sources, parts.progress.files, faults)
    if read is None:
        return None
    documents, is_yaml = read
    if len(documents) != 1:
        if is_yaml:
            faults.say(
                at,
                "not-steps",
                f"{file} has {len(documents)} documents, not one with `steps:`.",
                "Put the steps into one document.",
            )
        return None
    inner = Faults(documents[0].marks)
    keys = check_keys(CalledKeys, documents[0].tree, (), inner, hollow=True)
    say_unsafe(documents[0].tree, (("steps",),), owned_domains(parts.shop.settings), inner)
    faults.problems.extend(inner.problems)
    inner.problems.clear()
    return (inner, keys) if keys is not None and isinstance(keys.steps, list) else None


def _given(outer: Steps, name: str, value: Any, path: Path) -> tuple[str, str]:
    """What `with` gives, as an expression of the journey and its type."""
    if isinstance(value, str) and "${" in value:
        template = outer.parts.expressions.template(value, path, outer.names())
        return as_expression(template), template.type
    if isinstance(value, list | dict) and "${" in str(value):
        outer.faults.say(
            path, "bad-value", f"`{name}` is a list or a map with `${{…}}` in it.", "Give texts one by one."
        )
        return "null", "dyn"
    return literal(value), type_of(value)


def _check_given(keys: CallKeys, path: Path, text: str, faults: Faults) -> None:
    for name in keys.with_:
        if f"vars.{name}" not in text:
            fault = f"The called file does not read `vars.{name}`."
            faults.say((*path, "with", name), "unused-value", fault, "Correct the name, or remove it.", at_key=True)

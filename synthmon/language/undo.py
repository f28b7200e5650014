"""How an effect is taken back: `undo` with its `find`, `gone` and `sweep`, and what each of them may know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from synthmon.core.journey import Look, Undo
from synthmon.core.kinds import Roams
from synthmon.language.faults import check_keys
from synthmon.language.marks import Path
from synthmon.language.names import Names
from synthmon.language.schema import NOT_YET
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import LookKeys, UndoKeys
from synthmon.language.sweeps import compile_sweep
from synthmon.language.systems import check_write
from synthmon.language.words import listed


def compile_undo(
    raw: Any,
    path: Path,
    step_id: str,
    local_id: str,
    before: Names,
    own: Names,
    sealed: frozenset[str],
    parts: Parts,
    system: str | None,
) -> Undo | None:
    """The undo of a step. `before` are the names that the step had, `own` also has what it saves, secrets among them
    are `sealed` (as the journey spells them)."""
    chosen = parts.choose(raw, path, structure=False)
    keys = check_keys(chosen.undo, raw, path, parts.faults, NOT_YET["undo"]) if chosen and chosen.undo else None
    if chosen is None or not isinstance(keys, UndoKeys):
        return None
    made = parts.spec(chosen.kind, keys, raw, path, own, system)
    looking = replace(before, story=replace(before.story, finding=str(local_id)))
    find = _look(keys.find, (*path, "find"), looking, parts, system, step_id) if keys.find is not None else None
    unchecked = keys.gone == "unchecked"
    gone = _look(keys.gone, (*path, "gone"), own, parts, system) if keys.gone is not None and not unchecked else None
    if made is None:
        return None
    spec, target = made
    if spec.effect and target:
        check_write(
            target,
            "" if isinstance(chosen.kind, Roams) else str(raw[chosen.kind.word]),
            (*path, chosen.kind.word),
            target is parts.progress.implicit,
            parts.faults,
        )
    sweep = None
    if keys.sweep is not None:
        sweep = compile_sweep(keys.sweep, (*path, "sweep"), step_id, before, spec.refs, parts, system)
    wanted = spec.refs | (gone.spec.refs if gone else frozenset())
    _check_values(wanted, find, path, step_id, sealed, parts)
    return Undo(spec, keys.ttl, find, gone, unchecked, sweep)


def _check_values(
    wanted: frozenset[str], find: Look | None, path: Path, step_id: str, sealed: frozenset[str], parts: Parts
) -> None:
    if secrets := sorted(name for name in wanted if name in sealed | parts.progress.hidden):
        fault = f"The undo uses `{secrets[0]}`, a secret that the run learnt: it is gone after a crash."
        parts.faults.say(
            path,
            "secret-in-undo",
            fault,
            "Log in with a session: `auth:` with a name under `sessions:` in the settings.",
        )
    needed = {name for name in wanted if name.startswith(f"{step_id}.")}
    if find is not None:
        learnt = {f"{step_id}.{name}" for name, _ in find.save}
        if missing := sorted(needed - learnt):
            fault = f"The undo needs {listed(f'`{name}`' for name in missing)}, which `find` does not save."
            words = (f"`{name.removeprefix(step_id)[1:]}`" for name in missing)
            parts.faults.say((*path, "find"), "find-misses-value", fault, f"Save {listed(words)} there.")


def _look(raw: Any, path: Path, names: Names, parts: Parts, system: str | None, finds_for: str = "") -> Look | None:
    """`find` (it saves values of step `finds_for`) or `gone` (its checks say that the effect is absent)."""
    word = str(path[-1])
    chosen = parts.choose(raw, path, structure=False)
    keys = check_keys(chosen.look, raw, path, parts.faults, NOT_YET["look"]) if chosen and chosen.look else None
    if chosen is None or not isinstance(keys, LookKeys):
        return None
    made = parts.spec(chosen.kind, keys, raw, path, names, system)
    seen = names.plus(chosen.kind.offers)
    expect = parts.checks(keys.expect or [], (*path, "expect"), seen)
    save = parts.saves(keys.save, (*path, "save"), seen)
    if made is None:
        return None
    if made[0].effect:
        fault = f"`{word}` changes the system: it may be sent many times, also long after the run."
        parts.faults.say((*path, chosen.kind.word), "look-writes", fault, "Use a read, such as GET.")
    if finds_for and not keys.save:
        parts.faults.say(
            path, "find-saves-nothing", "`find` saves nothing.", "Add `save:` with the values that `undo` uses."
        )
    if not finds_for and not keys.expect:
        parts.faults.say(
            path, "no-check", "`gone` has no `expect`.", "Add checks that hold when the effect is gone: status == 404."
        )
    return Look(made[0], expect, save)

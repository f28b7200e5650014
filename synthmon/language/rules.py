"""The rules of one step: it checks something, it may do what it does, and what it does can be taken back."""

from __future__ import annotations

import re
from typing import Any

from synthmon.core.expressions import CompileError, Expression, ExpressionError, Scope
from synthmon.core.journey import Step
from synthmon.core.kinds import Kind, Roams
from synthmon.core.system import System
from synthmon.core.words import STRINGS
from synthmon.language.marks import Path
from synthmon.language.names import RUN
from synthmon.language.step_parts import Parts
from synthmon.language.step_schema import StepKeys
from synthmon.language.systems import check_write
from synthmon.language.words import near


def check_step(
    step: Step, keys: StepKeys, raw: dict[str, Any], path: Path, kind: Kind, system: System | None, parts: Parts
) -> None:
    """Report every rule that a compiled step breaks."""
    assert step.spec is not None  # steps of a kind only
    check_asserts(step, raw, path, kind, parts)
    if step.spec.effect:
        _check_effect(step, raw, path, kind, system if kind.via == "system" else None, parts)
    elif keys.undo is not None:
        parts.faults.say(
            (*path, "undo"),
            "undo-of-a-read",
            "This step only reads: there is nothing to undo.",
            "Remove `undo`.",
            at_key=True,
        )
    elif step.leaves:
        parts.faults.say(
            (*path, "leaves"),
            "undo-of-a-read",
            "This step only reads: it leaves nothing.",
            "Remove `leaves`.",
            at_key=True,
        )


def check_asserts(step: Step, raw: dict[str, Any], path: Path, kind: Kind, parts: Parts) -> None:
    """Report a step that could never fail, and checks that never fail or never hold."""
    if kind.offers and not any(near(str(key), ("expect",)) for key in raw):  # a misspelt one is told already
        fault = f"Step `{step.id}` checks nothing, so it could never fail."
        parts.faults.say(path, "no-check", fault, "Add `expect:` with what its answer has to be.")
    for check in step.expect:
        at = _path_of(check.place.path, path)
        expression = check.expression
        if not any(_of_answer(name) for name in expression.refs):
            fault = f"`{expression.text}` does not look at the answer: it is the same in every run."
            parts.faults.say(at, "constant-check", fault, "Compare the answer: status, headers, body, …")
        _check_headers(expression, at, parts)
        _check_never_true(expression, at, parts)


def _of_answer(name: str) -> bool:
    return name not in RUN and not name.startswith(("case.", "secret.", "identity.", "hook."))


def _check_effect(step: Step, raw: dict[str, Any], path: Path, kind: Kind, system: System | None, parts: Parts) -> None:
    if system is not None:
        text = "" if isinstance(kind, Roams) else str(raw[kind.word])
        check_write(system, text, (*path, kind.word), system is parts.progress.implicit, parts.faults)
    if "undo" not in raw and "leaves" not in raw:
        fault = f"Step `{step.id}` changes the system, and nothing says how that is taken back."
        remedy = 'Add `undo:`, or `leaves: nothing`, or say what stays: leaves: "order row, gone after 24h".'
        parts.faults.say(path, "write-without-undo", fault, remedy)
    safe = step.repeatable or step.leaves == "nothing"
    remedy = "Add `repeatable: true` if the system honours Idempotency-Key, or `leaves: nothing`."
    if step.within is not None and not safe:
        parts.faults.say(
            (*path, "within"), "polling-a-write", "`within` sends this write again and again.", remedy, at_key=True
        )
    if step.retry is not None and not safe:
        parts.faults.say(
            (*path, "retry"), "retrying-a-write", "`retry` may send this write twice.", remedy, at_key=True
        )
    undo = step.undo
    if undo and undo.find is None and not step.repeatable and any(n.startswith(f"{step.id}.") for n in undo.spec.refs):
        fault = "If the answer is lost, nothing tells what has to be undone."
        parts.faults.warn(
            (*path, "undo"),
            "undo-without-find",
            fault,
            "Add `find:` with a read that learns it, or `repeatable: true` to the step.",
        )


def _check_headers(expression: Expression, at: Path, parts: Parts) -> None:
    if "headers[" not in expression.text:
        return
    for found in re.finditer(r"""(?<![\w.])headers\[(["'])([^"']+)\1\]""", expression.text):
        if found[2] != found[2].lower():
            fault = f"Header names are in lower case here: {found[2]} is never there."
            parts.faults.say(at, "header-case", fault, f'Write headers["{found[2].lower()}"].')


def _check_never_true(expression: Expression, at: Path, parts: Parts) -> None:
    """Comparisons whose sides are known to be a number and a text, or a status that does not exist."""
    bare = STRINGS.sub('""', expression.text)
    for found in re.finditer(r"(?<![\w.])status\s*==\s*(\d+)(?![\w.])", bare):
        if not 100 <= int(found[1]) <= 599:
            parts.faults.warn(
                at, "comparison-never-true", f"No answer has the status {found[1]}.", "Write one from 100 to 599."
            )
    for left, right in re.findall(r"""dyn\(([^()]+)\)\s*==\s*([^&|)]+)""", expression.text):
        values = [_constant(side, parts) for side in (left, right)]
        if None not in values and isinstance(values[0], str) != isinstance(values[1], str):
            fault = f"{left.strip()} and {right.strip()} are never equal: one is a number, one a text."
            parts.faults.warn(at, "comparison-never-true", fault, "Write both as numbers or both in quotes.")


def _constant(text: str, parts: Parts) -> Any:
    try:
        return parts.shop.shelf.compiler.compile(text.strip(), {}).value(Scope({}))
    except (CompileError, ExpressionError):
        return None


def _path_of(dotted: str, path: Path) -> Path:
    found = re.search(r"expect\[(\d+)\](?:\.check)?$", dotted)
    return (*path, "expect", int(found[1])) if found else path

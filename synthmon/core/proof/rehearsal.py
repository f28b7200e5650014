"""What a step would say to another answer than it got: its own checks, judged without a run.

Checks and saved values are all that a run makes of an answer. So an answer on which a check fails turns the run red
however often it is asked for, and one on which all hold and the same is saved leaves everything after it as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Step
from synthmon.core.proof.faults import Good
from synthmon.core.transact.judge import judge, saved


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`caught` says which check does not hold, empty if all do; `saved` are the values that the step would keep."""

    caught: str
    saved: Mapping[str, Any]


def rehearse(step: Step, good: Good, answer: Any) -> Rehearsed:
    """Judge a step of a good run on this answer."""
    assert step.spec is not None  # only a step with a spec is answered
    request, _ = good.said[step.id]
    seen = step.spec.see(request, answer)
    own = {f"{step.id}.{name}" for name, _ in step.save}
    known = {name: value for name, value in good.names.items() if name not in own}
    scope = Scope({n: seen[n] if n in seen else known[n] for n in step.reads if n in seen or n in known})
    judged = judge(step.expect, scope)
    if not judged.ok:
        return Rehearsed(judged.message, {})
    try:
        return Rehearsed("", saved(step.save, scope))
    except ExpressionError as error:
        return Rehearsed(f"{step.place.file}:{step.place.line}  save: {error}", {})


def kept_for_clean_up(step: Step, good: Good, answer: Any) -> Mapping[str, Any]:
    """What clean-up would learn from this answer: each value by itself, whether or not the checks hold."""
    assert step.spec is not None  # only a step with a spec is answered
    scope = Scope({**good.names, **step.spec.see(good.said[step.id][0], answer)})
    values: dict[str, Any] = {}
    for name, expression in step.save:
        with suppress(ExpressionError):
            values[f"{step.id}.{name}"] = expression.value(scope)
    return values


def ripples(journey: Journey, step: Step, good: Good, saved_now: Mapping[str, Any]) -> str:
    """Which later check would not hold had the step saved this; empty when that cannot be told, or all would.

    What a later step asks for by such a value would be answered otherwise, nobody knows how: it is left out.
    """
    names = {**good.names, **{f"{step.id}.{name}": value for name, value in saved_now.items()}}
    otherwise = {name for name in names if name not in good.names or names[name] != good.names[name]}
    for later in journey.flat[journey.flat.index(step) + 1 :]:
        if later.spec is None or later.id not in good.said or later.renders & otherwise:
            continue
        rehearsed = rehearse(later, replace(good, names=names), good.said[later.id][1])
        if rehearsed.caught:
            return f"{later.id}: {rehearsed.caught}"
    return ""

"""The addresses of hooks: known by name before any step is compiled, and open before the first one begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from synthmon.core.journey import Step
from synthmon.core.templates import Template
from synthmon.language.faults import Faults
from synthmon.language.sources import Sources, beside

DEEPEST = 8  # as deep as files may call each other


def hook_names(steps: Any, file: str, sources: Sources) -> dict[str, str]:
    """`hook.<step>.url` of every `hook` step, those of called files included → its type. Faults are others' to tell."""
    return {f"hook.{step_id}.url": "string" for step_id in _hooks(steps, file, sources, "", "step_", 0)}


def say_circles(made_vars: Sequence[tuple[str, Template]], steps: Iterable[Step], faults: Faults) -> None:
    """Say which vars hold the address of a hook whose reply reads that var, or one after it."""
    hooks = [leaf for step in steps for leaf in (step.together or (step,)) if leaf.hears is not None]
    for i, (name, template) in enumerate(made_vars):
        later = {f"vars.{other}" for other, _ in made_vars[i:]}
        for hook in hooks:
            if f"hook.{hook.id}.url" in template.refs and (wanted := sorted(later & hook.renders)):
                fault = f"`hook.{hook.id}.url` has no value yet: step `{hook.id}` reads `{wanted[0]}` first."
                faults.say(("vars", name), "no-value-yet", fault, f"Leave `{wanted[0]}` out of the hook's reply.")


def _hooks(steps: Any, file: str, sources: Sources, prefix: str, default: str, depth: int) -> Iterator[str]:
    for i, one in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(one, dict):
            continue
        asked = one.get("id")
        step_id = prefix + (asked if isinstance(asked, str) and asked else f"{default}{i + 1}")
        if "hook" in one:
            yield step_id
        elif "together" in one:
            yield from _hooks(one["together"], file, sources, prefix, f"{default}{i + 1}_", depth)
        elif isinstance(one.get("call"), str) and depth < DEEPEST:
            yield from _called(beside(file, one["call"]), sources, f"{step_id}.", depth + 1)


def _called(file: str, sources: Sources, prefix: str, depth: int) -> Iterator[str]:
    try:
        documents, _ = sources.documents(file)
    except OSError:
        return
    if len(documents) == 1 and isinstance(documents[0].tree, dict):
        yield from _hooks(documents[0].tree.get("steps"), file, sources, prefix, "step_", depth)

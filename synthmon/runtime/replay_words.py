"""What a replay would send, where, as whom and with which keys, in words: for a person and for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from synthmon.core.replaying import Plan
from synthmon.language.settings import Invented, Settings
from synthmon.runtime.sending import Line, plan_lines


def replay_lines(plan: Plan, settings: Settings) -> tuple[Line, ...]:
    """The whole plan for a person."""
    head, *more = _lines(plan, settings)
    steps = plan_lines(plan.journey, settings, plan.seed_of, plan.again)
    return (((head, "bold"),), *(((line, ""),) for line in more), *steps)


def plan_words(plan: Plan) -> dict[str, Any]:
    """The same for a program."""
    return {
        "replay_of": plan.original.run_id,
        "journey": plan.journey.name,
        "version": plan.journey.digest,
        "systems": sorted({step.system or plan.journey.system for step in plan.journey.flat}),
        "writes": [step.id for step in plan.journey.flat if step.spec is not None and step.spec.effect],
        "runs": [turn.hold.text if turn.hold else "as it was" for turn in plan.turns],
        "same_keys": plan.again is not None,
        "notes": list(plan.notes),
    }


def _lines(plan: Plan, settings: Settings) -> Iterator[str]:
    was = plan.original
    started = f" of {was.started:%Y-%m-%d %H:%M:%S} UTC" if was.started else ""
    yield f"replays run {was.run_id}{started} ({was.outcome}), {_times(plan)}"
    yield from (f"  note: {note}" for note in plan.notes)
    yield f"  identity: {_identity(plan, settings)}"
    if plan.again is not None:
        yield f"  keys: the old ones, {was.run_id}-STEP; a second effect is the fault that is looked for"
    else:
        yield "  keys: new ones; seed: that of the run, so that digits() and uuid() give what they gave"
    for what in (plan.order, plan.reverse):
        if what is not None:
            yield f"  order: {what}"


def _times(plan: Plan) -> str:
    runs = len(plan.turns)
    return f"{runs} runs, one after the other" if runs > 1 else "once"


def _identity(plan: Plan, settings: Settings) -> str:
    journey = plan.journey
    if not journey.identity:
        return "none"
    if plan.again is not None:
        return f"{journey.identity}, the same as then: {', '.join(map(str, plan.original.identity.values()))}"
    if isinstance(settings.identities.get(journey.identity), Invented):
        return f"{journey.identity}, invented: the names as then, addresses and numbers of its own"
    return f"{journey.identity}, an account of the pool that is free"

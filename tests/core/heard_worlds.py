"""What may be said of a step that listens, in worlds made by chance: `python -m tests.core.heard_worlds`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from synthmon.core.journey import Hears, Journey
from synthmon.core.messages import Gap, Message
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record, StepRecord
from tests.core.scripted import Answer, World, hears, journey, message
from tests.core.worlds import ORDER, SLOW, Chance, chance, fault_of_run, search, told

_COUNTS = {n: hears("told", "events", expect=(f"count == {n}",), after="order") for n in (0, 1, 2)}


def listened(world: Chance) -> tuple[World, Journey]:
    """Order, something slow, and then wait for a message that is sent all the while."""
    came: list[tuple[float, Message | Gap]] = [
        message(at_s=at_s, run="ab" * 16 if ours else "cd" * 16, id=id) for at_s, ours, id in world.came
    ]
    if world.gap_s is not None:
        came.append((world.gap_s, Gap(Reason.CONNECTION, "the link was lost")))
    came.sort(key=lambda one: one[0])
    told = replace(_COUNTS[world.count], within=world.within, hears=Hears(settle_s=world.settle_s))
    probe = journey(ORDER, *([SLOW] if world.slow_s else []), told, deadline_s=world.deadline_s)
    return World(
        lambda request, now_s, act: Answer(201, delay_s=max(world.slow_s, 0.01) if "slow" in request else 0.01),
        lambda at, now_s: came,
    ), probe


def may_be_heard(world: Chance, ear: StepRecord) -> set[tuple[Outcome, Reason]]:
    """How the step may end that listens, deadline apart."""
    ours: list[float] = []
    ids: set[str] = set()
    for at_s, own, id in sorted(world.came, key=lambda one: one[0]):
        if own and not (id and id in ids):
            ours.append(at_s)
            ids.add(id)
    begun_s, end_s = ear.at_ms / 1e3, world.within.limit_s
    last_s = end_s + world.within.grace_s
    if world.count == 0:
        return _quiet(world, ours, end_s, max(begun_s, end_s))
    if len(ours) < world.count or (held_s := ours[world.count - 1]) > last_s:
        came = [at_s for at_s in ours if at_s <= last_s]
        return _lost(world, Reason.EXPECTATION if came else Reason.LOST, max(begun_s, last_s))
    over_s = max(begun_s, held_s + world.settle_s)
    found: set[tuple[Outcome, Reason]] = set()
    if held_s == last_s:  # whoever comes at the very instant may be seen or not
        found |= _lost(world, Reason.EXPECTATION if world.count > 1 else Reason.LOST, last_s)
    more = [at_s for at_s in ours[world.count :] if at_s <= over_s]
    must = [at_s for at_s in more if at_s <= held_s + world.settle_s and (at_s == held_s or world.settle_s)]
    late = held_s > end_s
    if more:
        found.add((Outcome.FAILED, Reason.DUPLICATE))
    if not must or held_s == must[0]:  # what comes at the very instant may be seen or not, where nobody stays
        unsure = world.gap_s is not None and world.gap_s <= over_s
        if unsure and (late or world.settle_s):
            found.add((Outcome.UNKNOWN, Reason.CONNECTION))
        if not unsure or not (late or world.settle_s) or world.gap_s == over_s:
            found.add((Outcome.FAILED, Reason.LATE) if late else (Outcome.PASSED, Reason.NONE))
    if late and world.gap_s is not None and world.gap_s <= over_s:
        found.add((Outcome.UNKNOWN, Reason.CONNECTION))
    return found


def _quiet(world: Chance, ours: Sequence[float], end_s: float, over_s: float) -> set[tuple[Outcome, Reason]]:
    """Nothing may come until the end, nor while it settles."""
    unsure = world.gap_s is not None and world.gap_s <= max(over_s, end_s + world.settle_s)
    early = [at_s for at_s in ours if at_s <= end_s]
    if early:
        found = {(Outcome.FAILED, Reason.EXPECTATION)}
        if early[0] == end_s:
            found |= {(Outcome.FAILED, Reason.DUPLICATE), (Outcome.PASSED, Reason.NONE)}
        return found | ({(Outcome.UNKNOWN, Reason.CONNECTION)} if world.gap_s is not None else set())
    settling = [at_s for at_s in ours if at_s <= end_s + world.settle_s]
    if settling:
        return {(Outcome.FAILED, Reason.DUPLICATE)} | (
            {(Outcome.PASSED, Reason.NONE)} if settling[0] == end_s + world.settle_s else set()
        )
    return {(Outcome.UNKNOWN, Reason.CONNECTION)} if unsure else {(Outcome.PASSED, Reason.NONE)}


def _lost(world: Chance, reason: Reason, over_s: float) -> set[tuple[Outcome, Reason]]:
    if world.gap_s is None or world.gap_s > over_s:
        return {(Outcome.FAILED, reason)}
    found = {(Outcome.UNKNOWN, Reason.CONNECTION)}
    return found | {(Outcome.FAILED, reason)} if world.gap_s == over_s else found


def fault_of_ear(world: Chance, record: Record) -> str:
    """What is wrong with what is said of a step that listens."""
    if fault := fault_of_run(record):
        return fault
    ear = record.steps[-1]
    if ear.message == "not reached":
        return ""
    if ear.reason is Reason.DEADLINE or record.took_ms >= world.deadline_s * 1e3 - 1:
        deaf = world.gap_s is not None and world.gap_s < world.deadline_s
        return (
            "it may have come unheard"
            if deaf and record.outcome is Outcome.FAILED and record.reason is Reason.DEADLINE and record.step == "told"
            else ""
        )
    found, may = (ear.outcome, ear.reason), may_be_heard(world, ear)
    return "" if found in may else f"it is {found}, and may be {may}"


def faults(seed: int) -> list[str]:
    """What is wrong with one run."""
    at_chance = chance(random.Random(seed))
    world, probe = listened(at_chance)
    record = world.record(probe)
    return told(seed, fault_of_ear(at_chance, record), at_chance, record)


if __name__ == "__main__":
    search(faults, __doc__)

"""Runs in worlds made by chance, and what may be said of a poll in them: `python -m tests.core.worlds --runs 100000`.

A world is a target that holds from some instant on (or never), spells in which it gives no answer, spells in which we
cannot ask, a bus on which messages come, come twice, come late, or are lost to us. What may be said of a step is found
from the world alone, by the words of the README. Prints how many runs were judged and each that was judged wrongly.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from synthmon.core.acts import Do
from synthmon.core.journey import Journey, Retry, Within
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from tests.core.scripted import Answer, World, journey, step

SLOWEST_S = 0.3  # answer
MARGIN_S = 0.06  # that the last look of a poll comes before its end
GRID = (0.5, 1.0, 1.5, 2.0, 2.95, 3.0, 3.01, 3.5, 4.0, 5.0, 6.0, 8.0)  # instants, so that many are the same

ORDER = step("order", "POST /orders", repeatable=True)
_BOOKED = step("booked", "GET /booked", within=3.0, after="order")
SLOW = step("slow", "GET /slow", timeout=20.0)

Spell = tuple[float, float]
"""From, until."""


@dataclass(frozen=True, slots=True)
class Chance:
    """One world, and how its journey waits. `slow_s` passes before the step in question is reached."""

    holds_s: float  # from then on
    theirs: Spell | None
    ours: Spell | None
    delay_s: float
    slow_s: float
    within: Within
    deadline_s: float
    retry: Retry | None
    failures: int  # of the first attempts at the order
    came: tuple[tuple[float, bool, str], ...]  # instant, whether it is ours, id
    gap_s: float | None
    count: int
    settle_s: float


def chance(of: random.Random) -> Chance:
    """Some world."""
    return Chance(
        of.choice((0.0, *GRID, 99.0)),
        _spell(of),
        _spell(of),
        of.choice((0.01, 0.01, SLOWEST_S)),
        of.choice((0.0, 0.0, 1.0, 4.0)),
        Within(of.choice((0.5, 3.0)), "order", of.choice((None, None, 0.5)), of.choice((0.0, 0.0, 2.0))),
        of.choice((60.0, 60.0, 60.0, 3.0, 5.0)),
        of.choice((None, Retry(2, frozenset({"5xx"})))),
        of.choice((0, 0, 0, 1, 3)),
        tuple(
            (of.choice(GRID), of.random() < 0.8, of.choice(("", "", "m1", "m2")))
            for _ in range(of.choice((0, 1, 1, 2, 3)))
        ),
        of.choice((None, None, *GRID)),
        of.choice((0, 1, 1, 2)),
        of.choice((0.0, 0.0, 1.0)),
    )


def _spell(of: random.Random) -> Spell | None:
    first, last = sorted(of.sample((0.0, *GRID), 2))
    return (first, last) if of.random() < 0.4 else None


def _in(spell: Spell | None, at_s: float) -> bool:
    return spell is not None and spell[0] <= at_s < spell[1]


def _meet(spell: Spell | None, since_s: float, until_s: float) -> bool:
    return spell is not None and spell[0] <= until_s and since_s <= spell[1]


def polled(world: Chance) -> tuple[World, Journey]:
    """Order, something slow, and then ask until it is booked."""
    left = [world.failures]

    def target(request: str, now_s: float, act: Do) -> Answer:
        if "slow" in request:
            return Answer(200, delay_s=max(world.slow_s, 0.01))
        if request.startswith("POST"):
            left[0] -= 1
            return Answer(503 if left[0] >= 0 else 201)
        if _in(world.ours, now_s):
            return Answer(trouble=Reason.RESOLVER, sent=False, delay_s=world.delay_s)
        if _in(world.theirs, now_s):
            return Answer(trouble=Reason.RESET, delay_s=world.delay_s)
        return Answer(200 if now_s >= world.holds_s else 404, delay_s=world.delay_s)

    probe = journey(
        replace(ORDER, retry=world.retry),
        *([SLOW] if world.slow_s else []),
        replace(_BOOKED, within=world.within),
        deadline_s=world.deadline_s,
    )
    return World(target), probe


def fault_of_poll(world: Chance, record: Record, trace: Sequence[tuple[float, str]]) -> str:
    """What is wrong with what is said of a poll; empty if nothing."""
    if fault := _fault_of_order(world, record):
        return fault
    booked = record.steps[-1]
    if booked.message == "not reached":
        return "" if record.outcome is Outcome.FAILED else "not reached, and it did not fail"
    begun_s = booked.at_ms / 1e3
    end_s = world.within.limit_s  # the first byte of the order leaves at 0
    last_s = end_s + world.within.grace_s
    just_before = (end_s - MARGIN_S - SLOWEST_S, end_s)
    reached = begun_s <= just_before[0]
    if booked.reason is Reason.DEADLINE:
        if record.took_ms < world.deadline_s * 1e3 - 1:
            return "the deadline had not passed"
        looks = [
            at_s for at_s, seen in trace if seen.startswith("booked#") and "~" not in seen and at_s < world.deadline_s
        ]
        return "nobody could tell at the deadline" if looks and _in(world.ours, looks[-1] - world.delay_s) else ""
    match booked.outcome:
        case Outcome.PASSED:
            held = any(
                at_s <= end_s and at_s >= world.holds_s and not _in(world.ours, at_s) and not _in(world.theirs, at_s)
                for at_s in _sent(world, trace)
            )
            return "" if held else "it was never seen to hold in time"
        case Outcome.FAILED:
            if world.holds_s <= just_before[0] and not _meet(world.theirs, *just_before):
                return "it held in time"
            told = [at_s for at_s in _sent(world, trace) if not _in(world.ours, at_s)]
            if not any(at_s <= end_s for at_s in told):
                return "the target was never asked in time"
            return _hidden(world, told, end_s)
        case Outcome.UNKNOWN:
            if reached and not _meet(world.ours, begun_s, max(last_s, end_s)):
                return "everything could be seen"
            asked = [at_s for at_s in _sent(world, trace) if at_s <= end_s]
            if asked and not any(_in(world.ours, at_s) for at_s in asked) and asked[-1] >= just_before[0]:
                return "its time was over before we could not ask"
    return ""


def _hidden(world: Chance, told: Sequence[float], end_s: float) -> str:
    """Whether it may have held in time, between what the target told last and when it held."""
    unmet = [at_s for at_s in told if at_s < world.holds_s or _in(world.theirs, at_s)]
    if not unmet:
        return "the target never said no"
    if (
        world.ours is not None
        and world.ours[0] < end_s - MARGIN_S - SLOWEST_S <= world.ours[1] - SLOWEST_S
        and unmet[-1] < world.ours[0]
    ):
        return "it may have held while we could not ask"
    return ""


def _sent(world: Chance, trace: Sequence[tuple[float, str]]) -> list[float]:
    return [at_s - world.delay_s for at_s, seen in trace if seen.startswith("booked#") and "~" not in seen]


def _fault_of_order(world: Chance, record: Record) -> str:
    tries = 3 if world.retry is not None else 1
    order = record.steps[0]
    wanted = Outcome.FAILED if world.failures >= tries else Outcome.FLAKY if world.failures else Outcome.PASSED
    if order.outcome is not wanted or len(order.attempts) != min(world.failures + 1, tries):
        return f"the order is {order.outcome}, not {wanted}"
    if wanted is Outcome.FLAKY and record.outcome is Outcome.PASSED:
        return "it passed after a retry"
    return fault_of_run(record)


def fault_of_run(record: Record) -> str:
    told = {step.outcome for step in record.steps}
    wanted = next((one for one in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.FLAKY) if one in told), Outcome.PASSED)
    if record.outcome is not wanted:
        return f"its steps came to {wanted}, and it is {record.outcome}"
    if any(step.latency_ms is not None and step.latency_ms < 0 for step in record.steps):
        return "it took less than no time"
    return ""


def faults(seed: int) -> list[str]:
    """What is wrong with one run."""
    at_chance = chance(random.Random(seed))
    world, probe = polled(at_chance)
    record = world.record(probe)
    return told(seed, fault_of_poll(at_chance, record, world.trace), at_chance, record)


def told(seed: int, fault: str, world: object, record: Record) -> list[str]:
    """A fault in words, if there is one."""
    return [f"{seed}: {fault}\n  {world}\n  {record.outcome} {record.reason} {record.message}"] if fault else []


def search(faults: Callable[[int], list[str]], about: str | None) -> None:
    """Judge as many worlds as asked for and print the figures."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--runs", type=int, default=50_000)
    wanted = parser.parse_args().runs
    found = [fault for seed in range(wanted) for fault in faults(seed)]
    print("\n".join(found[:20]))
    print(f"{wanted} runs, {len(found)} judged wrongly")


if __name__ == "__main__":
    search(faults, __doc__)

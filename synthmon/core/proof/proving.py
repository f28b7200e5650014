"""The plan of a proof: every fault that can strike a journey, judged by rule where a rule is certain.

Two good runs are its ground: what they were told can be told wrongly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from synthmon.core.door import HttpAnswer, Published, Rows
from synthmon.core.journey import Journey, Step
from synthmon.core.proof.body_faults import judged, of_body
from synthmon.core.proof.contents import Telling, content_of, erroneous
from synthmon.core.proof.event_faults import of_counts, of_events
from synthmon.core.proof.faults import LOOK, RUN, Fault, Finding, Good, Injection, Trial


def plan(journey: Journey, good: Good, again: Good, wanted: Collection[Fault] = tuple(Fault)) -> tuple[Trial, ...]:
    """Every fault of these kinds that can strike; those without a finding need a run."""
    found = [trial for step in journey.flat for trial in _of_step(journey, step, good, again)]
    found += of_events(journey, good)
    found += of_counts(journey, good)
    return tuple(trial for trial in found if trial.injection.fault in wanted)


# a step ---------------------------------------------------------------------------------------------------------------


def _of_step(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    if step.spec is None or step.id not in good.said or step.id not in again.said:
        return
    answer = good.said[step.id][1]
    if step.hears is not None:
        yield from _of_messages(journey, step, good, again)
    elif step.spec.effect and isinstance(answer, HttpAnswer | Published | Telling):
        yield from _of_write(journey, step, good, again)
    elif isinstance(answer, HttpAnswer | Rows | Telling):
        yield from _of_read(journey, step, good, again)
    else:  # a kind of somebody else, whose answers nobody can take apart: it can be refused
        yield Trial(Injection(step.id, Fault.ERROR))


def _of_write(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    yield Trial(Injection(step.id, Fault.DROP))
    yield Trial(Injection(step.id, Fault.DELAY))
    answer = good.said[step.id][1]
    yield _of_error(journey, step, good, certain=False)
    if answer.content if isinstance(answer, HttpAnswer) else isinstance(answer, Telling) and answer.said:
        yield judged(journey, step, again, Injection(step.id, Fault.STALE, other=RUN), answer, certain=False)
        yield from of_body(journey, step, good, again)


def _of_read(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    answer, later = good.said[step.id][1], again.said[step.id][1]
    yield _of_error(journey, step, good)
    if not isinstance(answer, Rows):
        yield _of_delay(step, good)
    stale = Injection(step.id, Fault.STALE, other=RUN)
    if _same(answer, later):
        yield Trial(stale, Finding.EQUIVALENT, "both good runs were told the same", by_rule=True)
    else:
        yield judged(journey, step, again, stale, answer)
    if step.within is not None or _asked_before(journey, step, good):
        yield Trial(Injection(step.id, Fault.STALE, other=LOOK))
    yield from of_body(journey, step, good, again)


def _of_error(journey: Journey, step: Step, good: Good, certain: bool = True) -> Trial:
    """What a broken target answers; where it has no word for it, it refuses, and a run has to tell."""
    injection, broken = Injection(step.id, Fault.ERROR), erroneous(good.said[step.id][1])
    return Trial(injection) if broken is None else judged(journey, step, good, injection, broken, certain)


def _of_delay(step: Step, good: Good) -> Trial:
    """Of a read that is not answered in time there is nothing to judge."""
    injection = Injection(step.id, Fault.DELAY)
    if getattr(good.said[step.id][0], "server", None) == "":
        said = "our own resolver that is silent is no word of the target"
        return Trial(injection, Finding.BLIND, said, by_rule=True)
    said = f"{step.id}: no answer within its {step.timeout_s:g}s, however often it is asked"
    return Trial(injection, Finding.CAUGHT, said, by_rule=True)


def _same(one: Any, two: Any) -> bool:
    """Whether two answers say the same."""
    if getattr(one, "status", 0) != getattr(two, "status", 0):
        return False
    if isinstance(one, HttpAnswer) and isinstance(two, HttpAnswer):
        return one.content == two.content
    return bool(content_of(one) == content_of(two))


def _asked_before(journey: Journey, step: Step, good: Good) -> bool:
    """Whether an earlier step read the same place."""
    asked = good.said[step.id][0]
    before = [one.id for one in journey.flat[: journey.flat.index(step)] if one.id in good.said]
    return any(good.said[step_id][0] == asked for step_id in before)


# what is heard --------------------------------------------------------------------------------------------------------


def _of_messages(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    messages = good.said[step.id][1] or ()
    if not messages or not again.said[step.id][1]:
        return
    for fault in (Fault.DROP, Fault.DELAY, Fault.DUPLICATE, Fault.STALE):
        yield Trial(Injection(step.id, fault))
    if step.spec is not None and step.spec.kind != "hook":  # nobody is asked for that one
        yield Trial(Injection(step.id, Fault.ERROR))
    if len(messages) > 1:
        yield Trial(Injection(step.id, Fault.REORDER))
    yield from of_body(journey, step, good, again)

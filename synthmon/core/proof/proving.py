"""The plan of a proof: every fault that can strike a journey, judged by rule where a rule is certain.

Two good runs are its ground: what they were told can be told wrongly, and what differs between them by itself, with
nothing of a run in it, is a value that nobody can foretell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from synthmon.core.door import HttpAnswer, Published, Rows
from synthmon.core.journey import Journey, Step
from synthmon.core.messages import Message, carries
from synthmon.core.proof.event_faults import of_events
from synthmon.core.proof.faults import LOOK, RUN, Fault, Finding, Good, Injection, Trial, used_by_writes
from synthmon.core.proof.mutations import (
    Change,
    How,
    Path,
    changed,
    content_of,
    fields_of,
    spelled,
    values_at,
    with_content,
)
from synthmon.core.proof.rehearsal import Rehearsed, kept_for_clean_up, rehearse, ripples

SHORTEST_MARK = 6
ERROR_STATUS, ERROR_CONTENT = 500, b'{"error": "internal", "reason": "injected by synthmon prove"}'


def plan(journey: Journey, good: Good, again: Good, wanted: Collection[Fault] = tuple(Fault)) -> tuple[Trial, ...]:
    """Every fault of these kinds that can strike; those without a finding need a run."""
    found = [trial for step in journey.flat for trial in _of_step(journey, step, good, again)]
    found += of_events(journey, good)
    return tuple(trial for trial in found if trial.injection.fault in wanted)


def erroneous(answer: HttpAnswer) -> HttpAnswer:
    """What a broken target answers in its place."""
    headers = (("content-type", "application/json"),)
    return replace(answer, status=ERROR_STATUS, headers=headers, content=ERROR_CONTENT)


# a step ---------------------------------------------------------------------------------------------------------------


def _of_step(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    if step.spec is None or step.id not in good.said or step.id not in again.said:
        return
    answer = good.said[step.id][1]
    if step.hears is not None:
        yield from _of_messages(journey, step, good, again)
    elif step.spec.effect and isinstance(answer, HttpAnswer | Published):
        yield from _of_write(journey, step, good, again)
    elif isinstance(answer, HttpAnswer | Rows):
        yield from _of_read(journey, step, good, again)
    else:  # its protocol has a socket of its own: nothing in it can be changed, but it can be refused
        yield Trial(Injection(step.id, Fault.ERROR))


def _of_write(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    yield Trial(Injection(step.id, Fault.DROP))
    yield Trial(Injection(step.id, Fault.DELAY))
    answer = good.said[step.id][1]
    if not isinstance(answer, HttpAnswer):
        yield Trial(Injection(step.id, Fault.ERROR))
        return
    yield _judged(journey, step, good, Injection(step.id, Fault.ERROR), erroneous(answer), certain=False)
    if answer.content:
        yield _judged(journey, step, again, Injection(step.id, Fault.STALE, other=RUN), answer, certain=False)
        yield from _of_body(journey, step, good, again)


def _of_read(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    answer, later = good.said[step.id][1], again.said[step.id][1]
    if isinstance(answer, HttpAnswer):
        yield _judged(journey, step, good, Injection(step.id, Fault.ERROR), erroneous(answer))
        said = f"{step.id}: no answer within its {step.timeout_s:g}s, however often it is asked"
        yield Trial(Injection(step.id, Fault.DELAY), Finding.CAUGHT, said, by_rule=True)
    else:
        yield Trial(Injection(step.id, Fault.ERROR))
    stale = Injection(step.id, Fault.STALE, other=RUN)
    if _same(answer, later):
        yield Trial(stale, Finding.EQUIVALENT, "both good runs were told the same", by_rule=True)
    else:
        yield _judged(journey, step, again, stale, answer)
    if step.within is not None or _asked_before(journey, step, good):
        yield Trial(Injection(step.id, Fault.STALE, other=LOOK))
    yield from _of_body(journey, step, good, again)


def _judged(journey: Journey, step: Step, good: Good, injection: Injection, answer: Any, certain: bool = True) -> Trial:
    """What the step's own checks say to another answer. `certain`: what they let pass, nothing after it can see,
    unless the step would save something else."""
    rehearsed = rehearse(step, good, answer)
    if rehearsed.caught:
        return Trial(injection, Finding.CAUGHT, f"{step.id}: {rehearsed.caught}", by_rule=True)
    if certain and rehearsed.saved == _truly(step, good).saved:
        return Trial(injection, Finding.MISSED, _nothing_looks(injection), by_rule=True)
    if certain and (said := ripples(journey, step, good, rehearsed.saved)):
        return Trial(injection, Finding.CAUGHT, said, by_rule=True)
    return Trial(injection)


def _truly(step: Step, good: Good) -> Rehearsed:
    return rehearse(step, good, good.said[step.id][1])


def _nothing_looks(injection: Injection) -> str:
    if injection.change is None:
        return "every check of this step holds, and what it saves is the same"
    return f"nothing looks at {spelled(injection.change.path) or 'the text'}"


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Rows) and isinstance(two, Rows):
        return one.rows == two.rows
    return isinstance(one, HttpAnswer) and isinstance(two, HttpAnswer) and (
        (one.status, one.content) == (two.status, two.content)
    )  # fmt: skip


def _asked_before(journey: Journey, step: Step, good: Good) -> bool:
    """Whether an earlier step read the same place."""
    asked = good.said[step.id][0]
    before = [one.id for one in journey.flat[: journey.flat.index(step)] if one.id in good.said]
    return any(good.said[step_id][0] == asked for step_id in before)


# what an answer or a message says -------------------------------------------------------------------------------------


def _of_body(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    content, later = content_of(_first(good, step)), content_of(_first(again, step))
    if content is None or later is None:
        return
    values, lists = fields_of(content)
    for path in values:
        if _is_free(path, content, later, step, good, again):
            said = "it differs from one good run to the next, and nothing of a run is in it: no value would be wrong"
            yield Trial(Injection(step.id, Fault.BODY, Change(path, How.CHANGED)), Finding.EQUIVALENT, said, True)
            continue
        first = _of_change(journey, step, good, Change(path, How.CHANGED))
        yield first
        if first.finding is not Finding.MISSED:  # what nothing looks at need not be missed thrice
            yield _of_change(journey, step, good, Change(path, How.MISSING))
            yield _of_change(journey, step, good, Change(path, How.TYPE))
    for path in lists:
        yield _of_change(journey, step, good, Change(path, How.EMPTY))
        yield _of_change(journey, step, good, Change(path, How.TWICE))


def _of_change(journey: Journey, step: Step, good: Good, change: Change) -> Trial:
    """One field. One from which writes are made gets a value that can be put right before it leaves, or no run."""
    wrong = _feeds_writes(journey, step, good, change)
    if wrong and change.how is How.CHANGED and step.hears is None:
        change, wrong = replace(change, distinct=True), False
    trial = replace(_rehearsed(journey, step, good, change), no_run=wrong)
    if trial.finding is not None or not wrong:
        return trial
    said = "not tried: what is taken back would go by a value that never was"
    return replace(trial, finding=Finding.NOT_REACHED, said=said, by_rule=True)


def _rehearsed(journey: Journey, step: Step, good: Good, change: Change) -> Trial:
    injection = Injection(step.id, Fault.BODY, change)
    if step.hears is None:
        return _judged(journey, step, good, injection, _wrong(step, good, change))
    wrong = _wrong(step, good, change)
    if step.hears.where is not None or not _all_mine(step, wrong, good):
        return Trial(injection)
    return _judged(journey, step, good, injection, wrong)


def _wrong(step: Step, good: Good, change: Change) -> Any:
    """What the step was told, with that wrong; each of its messages."""
    answer = good.said[step.id][1]
    if step.hears is None:
        return changed(answer, change)
    keep = marks_of(good)
    return tuple(changed(message, change, keep) for message in answer)


def _all_mine(step: Step, messages: tuple[Message, ...], good: Good) -> bool:
    addressed = step.hears is not None and step.hears.addressed
    return addressed or all(carries(message, (good.run.id, good.run.namespace)) for message in messages)


def _feeds_writes(journey: Journey, step: Step, good: Good, change: Change) -> bool:
    """Whether something that a write or clean-up is made of would be another."""
    true = kept_for_clean_up(step, good, good.said[step.id][1])
    wrong = kept_for_clean_up(step, good, _wrong(step, good, change))
    return any(wrong[name] != true.get(name) for name in wrong.keys() & used_by_writes(journey))


def _first(good: Good, step: Step) -> Any:
    answer = good.said[step.id][1]
    if step.hears is not None:
        return answer[0] if answer else None
    return answer


def _is_free(path: Path, content: Any, later: Any, step: Step, good: Good, again: Good) -> bool:
    """Whether the values there are anybody's guess: others in each good run, none of them the run's, read by nobody."""
    one, two = values_at(content, path), values_at(later, path)
    if not one or not two or any(value in two for value in one) or _is_known(one, good) or _is_known(two, again):
        return False
    answer = good.said[step.id][1]
    first = answer[0] if step.hears is not None else answer
    put = with_content(first, _put(content, path, two))
    rehearsed = rehearse(step, good, (put, *answer[1:]) if step.hears is not None else put)
    return not rehearsed.caught and rehearsed.saved == _truly(step, good).saved


def _is_known(values: list[Any], good: Good) -> bool:
    """Whether a value of the run stands in one of these, or the other way about."""
    texts = [str(known) for known in _known(good.names) if len(str(known)) >= SHORTEST_MARK]
    return any(isinstance(value, str) and any(text in value for text in texts) for value in values)


def _known(names: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in names.items():
        if isinstance(value, str) and not name.startswith(("secret.", "run.location", "run.instance")):
            yield value


def _put(content: Any, path: Path, values: list[Any]) -> Any:
    """JSON with these values there, in turn; the last again where there are too few."""
    turn = iter(range(len(values) * 1000))

    def put(value: Any, rest: Path) -> Any:
        if not rest:
            return values[min(next(turn), len(values) - 1)]
        if isinstance(value, list):
            return [put(each, rest[1:]) for each in value]
        return {**value, rest[0]: put(value[rest[0]], rest[1:])} if rest[0] in value else value

    return put(orjson.loads(orjson.dumps(content)), path)


def marks_of(good: Good) -> tuple[str, ...]:
    """The texts by which things are known as the run's."""
    return tuple(sorted({text for text in _known(good.names) if len(text) >= SHORTEST_MARK}, key=len, reverse=True))


# what is heard --------------------------------------------------------------------------------------------------------


def _of_messages(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    messages = good.said[step.id][1] or ()
    if not messages or not again.said[step.id][1]:
        return
    for fault in (Fault.DROP, Fault.DELAY, Fault.DUPLICATE, Fault.STALE):
        yield Trial(Injection(step.id, fault))
    if step.spec is not None and step.spec.kind in ("receive", "mail"):
        yield Trial(Injection(step.id, Fault.ERROR))
    if len(messages) > 1:
        yield Trial(Injection(step.id, Fault.REORDER))
    if content_of(messages[0]) is not None:
        yield from _of_body(journey, step, good, again)
    elif messages[0].content:
        yield _rehearsed(journey, step, good, Change((), How.CHANGED))

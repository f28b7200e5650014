"""The faults of what a step is told: each field of an answer or message, each list, judged by rule where it can be.

What differs between two good runs by itself, with nothing of a run in it, is a value that nobody can foretell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from synthmon.core.journey import Journey, Step
from synthmon.core.messages import Message, carries
from synthmon.core.proof.contents import content_of, with_content
from synthmon.core.proof.faults import Fault, Finding, Good, Injection, Trial, used_by_writes
from synthmon.core.proof.mutations import Change, How, Path, changed, fields_of, spelled, values_at, ways_of
from synthmon.core.proof.rehearsal import Rehearsed, kept_for_clean_up, rehearse, ripples

SHORTEST_MARK = 6


def of_body(journey: Journey, step: Step, good: Good, again: Good) -> Iterator[Trial]:
    """Every field and every list of the answer, or of the first message; a text that is no JSON as a whole."""
    answer = _first(good, step)
    content, later = content_of(answer), content_of(_first(again, step))
    if content is None or later is None:
        if step.hears is not None and answer.content:
            yield _rehearsed(journey, step, good, Change((), How.CHANGED))
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
            for how in ways_of(answer, path):
                yield _of_change(journey, step, good, Change(path, how))
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
        return judged(journey, step, good, injection, _wrong(step, good, change))
    wrong = _wrong(step, good, change)
    if step.hears.where is not None or not _all_mine(step, wrong, good):
        return Trial(injection)
    return judged(journey, step, good, injection, wrong)


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
    return not rehearsed.caught and rehearsed.saved == truly(step, good).saved


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

    return put(content, path)


def marks_of(good: Good) -> tuple[str, ...]:
    """The texts by which things are known as the run's."""
    return tuple(sorted({text for text in _known(good.names) if len(text) >= SHORTEST_MARK}, key=len, reverse=True))


def judged(journey: Journey, step: Step, good: Good, injection: Injection, answer: Any, certain: bool = True) -> Trial:
    """What the step's own checks say to another answer. `certain`: what they let pass, nothing after it can see,
    unless the step would save something else."""
    rehearsed = rehearse(step, good, answer)
    if rehearsed.caught:
        return Trial(injection, Finding.CAUGHT, f"{step.id}: {rehearsed.caught}", by_rule=True)
    if certain and rehearsed.saved == truly(step, good).saved:
        return Trial(injection, Finding.MISSED, _nothing_looks(injection), by_rule=True)
    if certain and (said := ripples(journey, step, good, rehearsed.saved)):
        return Trial(injection, Finding.CAUGHT, said, by_rule=True)
    return Trial(injection)


def truly(step: Step, good: Good) -> Rehearsed:
    """What the step made of its true answer."""
    return rehearse(step, good, good.said[step.id][1])


def _nothing_looks(injection: Injection) -> str:
    if injection.change is None:
        return "every check of this step holds, and what it saves is the same"
    return f"nothing looks at {spelled(injection.change.path) or 'the text'}"

"""What to write into a journey so that a fault that it missed turns it red."""

from __future__ import annotations

import re
from typing import Any

import orjson

from synthmon.core.browsing import Visited
from synthmon.core.door import Rows
from synthmon.core.journey import Journey, Step
from synthmon.core.proof.contents import Telling, content_of
from synthmon.core.proof.faults import Fault, Good, Injection, step_of
from synthmon.core.proof.mutations import EACH, How, Path, spelled, values_at

LONGEST = 60  # of a text that a check compares


def remedy(injection: Injection, journey: Journey, good: Good) -> str:
    """One sentence: what to add, and where."""
    step = step_of(journey, injection.at)
    if step is None:
        return _of_events(injection, journey)
    place = _place(step)
    match injection.fault:
        case Fault.BODY:
            return f"add {_check(injection, step, good)} to {place}"
        case Fault.DROP | Fault.DUPLICATE if step.hears is not None:
            stays = injection.fault is Fault.DROP or step.hears.settle_s > 0
            return f"add {'' if stays else '`settle: 1s` and '}`- count == {len(good.said[step.id][1])}` to {place}"
        case Fault.DROP:
            return f"read back what {step.id} made: a step after {step.place.file}:{step.place.line} with `within:`"
        case Fault.ERROR:
            return f"add {_of_status(step, good)} to {place}"
        case Fault.STALE:
            return f"compare something of this run, such as `run.namespace` in what was made, in {place}"
        case Fault.DELAY:
            return f"add `within: 5s` to {place}"
        case Fault.REORDER | Fault.DUPLICATE:
            return f"compare `messages[0]` and `messages[1]` in {place}"


def _of_events(injection: Injection, journey: Journey) -> str:
    event = injection.at.rpartition("/")[2]
    clauses = journey.promises.clauses
    place = f"{clauses[-1].place.file}:{clauses[-1].place.line}" if clauses else str(journey.place)
    match injection.fault:
        case Fault.DUPLICATE:
            said = f"`- once: {event}`"
        case Fault.DELAY:
            said = f"`- happens: {event}` with `within: 5s` below it"
        case Fault.REORDER:
            said = f"`- before: [{event}, {injection.other}]`, if that order was promised,"
        case Fault.ERROR:
            said = "an event `broken` for records with `status: error`, and `- never: broken`,"
        case _:
            said = f"`- happens: {event}`"
    return f"add {said} to {place}"


def _place(step: Step) -> str:
    place = step.expect[-1].place if step.expect else step.place
    return f"{place.file}:{place.line}"


def _check(injection: Injection, step: Step, good: Good) -> str:
    change = injection.change
    assert change is not None  # who says that something else was said, says what
    answer = good.said[step.id][1]
    content = content_of(answer[0] if step.hears is not None else answer)
    root = "message.json" if step.hears is not None else "" if isinstance(answer, Rows | Telling) else "body"
    if not change.path:
        return "a check on `message.text`"
    found = values_at(content, change.path)
    if change.how in (How.EMPTY, How.TWICE):
        return _line(f"size({_joined(root, change.path)}) == {len(found[0]) if found else 1}")
    if change.how is How.MISSING and not isinstance(answer, Visited):  # what is read of a page is a name, and no field
        return _where(root, change.path, "has({})")
    if any(name.startswith(f"{step.id}.") for name, known in good.names.items() if known in found):
        return f"a later step that reads what {spelled(change.path)} names, or a check of its form,"
    wanted = _wanted(found, good)
    if not wanted and change.path[-1] == EACH and change.path.count(EACH) == 1:
        return _line(f"{_joined(root, change.path[:-1])} == {orjson.dumps(found).decode()}")
    if not wanted:
        return f"what {spelled(change.path)} should be"
    if isinstance(answer, Telling) and len(wanted) > LONGEST and isinstance(found[0], str):
        begins = orjson.dumps(found[0].strip().splitlines()[0][:LONGEST]).decode()
        return _where(root, change.path, f"{{}}.contains({begins})")
    return _where(root, change.path, f"{{}} == {wanted}")


def _wanted(found: list[Any], good: Good) -> str:
    """The value by its name in the run, else as it is; a question mark where entries differ."""
    values = {orjson.dumps(value): value for value in found}
    if len(values) != 1:
        return ""
    (value,) = values.values()
    for prefix in ("vars.", "identity.", "run.", ""):
        for name, known in good.names.items():
            if name.startswith(prefix) and known == value and type(known) is type(value) and not _is_plain(known):
                return name
    return orjson.dumps(value).decode()


def _is_plain(value: Any) -> bool:
    return not isinstance(value, str) or len(value) < 3


def _of_status(step: Step, good: Good) -> str:
    """That it says what it said."""
    assert step.spec is not None  # only a step with a spec is answered
    status = step.spec.see(*good.said[step.id]).get("status", 200)
    return _line(f"status == {orjson.dumps(status).decode()}")


def _where(root: str, path: Path, check: str) -> str:
    """The check on a field, over all entries where it lies in a list."""
    if EACH not in path:
        return _line(_filled(check, _joined(root, path)))
    at = len(path) - 1 - path[::-1].index(EACH)
    inner = _joined("e", path[at + 1 :])
    return _line(f"{_joined(root, path[:at])}.all(e, {_filled(check, inner)})")


def _filled(check: str, name: str) -> str:
    """What is compared may itself have braces."""
    return check.replace("{}", name, 1)


def _line(check: str) -> str:
    """A line of `expect`, in quotes where YAML would read it otherwise."""
    said = check.replace("'", "''")
    return f"`- '{said}'`" if ": " in check or " #" in check else f"`- {check}`"


def _joined(root: str, path: Path) -> str:
    text = root
    for part in path:
        if part == EACH:
            text += "[0]"
        elif re.fullmatch(r"[A-Za-z_]\w*", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text or spelled(path)

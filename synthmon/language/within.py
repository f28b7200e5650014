"""`within: 10s after order`: how long a step may wait, and from which moment on."""

from __future__ import annotations

import re
from collections.abc import Set

from pydantic_core import PydanticCustomError

from synthmon.core.journey import Within
from synthmon.language.amounts import seconds
from synthmon.language.faults import Faults
from synthmon.language.marks import Path
from synthmon.language.names import Story
from synthmon.language.step_schema import ListenKeys, StepKeys
from synthmon.language.words import meant

_AFTER = re.compile(r"(\S+)(?:\s+after\s+(\S+))?")


def compile_within(
    keys: StepKeys | ListenKeys, path: Path, prefix: str, story: Story, sent: Set[str], faults: Faults
) -> Within | None:
    """The `within` of a step with its `poll` and `grace`; `sent` are the steps that surely left before (full ids, in a
    called file with its `prefix`)."""
    poll_s = keys.poll if isinstance(keys, StepKeys) else None
    if keys.within is None:
        for word in (word for word, value in (("poll", poll_s), ("grace", keys.grace)) if value is not None):
            faults.say(
                (*path, word),
                "needs-within",
                f"`{word}` has no meaning without `within`.",
                "Add `within:`, or remove it.",
                at_key=True,
            )
        return None
    parts = _parts(keys.within, (*path, "within"), faults)
    if parts is None:
        return None
    limit_s, after = parts
    if after is not None and not _may_follow(after, keys, path, prefix, story, sent, faults):
        return None
    full = prefix + after if after else None
    return Within(limit_s, full, poll_s, keys.grace or 0.0)


def read_within(text: str | None, path: Path, sent: Set[str], faults: Faults) -> tuple[float | None, str]:
    """The `within` of a clause: its seconds and the step that they count from; (None, "") when there is none."""
    parts = _parts(text, path, faults) if text is not None else None
    if parts is None:
        return None, ""
    limit_s, after = parts
    if after is not None and after not in sent:
        fault = f"There is no step `{after}` that sends something."
        faults.say(path, "after-unknown-step", fault, meant(after, sent, "Name a step."))
        return limit_s, ""
    return limit_s, after or ""


def _parts(text: str, path: Path, faults: Faults) -> tuple[float, str | None] | None:
    found = _AFTER.fullmatch(text.strip())
    try:
        return seconds(found[1] if found else text), found[2] if found else None
    except PydanticCustomError as error:
        context = error.context or {}
        remedy = "Write a duration, or one after a step: 10s after order." if not found else str(context["remedy"])
        faults.say(path, "bad-duration", f"{context['fault']}.", remedy)
        return None


def _may_follow(
    after: str, keys: StepKeys | ListenKeys, path: Path, prefix: str, story: Story, sent: Set[str], faults: Faults
) -> bool:
    """Whether a step surely left before this one."""
    at: Path = (*path, "within")
    offset = (keys.within or "").rfind(after)
    if prefix + after in sent:
        return True
    known = [n[len(prefix) :] for n in sent if n.startswith(prefix)]
    if after == keys.id:
        faults.say_inside(
            at,
            offset,
            "after-later-step",
            f"`{after}` is this step itself.",
            "Leave `after` out: the time counts from the begin of the step.",
        )
    elif after in story.siblings:
        faults.say_inside(
            at,
            offset,
            "after-later-step",
            f"`{after}` runs at the same time, so it is not surely sent before.",
            "Count from a step before `together`.",
        )
    elif after in story.later:
        faults.say_inside(
            at,
            offset,
            "after-later-step",
            f"Step `{after}` is sent later.",
            "Move this behind it, or count from an earlier step.",
        )
    else:
        faults.say_inside(
            at,
            offset,
            "after-unknown-step",
            f"There is no step `{after}` that sends something before this.",
            meant(after, known, "Name an earlier step."),
        )
    return False

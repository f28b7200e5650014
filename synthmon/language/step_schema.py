"""The keys of a step, of what takes it back, and of a file of steps: those that all kinds share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt

from synthmon.language.amounts import Seconds
from synthmon.language.schema_words import Checks, ExpressionText, Keys, Saves, SystemName, Text, WithinText, Word


class RetryKeys(Keys):
    """Send again after a trouble that has nothing to do with what is tested."""

    times: StrictInt = Field(1, ge=1, le=10, description="How often more.")
    on: list[Literal["connect", "timeout", "5xx", "reset"]] = Field(
        default=["connect", "timeout", "5xx", "reset"], min_length=1, description="After which troubles."
    )


class LookKeys(Keys):
    """Common keys of `find` and `gone`, beside those of the kind of step."""

    expect: Checks | None = Field(None, description="Checks on the answer; `gone` needs some.")
    save: Saves = Field(default_factory=dict, description="What `find` learns: the values that `undo` uses.")


class SweepKeys(Keys):
    """Common keys of `sweep`, beside those of the kind of step: how `synthmon sweep` lists what runs left behind."""

    each: ExpressionText = Field(description="The list of items in the answer: `body.items`.")
    tag: ExpressionText = Field(
        description="The text of an `item` that was given `run.namespace`: `item.reference`. What is not exactly a "
        "namespace of this installation is never touched."
    )
    at: ExpressionText = Field(description="When an `item` was made, as a timestamp: `timestamp(item.created)`.")
    save: Saves = Field(default_factory=dict, description="The values that `undo` uses, from `item`: `id: item.id`.")
    next: ExpressionText | None = Field(
        None,
        description="Where the next page begins: the request reads it as `page`, which is empty at first. Missing or "
        "empty: there is none.",
    )


class UndoKeys(Keys):
    """Common keys of `undo`, beside those of the kind of step."""

    find: Any = Field(
        None,
        description="A read that learns the values `undo` needs when the answer was never seen. Nothing found: "
        "not yet, until ttl.",
    )
    gone: Any = Field(
        None,
        description="A read whose `expect` says that the effect is gone, or `unchecked`. "
        "Default: `find` comes back empty, or the undo repeated answers 404 or 410.",
    )
    sweep: Any = Field(
        None,
        description="A read that lists what runs may have left, so that `synthmon sweep` finds it when the journal is "
        "lost.",
    )
    ttl: Seconds = Field(
        3600.0, validate_default=False, description="How long to look for what may have been made. Default 1h."
    )


class NamedKeys(Keys):
    """Keys of everything that stands in `steps`."""

    id: Word | None = Field(
        None, description="Its name: later steps read what it saves as `<id>.<saved>`. Default: `step_<n>`."
    )
    title: str = Field("", description="What it does, for people.")
    when: ExpressionText | None = Field(
        None, description="Run the step only if this is true; a skipped step is not counted."
    )


class StepKeys(NamedKeys):
    """Common keys of every step, beside those of its kind."""

    expect: Checks | None = Field(None, description="Checks on the answer, one a line; each must be true.")
    save: Saves = Field(
        default_factory=dict, description="Values kept for later steps: name → expression over the answer."
    )
    timeout: Seconds = Field(10.0, validate_default=False, description="The limit of one attempt. Default 10s.")
    system: SystemName | None = Field(None, description="Whom this step talks to, if not the journey's system.")
    auth: Text | None = Field(None, description="The session of the settings to use, if not the journey's.")
    undo: Any = Field(
        None,
        description="How to take the effect back: a step of its own, sent after `verify`, last effect first, always.",
    )
    leaves: Text | None = Field(
        None,
        description="What a write leaves behind: `nothing`, or in words: `order row, gone after 24h`. A write "
        "needs `undo` or `leaves`.",
    )
    repeatable: StrictBool = Field(
        False,
        description="The system honours Idempotency-Key: the same request may be sent again to learn what "
        "became of it.",
    )
    within: WithinText | None = Field(
        None,
        description="Ask again until every check holds: `10s` from the begin of the step, or `10s after STEP` "
        "from its first byte.",
    )
    poll: Seconds | None = Field(
        None, description="The pause between two looks of `within`. Default: 200ms growing to 2s."
    )
    grace: Seconds | None = Field(None, description="Look on for so long after `within`, to tell late from lost.")
    retry: RetryKeys | None = Field(None, description="Send again after a trouble; a run that needed it is flaky.")
    blame: dict[SystemName, ExpressionText] = Field(
        default_factory=dict,
        description="Books a failure on another system when the expression is true: name → expression over the answer.",
    )


class ListenKeys(NamedKeys):
    """Common keys of every step that listens, beside those of its kind. It listens from before the first step on."""

    expect: Checks | None = Field(None, description="Checks on what came, one a line; each must be true.")
    save: Saves = Field(default_factory=dict, description="Values kept for later steps: name → expression over it.")
    where: ExpressionText | None = Field(
        None,
        description="Which messages are meant. Default: those that bear the run's id or namespace, in a header or in "
        "their content.",
    )
    within: WithinText | None = Field(
        None,
        description="By when it has to have come: `10s` from the begin of the step, or `10s after STEP` from its first "
        "byte. Default: `timeout`.",
    )
    grace: Seconds | None = Field(None, description="Listen on for so long after `within`, to tell late from lost.")
    settle: Seconds | None = Field(
        None, description="Stay for so long after the checks hold, and judge again: for duplicates."
    )
    timeout: Seconds = Field(10.0, validate_default=False, description="The limit of beginning to listen. Default 10s.")
    system: SystemName | None = Field(None, description="Whom this step talks to, if not the journey's system.")
    auth: Text | None = Field(None, description="The session of the settings to use, if not the journey's.")
    blame: dict[SystemName, ExpressionText] = Field(
        default_factory=dict,
        description="Books a failure on another system when the expression is true: name → expression over what came.",
    )


class TogetherKeys(NamedKeys):
    """Steps side by side, for faults that need concurrency; siblings finish after a failure, and none sees what another
    saves."""

    together: list[Any] = Field(description="The steps that run side by side; at least two.", min_length=2)


class CallKeys(NamedKeys):
    """The steps of another file in this place, named `<id>.<step>`."""

    call: Text = Field(description="A file with `steps:`, relative to this one.")
    with_: dict[Word, Any] = Field(
        default_factory=dict, alias="with", description="Values that the file's steps read as `vars.<name>`."
    )


class PauseKeys(NamedKeys):
    """Wait. Rarely what is meant: `within` waits until something holds."""

    pause: Seconds = Field(description="How long.")


class CalledKeys(Keys):
    """A file of steps for `call` or for a session."""

    title: str = Field("", description="What the steps do, for people.")
    steps: list[Any] = Field(description="The steps, in order.", min_length=1)

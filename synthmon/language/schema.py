"""The keys of a journey and of a step, each with what it means: the source of every check, manual and completion."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from synthmon.language.amounts import Seconds, Share
from synthmon.language.words import word_fault


class Keys(BaseModel):
    """A map of a file: nothing but its keys, and none of them changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("bad-name", "{fault}", {"fault": f"{value} is not a name", "remedy": _WORD_REMEDY})
    if fault := word_fault(value):
        raise PydanticCustomError("bad-name", "{fault}", {"fault": fault, "remedy": _WORD_REMEDY})
    return value


def _expression(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    shown = "empty" if value in (None, "") else "a boolean" if isinstance(value, bool) else "not a text"
    remedy = "Write a CEL expression such as status == 201; put it in single quotes if it has `: ` or ` #` in it."
    raise PydanticCustomError("not-an-expression", "{fault}", {"fault": f"The expression is {shown}", "remedy": remedy})


def _within(value: Any) -> str:
    if isinstance(value, str):
        return value
    remedy = "Write a duration, or one after a step: 10s after order."
    raise PydanticCustomError("bad-duration", "{fault}", {"fault": f"{value} is not a duration", "remedy": remedy})


_WORD_REMEDY = "Use small letters, digits and _, a letter first, and no word of CEL: order_id."

Word = Annotated[str, BeforeValidator(_word), WithJsonSchema({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})]
ExpressionText = Annotated[str, BeforeValidator(_expression), WithJsonSchema({"type": "string", "minLength": 1})]
Text = Annotated[str, Field(min_length=1)]
SystemName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
LocationName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class CheckKeys(Keys):
    """A check with a name, or one that is made only sometimes."""

    check: ExpressionText = Field(description="The expression; it passes only when its value is the boolean true.")
    name: str = Field("", description="What the check is called where it is shown.")
    when: ExpressionText | None = Field(None, description="Make the check only if this is true.")


def _form(value: Any) -> str:
    return "map" if isinstance(value, dict | CheckKeys) else "text"


CheckForm = Annotated[
    Annotated[ExpressionText, Tag("text")] | Annotated[CheckKeys, Tag("map")],
    Discriminator(_form),
]
Checks = Annotated[list[CheckForm], Field(min_length=1)]
Saves = dict[Word, ExpressionText]


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
    within: (
        Annotated[
            str, BeforeValidator(_within), WithJsonSchema({"type": "string", "examples": ["10s", "10s after order"]})
        ]
        | None
    ) = Field(
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
    within: (
        Annotated[
            str, BeforeValidator(_within), WithJsonSchema({"type": "string", "examples": ["10s", "10s after order"]})
        ]
        | None
    ) = Field(
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


class SloKeys(Keys):
    """What was promised to the users of the journey."""

    objective: Share = Field(description="The share of runs that pass: `99.5%`.")
    window: Seconds = Field(2592000.0, validate_default=False, description="Over which time. Default 30d.")
    latency: dict[Literal["p50", "p75", "p90", "p95", "p99"], Seconds] = Field(
        default_factory=dict, description="How long a run may take, by quantile: `{p95: 8s}`."
    )


class AlertKeys(Keys):
    """Who is told, and when."""

    severity: Literal["page", "ticket", "none"] = Field(
        "ticket", description="`page` wakes somebody, `ticket` waits for the morning."
    )
    after: StrictInt = Field(2, ge=1, le=100, description="After how many bad runs in a row.")
    locations: StrictInt = Field(1, ge=1, le=100, description="In how many locations at once.")


class EventKeys(Keys):
    """A name for some records of a source of evidence: those that have all of these values."""

    from_: SystemName = Field(alias="from", description="The source: a name under `evidence:` in the settings.")
    step: Text | None = Field(None, description="What happened, as the record calls it: ledger-posted.")
    status: Text | None = Field(None, description="How it ended: ok.")
    name: Text | None = Field(None, description="The workflow or operation.")
    service: Text | None = Field(None, description="Who wrote the record.")
    dependency: Text | None = Field(None, description="What was called.")
    attempt: StrictInt | None = Field(None, ge=1, description="Which attempt.")
    where: ExpressionText | None = Field(None, description="An expression over `event.*` that must be true.")


Pair = Annotated[list[Word], Field(min_length=2, max_length=2)]


class ClauseKeys(Keys):
    """One promise about events. Exactly one of the first nine keys says which."""

    happens: Word | None = Field(None, description="The event happens.")
    never: Word | None = Field(None, description="It does not, although its source told something of this run.")
    once: Word | None = Field(None, description="It happens exactly once; a retry of the same is no second one.")
    at_most: dict[Word, StrictInt] | None = Field(None, max_length=1, description="Not more often: {publish: 2}.")
    before: Pair | None = Field(None, description="The first happens, and no earlier the second: [publish, posted].")
    follows: Pair | None = Field(None, description="After each of the first comes the second: [publish, posted].")
    not_both: Pair | None = Field(None, description="Not both of them happen.")
    order: Annotated[list[Word], Field(min_length=2)] | None = Field(
        None, description="All happen, each before the next: [publish, posted, mailed]."
    )
    empty: SystemName | None = Field(None, description="A queue holds nothing at the end: a source that counts.")
    within: (
        Annotated[
            str, BeforeValidator(_within), WithJsonSchema({"type": "string", "examples": ["10s", "10s after order"]})
        ]
        | None
    ) = Field(
        None,
        description="By when: from the start of the run, or from the first byte of a step; of `follows`, from each of "
        "the first. Default: the end of `verify.within`.",
    )
    name: str = Field("", description="What it is called where it is shown, and in metrics.")
    when: ExpressionText | None = Field(None, description="Judge it only if this is true.")


class VerifyKeys(Keys):
    """What has to hold of the run as a whole: checks over what its steps saved, clauses over events."""

    within: Seconds | None = Field(None, description="How long after the last step events may still come. Default 30s.")
    settle: Seconds | None = Field(None, description="Stay for so long after all is decided, for the record.")
    expect: list[Any] = Field(description="One a line: a text is a check, a map with one word a clause.", min_length=1)


_ANY_MAP: dict[str, Any] = {"type": "object"}
_VALUES: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_CASES: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"file": {"type": "string"}},
            "required": ["file"],
            "additionalProperties": False,
        },
        {"type": "object", "additionalProperties": _ANY_MAP, "minProperties": 1, "maxProperties": 200},
    ]
}


class JourneyKeys(Keys):
    """One journey: what a user does, step by step, and what has to come of it."""

    journey: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")] = Field(
        description="Its unique name and metric label: small letters, digits and -, a letter first, at most 63."
    )
    title: str = Field("", description="What it shows, in one sentence for people.")
    owner: str = Field("", description="Who is told when it fails.")
    runbook: str = Field("", description="Where it is written what to do then.")
    every: Seconds | None = Field(None, description="How often it runs: `1m`. Either this or `cron`.")
    cron: Text | None = Field(
        None, description="When it runs: minute hour day month weekday, weekdays by name: `*/5 8-18 * * mon-fri`."
    )
    timezone: Text | None = Field(None, description="The IANA zone of `cron`: `Europe/Berlin`. Default UTC.")
    locations: list[LocationName] = Field(
        default_factory=list, description="Where it runs, once a slot in each. Default: the one place of this machine."
    )
    deadline: Seconds | None = Field(
        None,
        description="The limit of a whole run, clean-up apart. Default: 30s and every `within`, `grace` and `pause`.",
    )
    system: SystemName | None = Field(None, description="Who is tested: a name under `systems:` in the settings.")
    identity: Text | None = Field(None, description="As whom: a name under `identities:` in the settings.")
    auth: Text | None = Field(None, description="The session to use: a name under `sessions:` in the settings.")
    slo: SloKeys | None = Field(None, description="What was promised.")
    alert: AlertKeys | None = Field(None, description="Who is told, and when.")
    cases: Annotated[Any, WithJsonSchema(_CASES)] = Field(
        None,
        description="Variants, each a journey of its own `name/case`: case → values read as `case.<name>`; at "
        "most 200; or {file: cases.yaml}.",
    )
    vars: Annotated[dict[Word, Any], WithJsonSchema(_VALUES)] = Field(
        default_factory=dict, description="Values computed once at the start of a run, read as `vars.<name>`."
    )
    steps: list[Any] = Field(description="The steps, in order. The first that fails ends them.", min_length=1)
    events: dict[Word, EventKeys] = Field(
        default_factory=dict, description="Names for what other systems report about the run, for `verify`."
    )
    verify: VerifyKeys | None = Field(None, description="What has to hold of the run as a whole.")


NOT_YET = {
    "journey": {},
    "undo": {"auth": "A session for the undo alone", "system": "An undo at another system"},
    "look": {"auth": "A session for this read alone", "system": "A read at another system"},
    "settings": {},
}
"""Keys of the language that this version cannot do yet, by the map they stand in: refused in words of their own."""

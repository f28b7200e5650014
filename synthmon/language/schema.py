"""The keys of a journey, each with what it means: the source of every check, manual and completion."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictInt, WithJsonSchema

from synthmon.language.amounts import Seconds, Share
from synthmon.language.schema_words import ExpressionText, Keys, LocationName, SystemName, Text, WithinText, Word


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
    within: WithinText | None = Field(
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

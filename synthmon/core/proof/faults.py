"""Which faults a journey should turn red on: what each does, where it strikes, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from synthmon.core.evidence import Evidence
from synthmon.core.journey import Journey, Step
from synthmon.core.proof.mutations import Change
from synthmon.core.run import Run

RUN, LOOK = "another run", "an earlier look"  # whose answer a stale one is
COUNT = "(count)"  # what `at` names of a source that counts


class Fault(StrEnum):
    """The kinds of faults."""

    DROP = "drop"  # a write never leaves and is answered all the same; a message, a call or a record never comes
    DELAY = "delay"  # it comes after its time is over
    ERROR = "error"  # 500; a broker refuses; a function reports an error
    BODY = "body"  # a part of what is said is wrong
    DUPLICATE = "duplicate"  # it comes twice, under another id
    REORDER = "reorder"  # two of them change places, and their instants
    STALE = "stale"  # the answer of another run, or of an earlier look


class Finding(StrEnum):
    """What came of a fault."""

    CAUGHT = "caught"  # red
    MISSED = "missed"  # green
    EQUIVALENT = "equivalent"  # nobody could tell it from a good run
    NOT_REACHED = "not reached"  # it did not get so far
    BLIND = "blind"  # unknown: not green, and no word of the system either


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault at one place: a step, or `source/event`. `other` is the second event, or whose answer is stale."""

    at: str
    fault: Fault
    change: Change | None = None
    other: str = ""

    @property
    def of_count(self) -> bool:
        """Whether it is one of how many things wait somewhere."""
        return self.at.endswith(f"/{COUNT}")

    @property
    def text(self) -> str:
        """What it does, for a person."""
        match self.fault:
            case Fault.BODY if self.change is not None:
                return self.change.text
            case Fault.REORDER if self.other:
                return f"{self.at.rpartition('/')[2]} and {self.other} change places"
            case Fault.STALE:
                return f"the answer of {self.other or RUN}"
            case Fault.BODY if self.of_count:
                return "one more waits there"
            case Fault.ERROR if self.of_count:
                return "it cannot be counted"
        return _WORDS[self.fault]


_WORDS: Mapping[Fault, str] = {
    Fault.DROP: "it never takes effect, or never comes",
    Fault.DELAY: "it comes after its time",
    Fault.ERROR: "it is refused, or ends in an error",
    Fault.BODY: "it says something else",
    Fault.DUPLICATE: "it comes twice",
    Fault.REORDER: "two of them change places",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One fault, and what came of it. `finding` None: a run has to tell. `by_rule`: it was told without a run.

    `no_run`: none may tell, since what a write or clean-up is made of would be wrong in it.
    """

    injection: Injection
    finding: Finding | None = None
    said: str = ""  # what caught it, or why nothing did
    by_rule: bool = False
    no_run: bool = False
    run_id: str = ""
    remedy: str = ""  # of what was missed
    took_s: float = 0.0  # of its run, clean-up included


@dataclass(frozen=True, slots=True)
class Good:
    """A run without a fault: what it knew at its end, and what it was told. `said` is step → request and answer;
    of a step that listens, its messages."""

    run: Run
    names: Mapping[str, Any] = field(repr=False)
    said: Mapping[str, tuple[Any, Any]] = field(repr=False)
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)
    took_s: float = 0.0  # clean-up included


@dataclass(frozen=True, slots=True)
class Proof:
    """All that is known of a journey after its faults. `halted` says why not all of them were tried; empty if so."""

    journey: str
    good_runs: tuple[str, ...]
    trials: tuple[Trial, ...]
    halted: str = ""

    def of(self, finding: Finding | None) -> tuple[Trial, ...]:
        """Those with this end; None: those that were not tried."""
        return tuple(trial for trial in self.trials if trial.finding is finding)


def writes_of(journey: Journey) -> int:
    """How many writes one run of a journey sends at most, clean-up apart."""
    return sum(step.spec is not None and step.spec.effect for step in journey.flat)


def writes_from(journey: Journey, step_id: str) -> frozenset[str]:
    """The step, if it writes, and every later write that is made, or taken back, by what it or another of these saved.

    What a step hears was said already, so that one which listens is not among them for its own sake.
    """
    made = {step_id}
    for step in journey.flat:
        if any(owner(name, journey) in made for name in step.renders | _cleaned_by(step)):
            made.add(step.id)
    return frozenset(
        step.id
        for step in journey.flat
        if step.id in made and step.spec is not None and step.spec.effect and (step.hears is None or step.id != step_id)
    )


def used_by_writes(journey: Journey) -> frozenset[str]:
    """The names from which a write or a clean-up is made: one that is wrong could hit what is not ours."""
    found: set[str] = set()
    for step in journey.flat:
        found |= _cleaned_by(step)
        if step.spec is not None and step.spec.effect:
            found |= step.renders
    return frozenset(found)


def _cleaned_by(step: Step) -> frozenset[str]:
    """The names that its clean-up reads."""
    if step.undo is None:
        return frozenset()
    looks = [look for look in (step.undo.find, step.undo.gone) if look]
    return step.undo.spec.refs.union(*(look.spec.refs for look in looks))


def owner(name: str, journey: Journey) -> str:
    """The step that saved a name: `order` of `order.id`; empty for the run's own."""
    ids = sorted((step.id for step in journey.flat if name.startswith(f"{step.id}.")), key=len)
    return ids[-1] if ids else ""


def step_of(journey: Journey, step_id: str) -> Step | None:
    """The step of that id."""
    return next((step for step in journey.flat if step.id == step_id), None)

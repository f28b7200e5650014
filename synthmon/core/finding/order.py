"""How one of two happenings is put before the other on purpose, and whether a run shows that it was.

There is a control point where the later one is a step of the journey itself, which is begun later, or an event whose
consumer honours `synthmon.hold=<event>:<ms>` in the baggage. Who does not honour it is found out by trying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from synthmon.core.evidence import Evidence
from synthmon.core.finding.fisher import directed_p
from synthmon.core.finding.happened import happened
from synthmon.core.journey import Journey, Step
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import Clocks, Order, edges, learn
from synthmon.core.system import System
from synthmon.core.transact.gather import assuming

SHORTEST_HOLD_MS, LONGEST_HOLD_MS = 500, 10_000
UNKNOWN_HOLD_MS = 1_000  # when no good run tells how long it takes
SURE = 0.01  # below this p an order is confirmed to be the cause
OWN_CLOCK = "synthmon"


@dataclass(frozen=True, slots=True)
class Hold:
    """`first` is to come before `later`, which waits `hold_ms`: as a step of ours (`own`), or at its consumer."""

    first: str
    later: str
    hold_ms: int
    own: bool = False

    @property
    def text(self) -> str:
        """`credits<profile`."""
        return f"{self.first}<{self.later}"

    @property
    def baggage(self) -> str:
        """What asks consumers to hold; empty where nobody has to be asked."""
        return "" if self.own else f"{self.later}:{self.hold_ms}"

    def __str__(self) -> str:
        how = "begun later" if self.own else "held by its consumer"
        return f"{self.first} before {self.later}, which is {how} by {self.hold_ms} ms"


class CannotForce(ValueError):
    """There is no control point; the message says why."""


def hold(journey: Journey, first: str, later: str, good: Sequence[Record], systems: Mapping[str, System]) -> Hold:
    """How `first` is put before `later`; `good` are runs of the journey that tell how long things take.

    Raises `CannotForce`.
    """
    own = {step.id: step for step in journey.flat}
    wait_ms = _wait_ms(first, later, good)
    if later in own:
        if first in own and not _side_by_side(journey, first, later):
            raise CannotForce(
                f"{first} and {later} are steps of the journey that follow one another. Put them side by side with "
                "`together:`."
            )
        return Hold(first, later, wait_ms, own=True)
    deaf = sorted(name for name in _systems_of(journey) if name in systems and not systems[name].propagate)
    if deaf:
        raise CannotForce(
            f"{later} is no step of ours, and {deaf[0]} is sent no baggage that could ask its consumer to hold it: it "
            "has `propagate: false`."
        )
    return Hold(first, later, wait_ms)


def forced(journey: Journey, what: Hold) -> Journey:
    """The journey as it runs then: it listens until both must have come."""
    lag_s = max((source.lag_s for source in journey.promises.sources), default=0.0)
    linger_s = what.hold_ms / 1e3 + lag_s + 0.5
    promises = replace(journey.promises, linger_s=max(journey.promises.linger_s, linger_s))
    steps = journey.steps
    if what.own:
        steps = tuple(_delayed(step, what.later, what.hold_ms / 1e3) for step in steps)
    return replace(journey, steps=steps, promises=promises)


def clocks_of(journey: Journey, good: Sequence[Record]) -> Clocks:
    """What good runs teach of the clocks that an order is read from."""
    return assuming(learn(edge for record in good for edge in edges(record.evidence)), journey)


def shows(record: Record, what: Hold, clocks: Clocks) -> bool | None:
    """Whether the run's own evidence says that the order was the wanted one; None where it cannot tell."""
    first, later = (instant(record, name) for name in (what.first, what.later))
    if first is None or later is None:
        return None
    order = clocks.order(first, later)
    return None if order is Order.UNKNOWN else order is Order.BEFORE


def instant(record: Record, name: str) -> Evidence | None:
    """When something first happened in a run: by other systems, or as a step of ours, when it was sent."""
    if (found := happened(record).get(name)) is not None:
        return found.first
    step = next((step for step in record.steps if step.id == name and step.attempts), None)
    if step is None or record.started is None:
        return None
    at = record.started + timedelta(milliseconds=step.attempts[0].at_ms)
    return Evidence(OWN_CLOCK, name, round(at.timestamp() * 1e9), clock=OWN_CLOCK)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run with a hold: whether its evidence shows the order (None: it cannot tell), and how it ended."""

    what: Hold
    record: Record
    shown: bool | None

    @property
    def counts(self) -> bool:
        """A run that says nothing of the system, or in which the order was another one, is no trial."""
        return self.shown is True and self.record.outcome in (Outcome.PASSED, Outcome.FLAKY, Outcome.FAILED)

    @property
    def bad(self) -> bool:
        """Whether the system failed in it."""
        return self.record.outcome is Outcome.FAILED


@dataclass(frozen=True, slots=True)
class Finding:
    """What trials say of an order: a table of bad and good runs, with the order forced and with its reverse.

    `p` is one-sided, for the question has a direction: does the order make it worse?
    """

    order: str
    forced_bad: int
    forced_good: int
    reversed_bad: int
    reversed_good: int
    p: float
    verdict: str  # confirmed, not confirmed, cannot force
    said: str = ""


def find(order: Hold, reverse: Hold, trials: Sequence[Trial]) -> Finding:
    """Judge an order by its trials."""
    count = {
        (what.text, bad): sum(trial.counts and trial.bad is bad for trial in trials if trial.what == what)
        for what in (order, reverse)
        for bad in (True, False)
    }
    a, b, c, d = (count[what.text, bad] for what in (order, reverse) for bad in (True, False))
    p = directed_p(a, b, c, d)
    for what in (order, reverse):
        if not count[what.text, True] + count[what.text, False]:
            said = why_not(what, [trial for trial in trials if trial.what == what])
            return Finding(order.text, a, b, c, d, p, "cannot force", said)
    return Finding(order.text, a, b, c, d, p, "confirmed" if p < SURE else "not confirmed")


def why_not(what: Hold, trials: Sequence[Trial]) -> str:
    """Why an order did not come about in any of these runs."""
    if not trials:
        return f"no run with {what} was made"
    runs = f"{len(trials)} run{'s' if len(trials) > 1 else ''}"
    unseen = {name for t in trials for name in (what.first, what.later) if instant(t.record, name) is None}
    if unseen:
        return f"{' and '.join(sorted(unseen))} was not seen in {runs}: without it nobody knows the order"
    if all(trial.shown is None for trial in trials):
        return (
            f"{what.first} and {what.later} were seen in {runs}, by clocks that may be too far apart to tell which was "
            "first. Vouch for them with `skew:` on their source if you know better."
        )
    if any(trial.shown for trial in trials):
        return f"the order came about, but none of {runs} says anything of the system: {trials[-1].record.message}"
    held = [trial for trial in trials if _waited_ms(trial) >= 0.9 * what.hold_ms]
    if not what.own and not held:
        return f"{what.later} was not held in any of {runs}: its consumer does not honour synthmon.hold in the baggage"
    waited = f"{what.later} waited {what.hold_ms} ms" if what.own else f"{what.later} was held for {what.hold_ms} ms"
    return f"{waited} in {len(held)} of {runs}, and {what.first} came after it all the same: the system waits for it"


def _waited_ms(trial: Trial) -> float:
    """How long after the first byte of the run the later one came."""
    later = instant(trial.record, trial.what.later)
    sent = [attempt.at_ms for step in trial.record.steps for attempt in step.attempts]
    if later is None or trial.record.started is None or not sent:
        return 0.0
    return later.at_ns / 1e6 - trial.record.started.timestamp() * 1e3 - min(sent)


def _wait_ms(first: str, later: str, good: Sequence[Record]) -> int:
    """Twice the longest that `first` still took in good runs once `later` had begun, and a little more."""
    waits = []
    for record in good:
        one, other = instant(record, first), instant(record, later)
        if one is not None and other is not None:
            begin_ns = other.start_ns or other.at_ns - round((other.duration_ms or 0.0) * 1e6)
            waits.append((one.at_ns - begin_ns) / 1e6)
    if not waits:
        return UNKNOWN_HOLD_MS
    return round(min(max(2 * max(waits) + 300, SHORTEST_HOLD_MS), LONGEST_HOLD_MS))


def _side_by_side(journey: Journey, one: str, other: str) -> bool:
    return any({one, other} <= {branch.id for branch in step.together} for step in journey.steps)


def _systems_of(journey: Journey) -> frozenset[str]:
    return frozenset(
        step.system or journey.system for step in journey.flat if step.spec is not None and step.spec.effect
    )


def _delayed(step: Step, name: str, delay_s: float) -> Step:
    if step.together:
        return replace(step, together=tuple(_delayed(branch, name, delay_s) for branch in step.together))
    return replace(step, delay_s=delay_s) if step.id == name else step

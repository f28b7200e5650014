"""Runs whose promise other systems report, in worlds made by chance: `python -m tests.core.promised_worlds`.

One event that is promised, to happen or never to: it happens at some instant or not at all, and is told later, by a
source that lags, is blind for a spell, or says nothing; and a deadline that may come first. Prints what is judged
wrongly.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from synthmon.core.evidence import Blind, Evidence, Report, Watermark
from synthmon.core.journey import Promises
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.sequence.clauses import Clause, EventSpec, Word
from synthmon.core.sources import Source
from synthmon.core.transact.gather import PATIENCE_S
from tests.core.scripted import PLACE, START, Answer, World, journey, step
from tests.core.worlds import search, told

BEGIN_NS = int(START.timestamp() * 1e9)
LAG_S, WITHIN_S, STEP_S = 1.0, 5.0, 0.01
EVENT = EventSpec("posted", "logs", {"step": "posted"})
_BARE = journey(step("order", "POST /orders"))
GRID = (0.5, 1.0, 2.0, 4.5, 5.0, 5.01, 5.5, 6.0, 7.0)


@dataclass(frozen=True, slots=True)
class Promised:
    """One world; `posted_s` None: it never happens."""

    word: Word
    posted_s: float | None
    told_after_s: float
    blind: tuple[float, float] | None
    silent: bool
    deadline_s: float
    settle_s: float
    linger_s: float

    @property
    def told_s(self) -> float | None:
        """When it is told: not while the source is blind."""
        if self.posted_s is None or self.silent:
            return None
        at_s = self.posted_s + self.told_after_s
        return self.blind[1] if self.blind and self.blind[0] <= at_s < self.blind[1] else at_s


def chance(of: random.Random) -> Promised:
    """Some world."""
    blind = tuple(sorted(of.sample((0.0, *GRID, 99.0), 2))) if of.random() < 0.4 else None
    return Promised(
        of.choice((Word.HAPPENS, Word.NEVER, Word.ONCE)),
        of.choice((None, *GRID)),
        of.choice((0.0, 0.3, LAG_S)),
        (blind[0], blind[1]) if blind else None,
        of.random() < 0.1,
        of.choice((60.0, 60.0, *GRID[2:], 9.0)),
        of.choice((0.0, 0.0, 3.0)),
        of.choice((0.0, 0.0, 4.0)),
    )


def run(world: Promised) -> Record:
    """What is said of it."""
    reports: list[tuple[float, Report]] = []
    for n in range(40 if not world.silent else 0):
        at_s = n * 0.5
        if world.blind and world.blind[0] <= at_s < world.blind[1]:
            reports.append((at_s, Blind("logs", Reason.CONNECTION, "it is down")))
        else:
            reports.append((at_s + 0.001, Watermark("logs", BEGIN_NS + round((at_s - LAG_S) * 1e9))))
    if not world.silent:
        reports.append((0.2, Evidence("logs", "alive", BEGIN_NS, id="0")))
    if world.told_s is not None and world.posted_s is not None:
        reports.append((world.told_s, Evidence("logs", "posted", BEGIN_NS + round(world.posted_s * 1e9), id="1")))
    promises = Promises(
        (EVENT,),
        (Clause(world.word, ("posted",), PLACE),),
        (Source("logs", "jsonl", None, lag_s=LAG_S),),
        WITHIN_S,
        world.settle_s,
        world.linger_s,
    )
    probe = replace(_BARE, promises=promises, deadline_s=world.deadline_s)
    return World(lambda request, now_s, act: Answer(201), reports=lambda source: reports).record(probe)


def fault(world: Promised, record: Record) -> str:
    """What is wrong with what is said; empty if nothing."""
    end_s = STEP_S + WITHIN_S
    happened = world.posted_s is not None and world.posted_s <= end_s
    wanted = happened is (world.word is not Word.NEVER)
    whole_s = end_s + LAG_S + PATIENCE_S  # a deadline after that has nothing to end
    seen = not world.silent and world.blind is None
    # until the deadline it has to be told as well
    untold = happened and (world.told_s or 99.0) >= world.deadline_s and record.reason is Reason.DEADLINE
    match record.outcome:
        case Outcome.PASSED:
            return "" if wanted else "what was promised is not so"
        case Outcome.FAILED if wanted and not (world.deadline_s < whole_s and untold):
            return "what was promised is so"
        case Outcome.FAILED if world.silent:
            return "nobody can tell"
        case Outcome.UNKNOWN if seen and world.deadline_s >= whole_s:
            return "everything could be seen"
        case Outcome.UNKNOWN if (
            world.word is Word.NEVER and happened and (world.told_s or 99.0) < min(world.deadline_s, end_s)
        ):
            return "it was told that it is not so"
        case Outcome.PASSED | Outcome.FAILED | Outcome.UNKNOWN:
            return ""
    return f"it is {record.outcome}"


def faults(seed: int) -> list[str]:
    """What is wrong with one run."""
    world = chance(random.Random(seed))
    record = run(world)
    return told(seed, fault(world, record), world, record)


if __name__ == "__main__":
    search(faults, __doc__)

"""After how many runs the guilty order is the first suspect: `python -m tests.bench.suspicion`.

Six functions hear of one order: A, B and C of the order itself, D of what A did, E of B, F of C. Each tries again in
1.5 % of its events, does 2 % twice, and loses 1 % of its records. A run fails if and only if C is done before B, which
three of a hundred runs are. No function fails more often than another, so error rates name nobody; the product's own
`suspects` is asked after every failing run. With `--offset-ms` each function's clock is off by a normal deviate, and
orders are told by the bounds that `core.sequence.offsets` learnt from the runs so far (not at all, with `--trusting`):
records are seen up to 250 ms after they were written, as by something that follows a log.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

from synthmon.core.evidence import Evidence
from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import parse
from synthmon.core.finding.suspects import suspects
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, Record, StepRecord
from synthmon.core.sequence.clocks import TRUSTED
from synthmon.core.sequence.offsets import Offsets
from synthmon.core.sequence.sightings import least
from tests.bench.figures import quantile

GUILTY = parse("C<B")
CAUSE = {"A": "order", "B": "order", "C": "order", "D": "A", "E": "B", "F": "C"}
RETRY, DUPLICATE, LOST = 0.015, 0.02, 0.01
MOST_RUNS = 600
HOLD_MS = 1500.0
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN_NS = round(STARTED.timestamp() * 1e9)
ORDERED = StepRecord(
    "order", "http", "", Outcome.PASSED, attempts=(Attempt("order#1", "POST /orders → 202", -5.0, 5.0),)
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one history came to: the runs and the failing ones after which the guilty order was first and stayed so
    (None: it never did), and each function's share of tries that were refused."""

    runs: int | None
    failing: int
    refused: Mapping[str, float]


def trial(seed: int, offset_ms: float = 0.0, *, trusting: bool = False, runs: int = MOST_RUNS) -> Trial:
    """One history of so many runs."""
    dice = random.Random(seed)
    offsets_ns = {name: round(dice.gauss(0, offset_ms) * 1e6) for name in CAUSE}
    records = [run(dice, offsets_ns) for _ in range(runs)]
    told = [happened(record) for record in records]
    first_since: int | None = None
    failing_then = failing = 0
    offsets = Offsets()
    for count, record in enumerate(records, 1):
        offsets.learn(least(record))
        if record.outcome is not Outcome.FAILED:
            continue
        failing += 1
        good = [seen for seen, one in zip(told[:count], records, strict=False) if one.outcome is Outcome.PASSED]
        bad = [seen for seen, one in zip(told[:count], records, strict=False) if one.outcome is Outcome.FAILED]
        found = suspects(good, bad, TRUSTED if trusting or not offset_ms else offsets.clocks)
        if found and found[0].predicate == GUILTY:
            if first_since is None:
                first_since, failing_then = count, failing
        else:
            first_since = None
    return Trial(first_since, failing_then, refused(records))


def run(dice: random.Random, offsets_ns: Mapping[str, int], hold_ms: float = 0.0) -> Record:
    """One run; with `hold_ms` each function is held for a random time up to that."""
    done_ms: dict[str, float] = {"order": 0.0}
    records: list[Evidence] = [Evidence("logs", "order", BEGIN_NS, clock="gateway", id="order")]
    for name, cause in CAUSE.items():
        wait_ms = 5 + dice.expovariate(1 / 20) + (dice.uniform(0, hold_ms) if hold_ms else 0)
        work_ms = {"B": 200.0, "C": 515.0}.get(name, 300.0) * dice.lognormvariate(0, 0.33)
        tries = 2 if dice.random() < RETRY else 1
        begin_ms = done_ms[cause] + wait_ms
        done_ms[name] = begin_ms + work_ms + (200 if tries > 1 else 0)
        ids = [f"{name}1", *([f"{name}2"] if dice.random() < DUPLICATE else [])]
        for number, id in enumerate(ids):
            end_ms = done_ms[name] + 300 * number
            at_ns = BEGIN_NS + round(end_ms * 1e6) + offsets_ns[name]
            for attempt in range(1, tries + 1):
                if dice.random() < LOST:
                    continue
                status = "ok" if attempt == tries else "retry"
                shown_ns = at_ns - (tries - attempt) * 200_000_000
                records.append(
                    Evidence(
                        "logs",
                        name,
                        shown_ns,
                        status=status,
                        attempt=attempt,
                        duration_ms=work_ms,
                        start_ns=shown_ns - round(work_ms * 1e6),
                        clock=name,
                        id=id,
                        causes=("order",) if cause == "order" else (f"{cause}1",),
                        received_ns=BEGIN_NS + round((end_ms + dice.uniform(1, 250)) * 1e6),
                    )
                )
    outcome = Outcome.FAILED if done_ms["C"] < done_ms["B"] else Outcome.PASSED
    records.sort(key=lambda record: record.at_ns)
    return Record(
        "sim",
        STARTED,
        outcome,
        Reason.NONE,
        run_id="0" * 32,
        started=STARTED,
        steps=(ORDERED,),
        evidence=tuple(records),
    )


def refused(records: Sequence[Record]) -> Mapping[str, float]:
    """Function → the share of its tries that were refused: what a dashboard of error rates shows."""
    tries, bad = Counter[str](), Counter[str]()
    for record in records:
        for one in record.evidence:
            if one.step in CAUSE:
                tries[one.step] += 1
                bad[one.step] += one.status != "ok"
    return {name: bad[name] / tries[name] for name in CAUSE}


def forced(seed: int, runs: int = 24) -> bool:
    """Whether so many runs, in which each function is held for a random time, leave the guilty order alone on top."""
    dice = random.Random(seed)
    offsets_ns = dict.fromkeys(CAUSE, 0)
    records = [run(dice, offsets_ns, HOLD_MS) for _ in range(runs)]
    told = {
        outcome: [happened(record) for record in records if record.outcome is outcome]
        for outcome in (Outcome.PASSED, Outcome.FAILED)
    }
    found = suspects(told[Outcome.PASSED], told[Outcome.FAILED])
    top = [one.predicate for one in found if (one.ochiai, one.increase) == (found[0].ochiai, found[0].increase)]
    return top == [GUILTY]


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="python -m tests.bench.suspicion")
    arguments.add_argument("--trials", type=int, default=100)
    arguments.add_argument("--offset-ms", type=float, default=0.0, help="standard deviation of the clocks' offsets")
    arguments.add_argument("--trusting", action="store_true", help="take every clock for right")
    wanted = arguments.parse_args()
    began_s = time.perf_counter()
    found = [trial(seed, wanted.offset_ms, trusting=wanted.trusting) for seed in range(wanted.trials)]
    reached = sorted(one.runs for one in found if one.runs is not None)
    rates = [median([one.refused[name] for one in found]) for name in CAUSE]
    print(f"{wanted.trials} histories of {MOST_RUNS} runs, clocks off by sd {wanted.offset_ms:g} ms")
    if reached:
        failing = median([one.failing for one in found if one.runs is not None])
        print(
            f"{GUILTY.text} first and stayed so in {len(reached)} of them, after {median(reached):g} runs "
            f"(median; p90 {quantile(reached, 0.9):g}), {failing:g} of them failing"
        )
    print(f"error rates of the six functions: {min(rates):.2%} to {max(rates):.2%}")
    if not wanted.offset_ms:
        alone = sum(forced(seed) for seed in range(wanted.trials))
        print(
            f"24 runs in which every function is held for a random time: "
            f"{GUILTY.text} alone on top in {alone} of {wanted.trials}"
        )
    print(f"{time.perf_counter() - began_s:.0f} s")


if __name__ == "__main__":
    main()

"""How often the order of two records is told wrong when clocks are off: `python -m tests.core.clock_offsets`.

A simulated workflow of six services, each with a clock of its own that is off by a normal offset: an answered call, a
message that is handed on over links, and two consumers that nobody told of a cause. Each run is judged with what the
runs before it taught, by the same code as in the daemon; what is printed counts pairs of records on different clocks,
after the first runs. `trusted` believes what clocks show.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

from synthmon.core.evidence import Evidence
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Attempt, Record, StepRecord
from synthmon.core.sequence.clocks import TRUSTED, Clocks, Order, Ordering
from synthmon.core.sequence.offsets import Offsets
from synthmon.core.sequence.sightings import Sightings, least
from tests.core.told import BEGIN_NS, STARTED

MS = 1_000_000
SERVICES = ("gateway", "orders", "payments", "ledger", "mailer", "stock")
WARM = 50  # runs that only teach


@dataclass
class Shop:
    """Services with clocks that are off, by name in nanoseconds."""

    chance: random.Random
    off_ns: dict[str, int]

    @classmethod
    def with_clocks(cls, seed: int, sd_ms: float) -> Shop:
        chance = random.Random(seed)
        return cls(chance, {name: round(chance.gauss(0, sd_ms) * MS) for name in SERVICES})

    def run(self, number: int) -> tuple[Record, dict[str, int]]:
        """One run as synthmon records it, and when each step truly ended (nanoseconds after the start)."""
        started = STARTED + timedelta(minutes=number)
        begin_ns = BEGIN_NS + number * 60_000 * MS
        took = self._took
        at = {"place": took(3)}
        at["accept"] = at["place"] + took(4)
        at["answer"] = at["accept"] + took(3)
        at["charge"] = at["accept"] + took(12)
        at["post"] = at["charge"] + took(10)
        at["confirm"] = at["post"] + took(8)  # the ledger's answer to the payments, over a message
        at["mail"] = at["accept"] + took(25)
        at["mailed"] = at["mail"] + took(10)
        at["reserve"] = at["accept"] + took(20)
        at["reserved"] = at["reserve"] + took(10)
        causes = {
            "accept": "place",
            "answer": "accept",
            "charge": "accept",
            "post": "charge",
            "confirm": "post",
            "mail": "accept",
            "mailed": "mail",
            "reserve": "accept",
            "reserved": "reserve",
        }
        where = {
            "place": "gateway",
            "accept": "orders",
            "answer": "gateway",
            "charge": "payments",
            "post": "ledger",
            "confirm": "payments",
            "mail": "mailer",
            "mailed": "orders",
            "reserve": "stock",
            "reserved": "orders",
        }
        evidence = tuple(
            Evidence(
                "spans",
                step,
                begin_ns + true_ns + self.off_ns[where[step]],
                clock=where[step],
                id=f"{number}-{step}",
                causes=(f"{number}-{causes[step]}",) if step in causes else (),
                received_ns=begin_ns + true_ns + took(400),
                matched_by="trace",
            )
            for step, true_ns in at.items()
        )
        order = StepRecord(
            "order", "http", "", Outcome.PASSED, attempts=(Attempt("order#1", "POST /orders", 0.0, 9.0),)
        )
        return Record(
            "orders",
            started,
            Outcome.PASSED,
            Reason.NONE,
            run_id=f"{number:032x}",
            started=started,
            steps=(order,),
            evidence=evidence,
        ), at

    def _took(self, usual_ms: float) -> int:
        """Mostly what is usual, at times much more."""
        return round(usual_ms * self.chance.lognormvariate(0, 0.7) * MS) + MS // 5


@dataclass
class Told:
    """How often an order was told right, wrong, or not at all."""

    right: int = 0
    wrong: int = 0
    unknown: int = 0

    def take(self, order: Order, truly_before: bool) -> None:
        if order is Order.UNKNOWN:
            self.unknown += 1
        elif (order is Order.BEFORE) is truly_before:
            self.right += 1
        else:
            self.wrong += 1

    def share(self, of: int) -> float:
        return of / max(1, self.right + self.wrong + self.unknown)

    @property
    def text(self) -> str:
        return f"{self.share(self.wrong):6.2%} wrong  {self.share(self.unknown):6.2%} unknown"


def judged(seed: int, sd_ms: float, runs: int, warm: int = WARM) -> tuple[Told, Told]:
    """(with bounds that are learnt, by trusting the clocks)."""
    shop, offsets = Shop.with_clocks(seed, sd_ms), Offsets()
    learnt, trusted = Told(), Told()
    for number in range(runs):
        record, at = shop.run(number)
        if number >= warm:
            tally(record, at, sighted(record, offsets.clocks), learnt)
            tally(record, at, TRUSTED, trusted)
        offsets.learn(least(record))
    return learnt, trusted


def sighted(record: Record, known: Clocks) -> Sightings:
    """As a run sees it when all its records are there."""
    seen = Sightings(known)
    for evidence in record.evidence:
        seen.see(evidence, BEGIN_NS + round((record.slot - STARTED).total_seconds() * 1e9))
    return seen


def tally(record: Record, at: dict[str, int], clocks: Ordering, told: Told) -> None:
    for a, b in pairs(record.evidence):
        told.take(clocks.order(a, b), at[a.step] < at[b.step])


def pairs(evidence: Sequence[Evidence]) -> Iterator[tuple[Evidence, Evidence]]:
    """Those on different clocks."""
    return ((a, b) for a, b in combinations(evidence, 2) if a.clock != b.clock)


def main() -> None:
    for sd_ms in (25.0, 100.0, 500.0):
        learnt, trusted = Told(), Told()
        for seed in range(20):
            one, other = judged(seed, sd_ms, 250)
            for total, told in ((learnt, one), (trusted, other)):
                total.right, total.wrong, total.unknown = (
                    total.right + told.right,
                    total.wrong + told.wrong,
                    total.unknown + told.unknown,
                )
        print(f"clocks off by {sd_ms:3g} ms (sd)   learnt: {learnt.text}   trusted: {trusted.text}")


if __name__ == "__main__":
    main()

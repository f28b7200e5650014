"""A month of many journeys in virtual time: core, slots, runner, CEL and memory stores against a scripted target.

`python -m tests.runtime.month --days 30 --journeys 100` prints the account and the hash of the trace; the target fails,
times out, loses what it made and answers late, and the machine stalls, all drawn from one seed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from synthmon.core.journey import Every, Journey, Retry
from synthmon.core.outcomes import Reason
from synthmon.core.run import Record
from synthmon.core.slots import due, gap, next_slot
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

EVERY_S = 60.0
STALL_EVERY_S = 3600.0  # on average


@dataclass(frozen=True, slots=True)
class Account:
    """What became of every slot."""

    scheduled: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    doubles: int
    owed: int
    trace: str

    @property
    def difference(self) -> int:
        """Slots that were due and have no record, or too many."""
        return self.scheduled - sum(self.outcomes.values())


def simulate(names: Sequence[str], days: float, seed: int) -> Account:
    """Run these journeys for some days; the same arguments give the same account and the same trace."""
    chance = random.Random(seed)
    journeys = [_journey(name, n) for n, name in enumerate(names)]
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seen: set[tuple[str, datetime]] = set()
    trace, doubles, owed, scheduled = hashlib.sha256(), 0, 0, 0

    def tell(record: Record, _: Journey) -> None:
        nonlocal doubles, owed
        outcomes[str(record.outcome)] += record.slots
        reasons[str(record.reason)] += record.slots
        key = (record.journey, record.slot)
        doubles += key in seen
        seen.add(key)
        owed += sum(debt.state == "owed" for debt in record.debts)
        trace.update(f"{record.journey} {record.slot} {record.outcome} {record.reason} {record.took_ms:.3f}".encode())

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        nonlocal scheduled
        stage = make_stage(lambda request, envelope: _target(chance, request), clock, tell=tell)
        end = START + timedelta(days=days)
        missing = {journey.name: journey for journey in journeys}

        async def ring(probe: Journey) -> None:
            at = START
            while (slot := next_slot(probe.schedule, probe.name, at)) <= end:
                await asyncio.sleep(max(0.0, (slot - clock.now()).total_seconds() - 1.0))
                come = gap(probe.schedule, probe.name, at, min(max(slot, clock.now()), end))
                assert come is not None
                stage.runner.take(probe, due(come, probe.schedule, probe.name, clock.now()))
                at = come.last
            missing.pop(probe.name)

        async def stall() -> None:
            while missing:
                await asyncio.sleep(chance.uniform(0, 2 * STALL_EVERY_S))
                loop.stall(chance.choice([0.3, 4.0, 45.0, 700.0]))

        stalling = asyncio.create_task(stall())
        await asyncio.gather(*(ring(probe) for probe in journeys))
        stalling.cancel()
        await asyncio.sleep(300)
        await stage.runner.stop(60)
        for probe in journeys:
            due_slots = gap(probe.schedule, probe.name, START, end)
            scheduled += due_slots.count if due_slots else 0

    run_virtual(story)
    return Account(scheduled, dict(outcomes), dict(reasons), doubles, owed, trace.hexdigest())


def _journey(name: str, n: int) -> Journey:
    """Every tenth makes something and takes it back; every fifth polls; the others look once."""
    if n % 10 == 0:
        probe = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", timeout=3))
    elif n % 5 == 0:
        probe = journey(step("posted", "GET /p", expect=("body.n == 1",), within=5, timeout=3))
    else:
        retry = Retry(1, frozenset({"5xx", "timeout"})) if n % 2 else None
        probe = journey(step("read", "GET /a", expect=("status == 200", "body.n == 1"), retry=retry, timeout=3))
    return replace(probe, name=name, schedule=Every(EVERY_S), deadline_s=50.0)


def _target(chance: random.Random, request: str) -> Answer:
    if request.startswith("DELETE"):
        return Answer(404 if chance.random() < 0.5 else 204)
    drawn = chance.random()
    if drawn < 0.985:
        return Answer(200, {"n": 1, "id": "7"}, delay_s=0.05)
    if drawn < 0.990:
        return Answer(503)
    if drawn < 0.994:
        return Answer(200, {"n": 0, "id": "7"})
    if drawn < 0.997:
        return Answer(200, delay_s=9.0)
    return Answer(trouble=chance.choice([Reason.REFUSED, Reason.RESOLVER, Reason.RESET]), sent=False)


def in_two_halves(journeys: int, days: float, seed: int) -> Account:
    """The same in two processes, for two cores; the halves know nothing of each other."""
    names = [f"journey-{n}" for n in range(journeys)]
    with ProcessPoolExecutor(2) as pool:
        halves = list(pool.map(simulate, (names[::2], names[1::2]), (days, days), (seed, seed + 1)))
    return Account(
        sum(half.scheduled for half in halves),
        dict(sum((Counter(half.outcomes) for half in halves), Counter())),
        dict(sum((Counter(half.reasons) for half in halves), Counter())),
        sum(half.doubles for half in halves),
        sum(half.owed for half in halves),
        hashlib.sha256("".join(half.trace for half in halves).encode()).hexdigest(),
    )


def main() -> int:
    """Exit 1 when a slot is unaccounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--journeys", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began_s = time.monotonic()
    account = in_two_halves(asked.journeys, asked.days, asked.seed)
    took_s = time.monotonic() - began_s
    print(json.dumps({"scheduled": account.scheduled, "outcomes": account.outcomes, "reasons": account.reasons}))
    print(f"difference {account.difference}, doubles {account.doubles}, trace {account.trace}")
    print(f"{took_s:.0f} s, {account.scheduled / took_s:.0f} slots/s")
    return 1 if account.difference or account.doubles else 0


if __name__ == "__main__":
    sys.exit(main())

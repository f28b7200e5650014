"""Many journeys on a system that gives no answer, in virtual time: what it is spared, and what users are told.

`python -m tests.runtime.dead_target` prints the figures: 10,000 journeys for ten minutes, on a target that refuses, one
that is silent and one that answers 503 to everything; then a target that is down for an hour and comes back.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.journey import Every, Journey, Retry
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.slots import Gap, due, next_slot
from synthmon.core.system import System
from synthmon.language.settings import Settings
from synthmon.runtime.outbound.gate import Gate, NotAsked
from synthmon.runtime.outbound.limits import Saturated
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import CallKind, make_stage
from tests.runtime.virtual import START, VirtualClock, VirtualLoop, run_virtual

EVERY_S = 60.0
REFUSES = Answer(trouble=Reason.REFUSED, sent=False, delay_s=0.001)
SILENT = Answer(200, delay_s=3600.0)
ANSWERS_503 = Answer(503, delay_s=0.02)
WELL = Answer(200, {"n": 1}, delay_s=0.02)


@dataclass
class Target:
    """What it was asked, and when."""

    mood: Callable[[float], Answer]
    asked_s: list[float] = field(default_factory=list)
    inside: int = 0
    most_inside: int = 0
    inside_seen: list[tuple[float, int]] = field(default_factory=list)

    def most_in_a_second(self) -> int:
        """Of all half-open windows of one second."""
        most = begin = 0
        for end, at_s in enumerate(self.asked_s):
            while self.asked_s[begin] <= at_s - 1.0 + 1e-9:
                begin += 1
            most = max(most, end - begin + 1)
        return most


@dataclass(frozen=True, slots=True)
class GatedCall(CallKind):
    """Goes through the gate of the door, as `runtime.outbound.door` does, to a target that is a function."""

    gate: Gate = field(default_factory=lambda: Gate(System("shop", {}, ())))
    target: Target = field(default_factory=lambda: Target(lambda at_s: WELL))

    async def perform(self, request: Any, door: Door, envelope: Envelope) -> Any | Trouble:
        try:
            ticket = self.gate.admit("shop:80", envelope)
        except NotAsked as error:
            return Trouble(Reason.CIRCUIT_OPEN, str(error), sent=False)
        try:
            async with asyncio.timeout(envelope.timeout_s):
                await self.gate.limiter.enter(envelope.timeout_s)
        except (Saturated, TimeoutError) as error:
            ticket.troubled(Reason.SATURATED, str(error))
            return Trouble(Reason.SATURATED, str(error), sent=False)
        target, now_s = self.target, asyncio.get_running_loop().time()
        target.asked_s.append(now_s)
        target.inside += 1
        target.most_inside = max(target.most_inside, target.inside)
        target.inside_seen.append((now_s, target.inside))
        try:
            answer = await CallKind(lambda _, __: target.mood(now_s)).perform(request, door, envelope)
        finally:
            target.inside -= 1
            self.gate.limiter.leave()
        if isinstance(answer, Trouble):
            ticket.troubled(answer.reason, answer.detail)
        else:
            ticket.answered(answer[0])
        return answer


@dataclass(frozen=True, slots=True)
class Account:
    """What the target saw, and what became of the slots."""

    slots: int
    requests: int
    most_in_a_second: int
    most_inside: int
    outcomes: dict[str, int]
    reasons: dict[str, int]
    longest_s: float  # from when the target came back to the first run of a journey that passed
    inside_at_half_open: int  # from ten minutes of the outage on: until then some ask for themselves

    @property
    def amplification(self) -> float:
        """Requests for each slot; a journey of these asks once when all is well."""
        return self.requests / self.slots


def simulate(
    journeys: int,
    minutes: float,
    mood: Callable[[float], Answer],
    rate_per_s: float,
    concurrency: int,
    up_s: float = 0.0,
) -> Account:
    """Journeys of one read, retried twice. The target is well again from `up_s` on (0: it never is)."""
    probes = [_journey(f"journey-{n}") for n in range(journeys)]
    system = System("shop", {"": "http://shop"}, ("shop",), rate_per_s=rate_per_s, concurrency=concurrency)
    target = Target(mood)
    records: list[Record] = []
    end = START + timedelta(minutes=minutes)

    async def story(loop: VirtualLoop, clock: VirtualClock) -> None:
        kind = GatedCall(lambda _, __: WELL, gate=Gate(system, loop.time), target=target)
        stage = make_stage(
            lambda _, __: WELL, clock, Settings(concurrency=10_000), tell=lambda r, _: records.append(r), kind=kind
        )

        async def ring(probe: Journey) -> None:
            slot = next_slot(probe.schedule, probe.name, START)
            while slot <= end:
                await asyncio.sleep(max(0.0, (slot - clock.now()).total_seconds() - 1.0))
                stage.runner.take(probe, due(Gap(1, slot, slot), probe.schedule, probe.name, clock.now()))
                slot = next_slot(probe.schedule, probe.name, slot)

        await asyncio.gather(*(ring(probe) for probe in probes))
        await asyncio.sleep(2 * EVERY_S)
        await stage.runner.stop(60)

    run_virtual(story)
    first: dict[str, float] = {}
    for record in records:
        after_s = ((record.ended or record.slot) - START).total_seconds() - up_s
        if record.outcome is Outcome.PASSED and after_s >= 0:
            first.setdefault(record.journey, after_s)
    return Account(
        len(records),
        len(target.asked_s),
        target.most_in_a_second(),
        target.most_inside,
        dict(Counter(str(record.outcome) for record in records)),
        dict(Counter(str(record.reason) for record in records)),
        max(first.values(), default=0.0) if len(first) == journeys else float("inf"),
        max((inside for at_s, inside in target.inside_seen if 10 * EVERY_S < at_s < up_s), default=0),
    )


def down_until(up_s: float, mood: Answer) -> Callable[[float], Answer]:
    """A target that is down, and well again from an instant on."""
    return lambda at_s: mood if at_s < up_s else WELL


def _journey(name: str) -> Journey:
    retry = Retry(2, frozenset({"connect", "timeout", "reset", "5xx"}))
    probe = journey(step("read", "GET /a", expect=("status == 200",), retry=retry, timeout=5))
    return replace(probe, name=name, schedule=Every(EVERY_S), deadline_s=50.0)


def main() -> int:
    """Exit 1 when a figure is beyond its bound."""
    good = True
    for word, mood in (("refuses", REFUSES), ("is silent", SILENT), ("answers 503", ANSWERS_503)):
        account = simulate(10_000, 10, lambda _, mood=mood: mood, 200, 100)  # type: ignore[misc]
        print(
            f"10,000 journeys, 10 min, target {word}: {account.requests} requests for {account.slots} slots "
            f"(x{account.amplification:.3f}), at most {account.most_in_a_second} in a second (rate 200/s), "
            f"{account.most_inside} in flight (concurrency 100); {account.outcomes} {account.reasons}"
        )
        good &= account.most_in_a_second <= 200 and account.most_inside <= 100 and account.amplification <= 1.1
    for word, mood in (("refuses", REFUSES), ("is silent", SILENT)):
        account = simulate(200, 65, down_until(3600, mood), 200, 100, up_s=3600)
        print(
            f"200 journeys, down for 1 h ({word}), then up: at most {account.inside_at_half_open} in flight half "
            f"open; the last journey passed {account.longest_s:.1f} s after (interval {EVERY_S:g} s); "
            f"{account.outcomes}"
        )
        good &= account.inside_at_half_open <= 1 and account.longest_s <= EVERY_S + 11
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Journals of dead runs with debts, and a target that may be down, for tests of repayment in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from synthmon.core.journey import Journey
from synthmon.core.outcomes import Reason
from synthmon.core.run import Run
from synthmon.core.system import System
from synthmon.core.undo.intents import Intent, Journal, Learned, Opened
from synthmon.language.settings import Settings
from synthmon.runtime.lookout import FindVersion
from synthmon.runtime.reaper import Reaper
from synthmon.store.journal_memory import MemoryJournal
from tests.core.scripted import Answer, journey, step
from tests.runtime.actors import make_stage
from tests.runtime.virtual import START, VirtualClock

BASE = "http://shop"
ORDERING = journey(step("order", "POST /o", save={"id": "body.id"}, undo="DELETE /o/${order.id}", ttl=7200))


@dataclass
class Target:
    """Holds orders by id. `mood(now_s)` is what it answers with instead: a status, a trouble, or None to serve."""

    clock: VirtualClock
    mood: Callable[[float], int | Reason | None] = lambda now_s: None
    there: set[str] = field(default_factory=set)
    asked: list[tuple[float, str]] = field(default_factory=list)
    delay_s: float = 0.01
    broken: str = ""  # orders with this in their id are answered with 500
    deaf: str = ""  # a verb that is answered with 500

    def answer(self, request: str, envelope: object) -> Answer:
        now_s = self.clock.monotonic_s()
        self.asked.append((now_s, request))
        match self.mood(now_s):
            case Reason() as trouble:
                return Answer(trouble=trouble, sent=False)
            case int() as status:
                return Answer(status)
        verb, _, path = request.partition(" ")
        made = path.rpartition("/")[2]
        if (self.broken and self.broken in request) or verb == self.deaf:
            return Answer(500)
        if verb == "GET":
            return Answer(200, delay_s=self.delay_s)
        if verb == "POST":
            made = f"o{len(self.asked)}"
            self.there.add(made)
            return Answer(201, {"id": made}, delay_s=self.delay_s)
        if made in self.there:
            self.there.remove(made)
            return Answer(204, delay_s=self.delay_s)
        return Answer(404, delay_s=self.delay_s)

    def tries(self, from_s: float, to_s: float) -> int:
        """Requests in a span of time."""
        return sum(from_s <= at_s < to_s for at_s, _ in self.asked)


async def owe(
    journal: Journal,
    target: Target,
    count: int,
    system: str = "shop",
    name: str = "probe",
    started: datetime = START - timedelta(hours=1),
) -> None:
    """Runs that ended long ago, after their order was made and before it was taken back."""
    for n in range(count):
        run = Run(f"{len(target.there):016x}{n:016x}", name, "0" * 64, started, started)
        made = f"{name}-{n}"
        target.there.add(made)
        opened = Opened(name, "0" * 64, system, BASE, started, "", {})
        expires = START + timedelta(hours=2)
        await journal.append(run.id, opened, 0)
        await journal.append(run.id, Intent("order", 1, f"{run.id}-order", run.namespace, expires), 1)
        await journal.append(run.id, Learned("order", {"order.id": made}), 2)


def settings_of(*systems: str, debts: int = 500, in_each: int = 100) -> Settings:
    """Settings with these systems at one place."""
    made = {name: System(name, {"": BASE}, ("shop",), writes=True, budget_debts=in_each) for name in systems}
    return Settings(systems=made, debts=debts)


def a_reaper(
    target: Target,
    journal: Journal | None = None,
    settings: Settings | None = None,
    tries: Path | None = None,
) -> Reaper:
    """A reaper over `ORDERING`, at whatever system the journal names."""
    stage = make_stage(target.answer, target.clock, settings or settings_of("shop"))
    lent = stage.runner.lent
    return Reaper(lambda: lent, journal or MemoryJournal(), target.clock, finding(), lambda run: False, tries)


def finding() -> FindVersion:
    """Finds `ORDERING` under every name; a name says its system: `probe-at-other`."""

    async def find(version: str, name: str) -> Journey:
        return at_system(ORDERING, name.partition("-at-")[2] or "shop", name)

    return find


def at_system(probe: Journey, system: str, name: str = "probe") -> Journey:
    """The same journey, at another system."""
    steps = tuple(replace(one, system=system) for one in probe.steps)
    return replace(probe, name=name, system=system, steps=steps)

"""Sweeps systems: lists what runs may have left there, and takes back what is surely ours and owed by nobody."""

from __future__ import annotations

import secrets as chance
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from synthmon.core.journey import Journey, Step
from synthmon.core.run import Run
from synthmon.core.secrets import seal
from synthmon.core.undo.intents import Intent, Journal
from synthmon.core.undo.sweep import Bounds, Fate, Item, SweepRun
from synthmon.language.settings import Settings
from synthmon.runtime.book import Book
from synthmon.runtime.house import House, open_house
from synthmon.runtime.lent import CLEAN_UP_S, Lent
from synthmon.runtime.perform import Performer


@dataclass(frozen=True, slots=True)
class Swept:
    """What one listing showed, and what became of it. `fault` is empty when all went well."""

    journey: str
    step: str
    system: str
    items: Sequence[Item]
    fault: str

    def count(self) -> Mapping[str, int]:
        """How many items met each fate."""
        counted = Counter(str(item.fate) for item in self.items)
        return {str(fate): counted[str(fate)] for fate in Fate}

    def told(self) -> Mapping[str, Any]:
        """The sweep as JSON; look-alikes are counted only."""
        shown = [item for item in self.items if item.fate is not Fate.LOOK_ALIKE]
        items = [{"tag": i.tag, "at": i.at, "fate": i.fate, "undo": i.undo, "why": i.why} for i in shown]
        head = {"journey": self.journey, "step": self.step, "system": self.system, "fault": self.fault}
        return {**head, "counts": self.count(), "items": items}


async def sweep(
    places: Iterable[tuple[Journey, Step]], settings: Settings, store: str, older_than_s: float, dry: bool
) -> AsyncIterator[Swept]:
    """Sweep each place of `places_to_sweep`; with `dry` only the listings are asked for.

    An item is never touched while its run may go on: whatever is asked for, it has to be older than the longest
    deadline. Raises `OSError` when the journal cannot be read: who owes what is not known then.
    """
    async with open_house(store) as house:
        lent, _ = house.lend(settings)
        await house.keyring.fetch()
        owed = await _owed(house.journal)
        before = house.clock.now() - timedelta(seconds=older_than_s)
        bounds = Bounds(settings.instance, settings.location, before, owed)
        for journey, step in places:
            yield await _sweep(house, lent, journey, step, bounds, dry)


def places_to_sweep(journeys: Iterable[Journey], systems: Iterable[str] = ()) -> Sequence[tuple[Journey, Step]]:
    """The steps whose undo says how to list, at these systems (none: at all). Cases that list alike are one place."""
    wanted, found, seen = frozenset(systems), [], set()
    for journey in journeys:
        for step in journey.flat:
            if step.undo is None or step.undo.sweep is None or (wanted and step.system not in wanted):
                continue
            reads = step.undo.sweep.spec.refs | step.undo.spec.refs
            own = journey.name if any(name.startswith("case.") for name in reads) else journey.base_name
            if (own, step.id) not in seen:
                seen.add((own, step.id))
                found.append((journey, step))
    return found


def least_age_s(journeys: Iterable[Journey], asked_s: float) -> float:
    """How old an item has to be: what is asked for, and never less than a run of these may take."""
    return max([asked_s, *(journey.deadline_s + 2 * CLEAN_UP_S for journey in journeys)])


async def _sweep(house: House, lent: Lent, journey: Journey, step: Step, bounds: Bounds, dry: bool) -> Swept:
    now, location = house.clock.now(), bounds.location
    run = Run(chance.token_hex(16), journey.name, journey.digest, now, now, location, "sweep", instance=bounds.instance)
    names: dict[str, Any] = {f"case.{name}": value for name, value in journey.case.items()}
    names |= {"run.location": location, "run.instance": bounds.instance}
    names |= {f"secret.{name}": seal(f"secret.{name}") for name in lent.settings.secrets}
    vault = lent.make_vault()
    core = SweepRun(step, names, bounds, run.id, house.clock.monotonic_s(), now, dry)
    door = lent.open_door(run, journey, vault)
    sign = lent.sign(door, house.journal, house.clock, run, names, vault)
    book = Book(house.journal, run.id, vault)
    performer = Performer(run.id, journey.name, location, door, lent.kinds, book, house.clock, sign=sign)
    try:
        await performer.drive(core, core.start())
    finally:
        await door.aclose()
    return Swept(journey.name, step.id, step.system, core.items, core.fault)


async def _owed(journal: Journal) -> frozenset[str]:
    """The tags of every run that owes something, or goes on and may."""
    entries = (entry for run in await journal.open_runs() for entry in run.entries)
    return frozenset(entry.tag for entry in entries if isinstance(entry, Intent))

"""Walks one run: lends it a person and a door, lets its core and its performer talk, and makes its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from synthmon.core.door import Door
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record, Run
from synthmon.core.secrets import seal
from synthmon.core.sequence.clocks import Clocks
from synthmon.core.spending import Spending
from synthmon.core.transact.again import Again, judged_again
from synthmon.core.transact.transaction import Transaction
from synthmon.core.transact.verdict import record as record_of
from synthmon.core.transact.verdict import redacted, unstarted
from synthmon.core.undo.debts import Clean
from synthmon.core.undo.intents import Journal
from synthmon.language.revive import kept_text
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock
from synthmon.runtime.lent import CLEAN_UP_S, Lent
from synthmon.runtime.living import inspector
from synthmon.runtime.people import NobodyFree, distrusted
from synthmon.runtime.perform import Performer
from synthmon.runtime.purse import purse_of


@dataclass(frozen=True, slots=True)
class Means:
    """What a run is walked with. `texts` are the versions whose text the journal keeps already; more are added."""

    lent: Lent
    journal: Journal
    clock: Clock
    spending: Spending
    clocks: Clocks  # what is known of those of the journey's systems
    learn: Callable[[Record, Journey], Record]  # hears of each run, may note
    watch: Callable[[Clean], None] | None
    texts: set[str]


async def walk(journey: Journey, run: Run, means: Means, begun: Callable[[Performer], None]) -> Record:
    """One run to its end; `begun` hears who performs it before anything leaves."""
    lent, clock = means.lent, means.clock
    until = run.started + timedelta(seconds=journey.deadline_s + CLEAN_UP_S)
    try:
        person = await lent.people.borrow(journey, run, until)
    except NobodyFree as error:
        return unstarted(run, Outcome.UNKNOWN, Reason.NO_IDENTITY, str(error), clock.now())
    vault = lent.make_vault()
    names = person.names() | {f"secret.{name}": seal(f"secret.{name}") for name in lent.settings.secrets}
    door = lent.open_door(run, journey, vault)
    try:
        kind = Transaction if run.again is None else Again
        core = kind(journey, run, names, vault, clock.monotonic_s(), means.clocks)
        performer = _performer(core, door, names, means)
        begun(performer)
        acts = core.start()
        if any(step.undo for step in journey.flat):
            await _keep_text(journey, means)
        await performer.drive(core, acts)
        record = record_of(core, dict(person.fields))
        record = redacted(judged_again(core, record) if isinstance(core, Again) else record, vault)
        record = means.learn(record, journey)
        await lent.pictures.keep(record, door.pictures)
    except OSError as error:
        said = f"the journal cannot be written: {error}"
        record = unstarted(run, Outcome.UNKNOWN, Reason.JOURNAL_UNWRITABLE, said, clock.now())
    finally:
        await door.aclose()
        lost = await lent.people.give_back(person, clock.now())
    return distrusted(record, lost) if lost else record


def _performer(core: Transaction, door: Door, names: Mapping[str, Any], means: Means) -> Performer:
    lent, journey, run, vault = means.lent, core.journey, core.run, core.vault
    base = lent.base_of(journey.system, run.location)
    return Performer(
        run.id,
        journey.name,
        run.location,
        door,
        lent.kinds,
        Book(means.journal, run.id, vault, lambda: core.opened(base)),
        means.clock,
        means.watch,
        lent.sign(door, means.journal, means.clock, run, names, vault),
        purse_of(journey, run, means.spending, lent.settings.systems),
        inspect=inspector(lent.settings, lambda: core.names),
        gatherer=lent.gatherer,
    )


async def _keep_text(journey: Journey, means: Means) -> None:
    """What is owed is taken back by the text that made it, also after a reload."""
    if journey.digest not in means.texts:
        await means.journal.keep_text(journey.digest, kept_text(journey))
        means.texts.add(journey.digest)

"""Runs a journey with one fault after the other, and tells which of them left it green."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from synthmon.core import secrets
from synthmon.core.door import Door
from synthmon.core.evidence import Evidence
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome
from synthmon.core.proof.faults import Fault, Finding, Good, Injection, Proof, Trial
from synthmon.core.proof.proving import plan
from synthmon.core.proof.remedies import remedy
from synthmon.core.run import Record, Run
from synthmon.core.secrets import Vault
from synthmon.core.transact.transaction import Transaction
from synthmon.core.undo.debts import Clean
from synthmon.core.undo.intents import Journal
from synthmon.language.settings import Settings
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.house import open_house
from synthmon.runtime.instants import Clock
from synthmon.runtime.lent import Lent
from synthmon.runtime.once import Once, open_once
from synthmon.runtime.pauses import open_pauses
from synthmon.runtime.sessions import RunSigner
from synthmon.runtime.switch import Switch
from synthmon.runtime.tampered_evidence import FaultyGatherer
from synthmon.runtime.tampered_kinds import tampered
from synthmon.runtime.tampering import Struck, Tampering
from synthmon.runtime.true_journal import TrueJournal

CAUSE = "proof"
GREEN = (Outcome.PASSED, Outcome.FLAKY)


class CannotProve(Exception):
    """Without a fault it is not green, or it may not run; the words say why."""


@dataclass(slots=True)
class Prover:
    """Proves journeys one after the other. `tell` hears of each trial when it is over."""

    once: Once
    paused: Callable[[str], bool]
    tell: Callable[[Trial], None] = lambda trial: None
    struck: Struck = field(default_factory=Struck)
    _core: Transaction | None = None
    _redact: list[Callable[[str], str]] = field(default_factory=list)

    async def good_runs(self, journey: Journey) -> tuple[Good, Good]:
        """Two runs without a fault. Raises `CannotProve` when one of them is not green."""
        first = await self._good(journey)
        return first, await self._good(journey)

    def plan(self, journey: Journey, goods: tuple[Good, Good], wanted: Collection[Fault]) -> tuple[Trial, ...]:
        """What there is to try, and what a rule tells already; fit to be shown."""
        return tuple(self._shown(trial, journey, goods[0]) for trial in plan(journey, *goods, wanted))

    async def prove(
        self, journey: Journey, goods: tuple[Good, Good], trials: Sequence[Trial], rehearse: bool = True
    ) -> Proof:
        """A run for each trial that no rule has told; without `rehearse` for each that a run can tell."""
        done: list[Trial] = []
        halted = ""
        orders = [_order(good.evidence) for good in goods]
        for trial in trials:
            if needs_run(trial, rehearse):
                halted = halted or self._halt(journey)
                trial, why = await self._try(journey, trial.injection, goods[0]) if not halted else (trial, "")
                halted = halted or why
                if self._core is not None and "/" not in trial.injection.at:  # what it was told is as it was
                    orders.append(_order(tuple(self._core.evidence.values())))
            done.append(self._shown(trial, journey, goods[0]))
            self.tell(done[-1])
        told = tuple(_either_way(trial, journey, orders) for trial in done)
        return Proof(journey.name, tuple(good.run.id for good in goods), told, halted)

    def _halt(self, journey: Journey) -> str:
        """Why no run may begin now; empty if one may."""
        if self.once.stopping:
            return "interrupted"
        return f"{journey.name} is paused: resume it first" if self.paused(journey.name) else ""

    # one run ----------------------------------------------------------------------------------------------------------

    async def _good(self, journey: Journey) -> Good:
        if said := self._halt(journey):
            raise CannotProve(f"{journey.name} is not run: {said}")
        with_door: list[Door] = []

        def open_door(run: Run, of: Journey, vault: Vault) -> Door:
            with_door.append(lent.open_door(run, of, vault))
            return with_door[-1]

        lent, began_s = self.once.runner.lent, time.monotonic()
        record = await self._run(journey, replace(lent, open_door=open_door))
        took_s = time.monotonic() - began_s
        self._redact += [door.redact for door in with_door]
        if record.outcome is not Outcome.PASSED or self._core is None:
            said = record.message or record.reason
            raise CannotProve(f"{journey.name} is {record.outcome} without a fault: {said}")
        core = self._core
        said_to = {course.step.id: course.last for course in core.courses.values() if course.last[1] is not None}
        return Good(core.run, dict(core.names), said_to, tuple(core.evidence.values()), took_s)

    async def _try(self, journey: Journey, injection: Injection, good: Good) -> tuple[Trial, str]:
        """The trial as its run ended, and why no more can be tried; empty when they can."""
        struck, began_s = Struck(), time.monotonic()
        self.struck = struck
        record = await self._run(journey, _faulty(self.once.runner.lent, journey, injection, good, struck))
        if record.outcome in (Outcome.SKIPPED, Outcome.MISSED) or self._halt(journey):
            return Trial(injection), self._halt(journey) or record.message
        took_s = time.monotonic() - began_s
        return Trial(injection, *_found(record, struck), run_id=record.run_id, took_s=took_s), ""

    async def _run(self, journey: Journey, lent: Lent) -> Record:
        """One run with other means than usual."""
        runner, self._core = self.once.runner, None
        usual, runner.lent, runner.watch = runner.lent, lent, self._see
        try:
            return await self.once.run(journey, CAUSE)
        finally:
            runner.lent = usual
            self.struck = Struck()

    def _see(self, core: Clean) -> None:
        if isinstance(core, Transaction):
            self._core = core

    # what is told -----------------------------------------------------------------------------------------------------

    def _shown(self, trial: Trial, journey: Journey, good: Good) -> Trial:
        """With a remedy if it was missed, and without a secret."""
        said = remedy(trial.injection, journey, good) if trial.finding is Finding.MISSED else ""
        return replace(trial, said=self._plain(trial.said), remedy=self._plain(said))

    def _plain(self, text: str) -> str:
        for redact in (*self._redact, self.once.house.keyring.redact):
            text = redact(text)
        return secrets.masked(text)


def needs_run(trial: Trial, rehearse: bool = True) -> bool:
    """Whether a run is made for it: where no rule tells, or without `rehearse` wherever a run can tell."""
    return trial.finding is None or (
        not rehearse and not trial.no_run and trial.finding in (Finding.CAUGHT, Finding.MISSED)
    )


@asynccontextmanager
async def open_prover(journeys: Sequence[Journey], settings: Settings, store: str) -> AsyncIterator[Prover]:
    """Everything that is needed to prove these journeys; a signal stops after the run under way has cleaned up.

    The switch of the store is heeded: what is paused is not run, and a run under way is interrupted.
    """
    provers: list[Prover] = []

    def struck() -> Struck:
        return provers[0].struck if provers else Struck()

    async with (
        open_house(store) as house,
        open_once(house, journeys, settings, wrap=lambda journal: TrueJournal(journal, struck), deaf=False) as once,
        _heeding(once, journeys, settings) as switch,
    ):
        provers.append(Prover(once, switch.paused))
        yield provers[0]


@dataclass(frozen=True, slots=True)
class _FaultyLent(Lent):
    """What a run with a fault is lent; its logins are made without."""

    usual: Lent | None = None

    def sign(
        self, door: Door, journal: Journal, clock: Clock, run: Run, names: Mapping[str, Any], vault: Vault
    ) -> RunSigner | None:
        assert self.usual is not None  # `_faulty` says whose it was
        return self.usual.sign(door, journal, clock, run, names, vault)


@asynccontextmanager
async def _heeding(once: Once, journeys: Sequence[Journey], settings: Settings) -> AsyncIterator[Switch]:
    """The switch that all who share a store have, looked at as long as the block lasts."""
    pauses = await asyncio.to_thread(open_pauses, settings, once.house.beside)
    switch = Switch(pauses, once.runner, lambda: [one.name for one in journeys], lambda name, paused: None)
    watching = asyncio.create_task(switch.watch())
    try:
        yield switch
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _faulty(lent: Lent, journey: Journey, injection: Injection, good: Good, struck: Struck) -> Lent:
    """The same means with the fault in them: in what is asked of a source of evidence, or in what the steps do."""
    if injection.at.partition("/")[0] in {one.name for one in journey.promises.sources} and "/" in injection.at:
        return replace(lent, gatherer=_faulty_gatherer(lent.gatherer, injection, journey, struck))
    by: list[Tampering] = []

    def open_door(run: Run, of: Journey, vault: Vault) -> Door:
        by.append(Tampering(of, run, injection, good, struck))
        return cast(Door, lent.open_door(run, of, vault))

    kinds = tampered(lent.kinds, lambda: by[-1])
    usual: dict[str, Any] = {each.name: getattr(lent, each.name) for each in fields(Lent)}
    return _FaultyLent(**{**usual, "kinds": kinds, "open_door": open_door}, usual=lent)


def _faulty_gatherer(gatherer: Gatherer, injection: Injection, journey: Journey, struck: Struck) -> Gatherer:
    def count() -> None:
        struck.times += 1

    usual: Mapping[str, Any] = {each.name: getattr(gatherer, each.name) for each in fields(gatherer)}
    return FaultyGatherer(**usual, injection=injection, promises=journey.promises, count=count)


def _found(record: Record, struck: Struck) -> tuple[Finding, str]:
    """What a run with a fault says of its journey."""
    if not struck.times:
        if struck.same and record.outcome in GREEN:
            return Finding.EQUIVALENT, "what it was told was the same as without the fault"
        return Finding.NOT_REACHED, f"{record.outcome} without the fault having struck. {record.message}".strip()
    match record.outcome:
        case Outcome.PASSED | Outcome.FLAKY:
            return Finding.MISSED, "the run was green"
        case Outcome.FAILED:
            return Finding.CAUGHT, record.message
    return Finding.BLIND, f"{record.reason}: {record.message}"


def _order(records: Sequence[Evidence]) -> Mapping[str, tuple[Evidence, ...]]:
    """Source → its records as they happened."""
    found: dict[str, list[Evidence]] = {}
    for record in sorted(records, key=lambda one: (one.at_ns, one.seq)):
        found.setdefault(record.source, []).append(record)
    return {source: tuple(of) for source, of in found.items()}


def _either_way(trial: Trial, journey: Journey, orders: Sequence[Mapping[str, tuple[Evidence, ...]]]) -> Trial:
    """Two events that came in the other order in a run without this fault were promised no order."""
    injection = trial.injection
    if trial.finding is not Finding.MISSED or injection.fault is not Fault.REORDER or not injection.other:
        return trial
    source, _, first = injection.at.partition("/")
    events = {event.name: event for event in journey.promises.events}
    for order in orders:
        came = [
            name
            for record in order.get(source, ())
            for name in (first, injection.other)
            if events[name].matches(record)
        ]
        if came == [injection.other, first]:
            said = f"without the fault, too, {injection.other} came before {first} once: nobody promised their order"
            return replace(trial, finding=Finding.EQUIVALENT, said=said, remedy="")
    return trial

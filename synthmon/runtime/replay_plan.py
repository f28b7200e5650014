"""What a replay would do: which run, which journey, with which values, keys and order; nothing leaves for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from synthmon.core.finding.order import Hold, clocks_of, forced, hold, instant
from synthmon.core.finding.predicates import Form, parse
from synthmon.core.history import History
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome
from synthmon.core.quiet import quiet
from synthmon.core.replaying import NotAllowed, NotNow, Plan, Refused, Turn, Wish
from synthmon.core.run import Original, Record, Run
from synthmon.core.secrets import MASK
from synthmon.core.spending import Budget, Use
from synthmon.core.transact.again import CannotTell, instants_again, names_of, twice
from synthmon.identities.pools import read_pool
from synthmon.language.load import Loaded
from synthmon.language.revive import revive
from synthmon.language.settings import Accounts, Invented, Settings
from synthmon.language.settings_places import place_of_system
from synthmon.runtime.house import House
from synthmon.runtime.pauses import open_pauses
from synthmon.runtime.people import invented, only

BUDGET = Budget("", Use.REPLAYS, 20)
ORDER_TIMES = 5  # of each order: the fewest that can confirm at p < 0.01
GOOD_RUNS = 50  # that tell how long things take


async def prepare(wish: Wish, loaded: Loaded, house: House) -> Plan:
    """The plan of a replay; nothing leaves. Raises `Refused`, or `CannotForce` where an order has no control point."""
    settings = loaded.settings
    record = await _recorded(house.history, wish.run)
    journey, notes = await _journey_of(record, loaded, house)
    check_fits(journey, settings)
    check_not_quiet(journey, settings, house.clock.now())
    pauses = await asyncio.to_thread(open_pauses, settings, house.beside)
    if pauses.paused(journey.name):
        if pauses.stopped_by_file():
            raise NotNow(f"the file {pauses.stop_file} stops everything, replays too. Remove it first.")
        raise NotNow(f"{journey.name} is paused, and so are its replays. Let it go on first: synthmon resume.")
    plan = Plan(
        record, journey, (Turn(journey),) * (wish.times or 1), await _seed_of(record, house.history), notes=notes
    )
    if wish.same_keys and wish.order:
        raise Refused("--same-keys and --order are two questions. Ask one after the other.")
    if wish.same_keys:
        plan = _with_same_keys(plan, settings)
    if wish.order:
        plan = await _with_order(plan, wish, settings, house.history)
    spent = await house.spending.spent(BUDGET, house.clock.now())
    if spent + len(plan.turns) > BUDGET.most:
        raise NotNow(
            f"{spent} of {BUDGET} were made, and this takes {len(plan.turns)} more. Wait, or ask for less with --times."
        )
    return plan


async def _recorded(history: History, run: str) -> Record:
    try:
        record = await history.run(run)
    except LookupError as error:
        raise Refused(str(error)) from error
    if record is None:
        raise Refused(
            f"{run} is no run in this store, and nothing but synthmon's own runs is ever sent again. What bears the "
            f"correlation id of a real request can be looked at: synthmon investigate {run}"
        )
    return record


async def _journey_of(record: Record, loaded: Loaded, house: House) -> tuple[Journey, tuple[str, ...]]:
    """The journey as it ran if its text is kept, else as it is now; and how that differs."""
    now = next((journey for journey in loaded.journeys if journey.name == record.journey), None)
    if now is not None and now.digest == record.version:
        return now, ()
    kept: Journey | None = None
    if (text := await house.journal.text(record.version)) is not None:
        kept = await asyncio.to_thread(revive, text, record.journey, loaded.settings, house.forms)
    then = record.version[:12] or "unknown"
    if kept is not None:
        if kept.digest == record.version:
            return kept, (f"the journey has changed since: this is version {then}, as it ran",)
        return kept, (
            f"the text is that of version {then}, but a file that it calls, or the settings, have changed since",
        )
    lost = "is not kept any more" if text is None else "does not fit the settings of today"
    if now is not None:
        return now, (f"version {then} ran and {lost}: this is version {now.digest[:12]}, as it is now",)
    if text is not None:
        raise Refused(
            f"version {then} of {record.journey} is kept, but a system, an identity or a file that it names is not in "
            "the settings any more, or has another name now. Put it back, or replay a run of the journey as it is now."
        )
    raise Refused(
        f"the journey {record.journey} is not kept in the version that ran ({then}), and is not among the probes here. "
        "Replay it where its file is."
    )


def check_fits(journey: Journey, settings: Settings) -> None:
    """Raises `NotAllowed` for a system that nobody allowed to replay against, `Refused` without its identity."""
    for name in dict.fromkeys([journey.system, *(step.system for step in journey.flat)]):
        system = settings.systems.get(name)
        if system is not None and not system.replay:
            raise NotAllowed(
                f"{place_of_system(settings, name)}  Runs are not replayed against {name}. Add `replay: allow` to the "
                "system if it may be used like that."
            )
    if journey.identity and journey.identity not in settings.identities:
        raise Refused(f"{journey.name} needs the identity {journey.identity}, which the settings do not have any more.")


def check_not_quiet(journey: Journey, settings: Settings, now: datetime) -> None:
    """Raises `NotNow` in a quiet window: what a system under maintenance does says nothing of a failure."""
    if quiet(settings.quiet, journey.name, now):
        raise NotNow(f"{journey.name} is in a quiet window now, and so are its replays. Wait until it is over.")


async def _seed_of(record: Record, history: History) -> str:
    """The run whose invented values it had: of a replay, the first one's."""
    for _ in range(100):
        before = await history.run(record.replay_of) if record.replay_of else None
        if before is None:
            break
        record = before
    return record.replay_of or record.run_id


def _with_same_keys(plan: Plan, settings: Settings) -> Plan:
    record, journey = plan.original, plan.journey
    if record.replay_of:
        raise Refused(f"{record.run_id} is a replay itself. Replay the original: {record.replay_of}.")
    if journey.digest != record.version or record.started is None:
        raise Refused(
            f"version {record.version[:12]} of {journey.name} is not kept, and keys belong to requests word for word. "
            "Run the journey as it is now, and replay that."
        )
    was = Run(
        record.run_id, journey.name, record.version, record.slot, record.started, record.location, record.cause,
        instance=settings.instance,
    )  # fmt: skip
    again = Original(was, instants_again(journey, was, names_of(record)), record.identity)
    source = settings.identities.get(journey.identity)
    if isinstance(source, Invented):
        person = invented(source, was)
        if changed := [n for n, v in record.identity.items() if MASK not in str(v) and person.get(n) != v]:
            raise Refused(f"identity.{changed[0]} would not be what it was: the settings have changed since that run.")
    if isinstance(source, Accounts):
        pool = read_pool(journey.identity, source.accounts, sealed=source.sealed)
        if not only(pool, record.identity).accounts:
            raise Refused(
                f"the account that run {record.run_id} had is not in {journey.identity} any more, or has changed. Put "
                "it back as it was, or replay without --same-keys."
            )
    try:
        sent = twice(journey, record)
    except CannotTell as error:
        raise Refused(str(error)) from error
    known = {*again.names, *(f"{step.id}.{name}" for step in sent.journey.flat for name, _ in step.save)}
    mine = {"vars", *(step.id for step in journey.flat)}
    for step in sent.journey.flat:
        if lost := sorted(ref for ref in step.renders - known if ref.partition(".")[0] in mine):
            raise Refused(f"{step.place.file}:{step.place.line}  {lost[0]} held a secret, which is not kept: {step.id} "
                          "cannot be sent again word for word. Replay without --same-keys.")  # fmt: skip
    turns = tuple(Turn(sent.journey) for _ in plan.turns)
    return replace(plan, journey=sent.journey, turns=turns, again=again, notes=(*plan.notes, *sent.left_out))


async def _with_order(plan: Plan, wish: Wish, settings: Settings, history: History) -> Plan:
    try:
        predicate = parse(wish.order)
    except ValueError as error:
        raise Refused(f"--order {error}") from error
    if predicate.form is not Form.BEFORE:
        raise Refused(f"--order {wish.order}: only an order can be forced. Write 'b<a'.")
    told = await history.told(plan.journey.name, (Outcome.PASSED, Outcome.FLAKY), GOOD_RUNS)
    good = [record for record in told if record.cause != "replay"]
    first, later = predicate.names
    _check_known((first, later), plan.journey, (*good, plan.original))
    order = hold(plan.journey, first, later, good, settings.systems)
    reverse = hold(plan.journey, later, first, good, settings.systems)
    pair = tuple(Turn(forced(plan.journey, what), what) for what in (order, reverse))
    clocks = await asyncio.to_thread(clocks_of, plan.journey, good)
    plan = replace(plan, notes=(*plan.notes, *_doubts(plan.journey, order, reverse)))
    return replace(plan, turns=pair * (wish.times or ORDER_TIMES), order=order, reverse=reverse, clocks=clocks)


def _doubts(journey: Journey, *holds: Hold) -> Iterator[str]:
    """Where a hold alone may turn a run red, so that its order is not to blame."""
    limits_s = [clause.within_s for clause in journey.promises.clauses if clause.within_s is not None]
    limits_s += [step.within.limit_s for step in journey.flat if step.within is not None]
    for what in holds:
        if limits_s and what.hold_ms / 1e3 >= min(limits_s):
            yield f"{what.later} waits {what.hold_ms} ms, the journey only {min(limits_s):g}s: that alone may fail it"


def _check_known(names: Sequence[str], journey: Journey, records: Sequence[Record]) -> None:
    """Raises `Refused` for a name that nobody has ever seen happen."""
    own = {step.id for step in journey.flat}
    seen = {evidence.step for record in records for evidence in record.evidence}
    for name in names:
        if name not in own and not any(instant(record, name) for record in records):
            there = ", ".join(sorted(seen | own)) or "none"
            raise Refused(
                f"{name} is no step of {journey.name}, and no run that is kept saw it happen. There are: {there}."
            )

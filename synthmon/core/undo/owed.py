"""What dead runs owe, read from their journals: the debts to pay, and each as a person sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Spec
from synthmon.core.run import Original, Run, run_names
from synthmon.core.secrets import seal
from synthmon.core.undo.debts import Clean, Debt
from synthmon.core.undo.intents import Intent, Learned, Opened, OpenRun, Settled


@dataclass(frozen=True, slots=True)
class OpenDebt:
    """One effect not yet taken back for certain. `by_hand` is what a person would send; empty when nobody knows."""

    run_id: str
    path: str
    journey: str
    system: str
    tag: str
    since: datetime
    expires: datetime
    by_hand: str = ""

    @property
    def id(self) -> str:
        """What `synthmon debts --forget` takes."""
        return f"{self.run_id}:{self.path}"


@dataclass(frozen=True, slots=True)
class _Read:
    """A run's journal, sorted: names from its head, intents by path, what was learnt, what is settled."""

    head: Opened
    names: Mapping[str, Any]
    intents: dict[str, Intent] = field(default_factory=dict)
    learned: dict[str, dict[str, Any]] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)

    def open(self) -> Iterator[tuple[Intent, dict[str, Any]]]:
        """Intents that are not settled, each with every name that is known for it."""
        for path, intent in self.intents.items():
            if path not in self.settled:
                own = {"run.namespace": intent.tag} if intent.tag else {}
                yield intent, {**self.names, **own, **intent.values, **self.learned.get(path, {})}


def repaying(debts: Iterable[Debt], now_s: float, now: datetime, patient: bool = True) -> Clean:
    """Take up debts of a run whose process is gone; begin with `drain`.

    Without patience a system that gives no usable answer is asked once only.
    """
    clean = Clean(now_s, now, patient)
    clean.debts = list(debts)
    clean.spawn("undo", clean.repay_all())
    return clean


def debts_of(run: OpenRun, journey: Journey) -> Iterator[Debt]:
    """The debts that a journal leaves open. A step that the journey no longer has is left out: its debt stays open."""
    read = _read(run)
    steps = {step.id: step for step in journey.flat}
    for intent, known in read.open() if read else ():
        step = steps.get(step_of(intent.path))
        if step is None or step.undo is None:
            continue
        proven = intent.path in read.learned if read else False
        yield Debt(intent.path, step, step.undo, intent.key, intent.order, known, intent.expires, proven=proven)


def open_debts(run: OpenRun, journey: Journey | None, secrets: Iterable[str] = ()) -> Iterator[OpenDebt]:
    """The same for people. Without a journey the debt is booked on the run's system and nobody knows its undo.

    `secrets` are the names under `secrets:` in the settings; they are shown as `•••`.
    """
    read = _read(run)
    if read is None:
        return
    head = read.head
    steps = {debt.path: debt for debt in debts_of(run, journey)} if journey is not None else {}
    for intent, _ in read.open():
        debt = steps.get(intent.path)
        system = debt.step.system if debt and debt.step.system else head.system
        said = by_hand(debt, head.base, secrets) if debt else ""
        yield OpenDebt(run.run_id, intent.path, head.journey, system, intent.tag, head.started, intent.expires, said)


def by_hand(debt: Debt, base: str, secrets: Iterable[str] = ()) -> str:
    """The undo as a person would send it: `DELETE https://shop/orders/7`, what nobody knows in capitals."""
    names = debt.names | {f"secret.{name}": seal(f"secret.{name}") for name in secrets}
    said = described(debt.undo.spec, names, base)
    if debt.missing and debt.undo.find:
        said += f", after {described(debt.undo.find.spec, names, base)}"
    return said


def head_of(run: OpenRun) -> Opened | None:
    """The head of a run's journal; None of a journal that has lost it."""
    return next((entry for entry in run.entries if isinstance(entry, Opened)), None)


def run_parts(run: Run) -> dict[str, Any]:
    """What `run_of` needs beside the rest of a journal's head."""
    parts: dict[str, Any] = {"run.slot": run.slot.isoformat(), "run.instance": run.instance}
    if run.seed_of:
        parts["run.seed_of"] = run.seed_of
    if run.again is not None:
        then = run.again.run
        parts["run.again"] = [then.id, then.slot.isoformat(), then.started.isoformat(), then.location, then.seed_of]
    return parts


def run_of(run_id: str, head: Opened) -> Run:
    """The run that a journal's head tells of, for its clean-up."""
    slot = datetime.fromisoformat(head.names.get("run.slot", head.started.isoformat()))
    instance = str(head.names.get("run.instance", ""))
    run = Run(
        run_id,
        head.journey,
        head.version,
        slot,
        head.started,
        head.location,
        "clean-up",
        instance=instance,
        seed_of=str(head.names.get("run.seed_of", "")),
    )
    if (told := head.names.get("run.again")) is None:
        return run
    first_id, slot, started, location, seed_of = told
    then = replace(
        run,
        id=first_id,
        slot=datetime.fromisoformat(slot),
        started=datetime.fromisoformat(started),
        location=location,
        seed_of=seed_of,
    )
    return replace(run, again=Original(then))


def step_of(path: str) -> str:
    """The id of the step that a debt's path is of: `invoice` of `invoice#2`."""
    return path.partition("#")[0]


def described(spec: Spec, names: Mapping[str, Any], base: str) -> str:
    """What an act would send, in words: `DELETE https://shop/orders/7`, names without a value in capitals."""
    unknown = {name: name.replace(".", "_").upper() for name in spec.refs - names.keys()}
    try:
        said = spec.describe(spec.render(Scope({**names, **unknown})), None)
    except ExpressionError:
        return ""
    verb, _, url = said.partition(" ")
    return f"{verb} {base.rstrip('/')}{url}" if url.startswith("/") else said


def _read(run: OpenRun) -> _Read | None:
    head = head_of(run)
    if head is None:
        return None
    read = _Read(head, {**head.names, **run_names(run_of(run.run_id, head))})
    for entry in run.entries:
        match entry:
            case Intent():
                read.intents[entry.path] = entry
            case Learned():
                read.learned.setdefault(entry.path, {}).update(entry.values)
            case Settled():
                read.settled.add(entry.path)
    return read

"""A world of its own for the core: steps made by hand, a target that is a function, and a clock that is a number."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from synthmon.core.acts import INTERRUPT, Act, Arm, Cancel, Do, Note, Seen, Wake, Watch
from synthmon.core.door import Trouble
from synthmon.core.errors import Place
from synthmon.core.evidence import Report
from synthmon.core.expressions import Compiler, Scope
from synthmon.core.journey import Check, Every, Hears, Journey, Look, Retry, Step, Undo, Within
from synthmon.core.messages import OFFERS, Armed, Gap, Message, complaint, excerpt, names_of
from synthmon.core.outcomes import Reason
from synthmon.core.run import Record, Run
from synthmon.core.secrets import Vault
from synthmon.core.templates import Template, compile_template
from synthmon.core.transact.transaction import Transaction
from synthmon.core.transact.verdict import record
from synthmon.core.undo.debts import Clean
from synthmon.core.undo.intents import Entry, Intent, OpenRun, Settled
from synthmon.core.undo.owed import debts_of, repaying

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
PLACE = Place("probe.yaml", 1, 1)
_COMPILER = Compiler()
_OFFERS = {"status": "int", "body": "dyn"}


@dataclass(frozen=True, slots=True)
class Call:
    """A kind of step for tests: `POST /orders` as a text, answered by {status, body}."""

    template: Template
    kind: str = "call"

    @property
    def effect(self) -> bool:
        return not self.template.text.startswith(("GET", "FIND"))

    @property
    def refs(self) -> frozenset[str]:
        return self.template.refs

    def render(self, scope: Scope) -> str:
        return self.template.render_text(scope)

    def see(self, request: Any, answer: Any) -> Mapping[str, Any]:
        return {"status": answer[0], "body": answer[1]}

    def complaint(self, request: Any, answer: Any) -> str:
        return ""

    def excerpt(self, request: Any, answer: Any) -> tuple[str, str]:
        return str(request), str(answer)

    def describe(self, request: Any, answer: Any) -> str:
        return f"{request} → {answer[0] if answer else 'nothing'}"


@dataclass(frozen=True, slots=True)
class Ears:
    """A kind of step for tests that listens at a text."""

    template: Template
    kind: str = "ears"
    effect: bool = False

    @property
    def refs(self) -> frozenset[str]:
        return self.template.refs

    def render(self, scope: Scope) -> str:
        return self.template.render_text(scope)

    def see(self, request: Any, answer: Sequence[Message]) -> Mapping[str, Any]:
        return names_of(answer)

    def complaint(self, request: Any, answer: Sequence[Message] | None) -> str:
        return complaint(answer or ())

    def excerpt(self, request: Any, answer: Sequence[Message] | None) -> tuple[str, str]:
        return str(request), excerpt(answer or ())

    def describe(self, request: Any, answer: Sequence[Message] | None) -> str:
        return f"{request} → {'a message' if answer else 'nothing'}"


def journey(*steps: Step, deadline_s: float = 60.0, vars: Mapping[str, str] | None = None, **more: Any) -> Journey:
    """A journey of these steps; `vars` are templates over run.*."""
    made = tuple((name, compile_template(_COMPILER, text, _names(()))) for name, text in (vars or {}).items())
    return Journey("probe", PLACE, "0" * 64, Every(60.0), deadline_s, "shop", steps, vars=made, **more)


def step(
    id: str,
    call: str,
    *,
    expect: tuple[str, ...] = ("status < 300",),
    save: Mapping[str, str] | None = None,
    knows: tuple[str, ...] = (),
    within: float | None = None,
    after: str | None = None,
    grace: float = 0.0,
    when: str | None = None,
    undo: str | None = None,
    find: str | None = None,
    gone: str | None = None,
    unchecked: bool = False,
    repeatable: bool = False,
    ttl: float = 3600.0,
    retry: Retry | None = None,
    timeout: float = 5.0,
    blame: Mapping[str, str] | None = None,
) -> Step:
    """One step; `knows` are the saved names of earlier steps, `order.id` for instance."""
    names = _names(knows)
    offered = names | _OFFERS
    own = names | {f"{id}.{name}": "dyn" for name in save or {}}
    kept = tuple((name, _COMPILER.compile(text, offered)) for name, text in (save or {}).items())
    taken = None
    if undo is not None:
        finds = None
        if find is not None:
            finds = Look(spec(find, own), (), tuple((n, _COMPILER.compile("body.id", offered)) for n in save or {}))
        goes = Look(spec(gone, own), (_check("status == 404", offered),)) if gone is not None else None
        taken = Undo(spec(undo, own), ttl, finds, goes, unchecked)
    return Step(
        id,
        PLACE,
        spec(call, names),
        system="shop",
        expect=tuple(_check(text, offered) for text in expect),
        save=kept,
        when=_COMPILER.compile(when, names) if when else None,
        within=Within(within, after, grace_s=grace) if within is not None else None,
        undo=taken,
        repeatable=repeatable,
        retry=retry,
        timeout_s=timeout,
        blame=tuple((who, _COMPILER.compile(text, offered)) for who, text in (blame or {}).items()),
    )


def hears(
    id: str,
    at: str,
    *,
    expect: tuple[str, ...] = ("count == 1",),
    save: Mapping[str, str] | None = None,
    where: str | None = None,
    knows: tuple[str, ...] = (),
    within: float = 5.0,
    after: str | None = None,
    grace: float = 0.0,
    settle: float = 0.0,
    when: str | None = None,
    addressed: bool = False,
) -> Step:
    """A step that listens."""
    names = _names(knows)
    offered = names | OFFERS
    filtered = _COMPILER.compile(where, offered) if where else None
    return Step(
        id,
        PLACE,
        Ears(compile_template(_COMPILER, at, names)),
        system="shop",
        expect=tuple(_check(text, offered) for text in expect),
        save=tuple((name, _COMPILER.compile(text, offered)) for name, text in (save or {}).items()),
        when=_COMPILER.compile(when, names) if when else None,
        within=Within(within, after, grace_s=grace),
        hears=Hears(filtered, filtered.refs - OFFERS.keys() if filtered else frozenset(), settle, addressed),
    )


def together(id: str, *steps: Step, when: str | None = None) -> Step:
    """Steps side by side."""
    return Step(id, PLACE, None, together=steps, when=_COMPILER.compile(when, _names(())) if when else None)


def spec(text: str, names: Mapping[str, str]) -> Call:
    return Call(compile_template(_COMPILER, text, names))


def check(text: str, *knows: str) -> Check:
    """A check of `verify`."""
    return _check(text, _names(knows))


Target = Callable[[str, float, Do], "Answer | None"]
"""(request, instant, act) → what it answers; None: silence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the target does: after `delay_s` a status and a body, or a trouble."""

    status: int = 200
    body: Any = None
    delay_s: float = 0.01
    trouble: Reason | None = None
    sent: bool = True


Bus = Callable[[str, float], Sequence["tuple[float, Message | Gap | Trouble]"]]
"""(where somebody listens, from when) → what comes there, each at its instant."""


Reports = Callable[[str], Sequence["tuple[float, Report]"]]
"""source → what it tells, each at its instant."""


def message(content: str = "", at_s: float = 0.0, run: str = "ab" * 16, id: str = "") -> tuple[float, Message]:
    """A message of the scripted run, or of another one, at an instant."""
    return at_s, Message("events", (("x-correlation-id", run),), content.encode(), at_s, id)


@dataclass
class World:
    """Runs a transaction against a target in virtual time; a journal outlives the process."""

    target: Target
    bus: Bus = lambda at, now_s: ()
    reports: Reports = lambda source: ()
    now_s: float = 0.0
    heap: list[tuple[float, int, Seen]] = field(default_factory=list)
    journal: list[Entry] = field(default_factory=list)
    trace: list[tuple[float, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    count: int = 0
    opened: Callable[[], Entry] = field(init=False)

    def run(self, journey: Journey, term_s: float | None = None, kill_s: float | None = None) -> Transaction:
        """Run it through, or until it is killed."""
        run = Run("ab" * 16, journey.name, journey.digest, START, START)
        transaction = Transaction(journey, run, {"identity.email": "a@example.com"}, Vault({}), self.now_s)
        self.opened = lambda: transaction.opened("http://shop")
        if term_s is not None:
            self.push(Seen(INTERRUPT, term_s))
        self.drive(transaction, transaction.start(), kill_s)
        return transaction

    def record(self, journey: Journey, **how: Any) -> Record:
        """The record of one run."""
        return record(self.run(journey, **how))

    def recover(self, journey: Journey, at_s: float | None = None) -> Clean:
        """A new process reads the journal and pays."""
        self.heap.clear()
        self.now_s = self.now_s if at_s is None else max(self.now_s, at_s)
        debts = debts_of(OpenRun("ab" * 16, tuple(self.journal)), journey)
        clean = repaying(debts, self.now_s, self.wall())
        self.drive(clean, clean.drain(), None)
        return clean

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def drive(self, core: Clean, acts: tuple[Act, ...], kill_s: float | None) -> None:
        while True:
            for act in acts:
                self.perform(act)
            if core.done or not self.heap:
                return
            at_s, _, seen = heapq.heappop(self.heap)
            self.now_s = max(self.now_s, at_s)
            if kill_s is not None and at_s >= kill_s:
                return
            self.trace.append((round(at_s, 6), seen.id))
            acts = core.feed(seen)

    def perform(self, act: Act) -> None:
        self.acts.append(act)
        match act:
            case Wake():
                self.push(Seen(act.id, act.at_s))
            case Note():
                self.journal.append(act.entry)
            case Arm():
                heard = self.bus(act.request, self.now_s)
                deaf = next((what for _, what in heard if isinstance(what, Trouble)), None)
                armed = Armed(act.request, {"url": f"http://here/{act.id}"})
                first = Seen(act.id, self.now_s, None if deaf else armed, deaf)
                self.push(first)
                for at_s, what in heard if deaf is None else ():
                    self.push(Seen(act.id, at_s, what))
            case Watch():
                for at_s, report in self.reports(act.source.name):
                    self.push(Seen(act.id, max(at_s, self.now_s), report))
            case Do():
                if act.intent is not None:
                    if not self.journal:
                        self.journal.append(self.opened())
                    self.journal.append(act.intent)
                answer = self.target(act.request, self.now_s, act)
                if answer is None or answer.delay_s > act.timeout_s:
                    late = Trouble(Reason.TIMEOUT, f"no answer in {act.timeout_s:g}s")
                    self.push(Seen(act.id, self.now_s + act.timeout_s, trouble=late, sent_at_s=self.now_s))
                elif answer.trouble is not None:
                    bad = Trouble(answer.trouble, f"{answer.trouble}", sent=answer.sent)
                    sent = self.now_s if answer.sent else None
                    self.push(Seen(act.id, self.now_s + answer.delay_s, trouble=bad, sent_at_s=sent))
                else:
                    said = (answer.status, answer.body)
                    self.push(Seen(act.id, self.now_s + answer.delay_s, said, sent_at_s=self.now_s))
            case Cancel():
                pass

    def push(self, seen: Seen) -> None:
        self.count += 1
        heapq.heappush(self.heap, (seen.at_s, self.count, seen))

    def open_intents(self) -> list[str]:
        """The debts that the journal leaves open."""
        settled = {entry.path for entry in self.journal if isinstance(entry, Settled)}
        return [entry.path for entry in self.journal if isinstance(entry, Intent) and entry.path not in settled]

    def requests(self) -> list[str]:
        """Everything that was sent, in order."""
        return [act.request for act in self.acts if isinstance(act, Do)]


def _check(text: str, names: Mapping[str, str]) -> Check:
    return Check(_COMPILER.compile(text, names), PLACE)


def _names(knows: tuple[str, ...]) -> dict[str, str]:
    base = {"run.id": "string", "run.seed": "int", "identity.email": "string", "vars.ref": "string"}
    return base | dict.fromkeys(knows, "dyn")

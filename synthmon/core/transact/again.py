"""What a run sent, sent once more with its old idempotency keys: a second effect is the fault that is looked for.

Only writes that were answered and held are sent again, word for word: by the names, the identity and the keys of the
run that is replayed, under a new trace. Their checks do not count, for what the first run made was taken back; who
honours keys may answer as it did then, or with a refusal. What judges is what can be seen behind them. The undo of each
write looks (by `gone`, by `find`, or by its own answer 404 or 410) whether there is anything to take back; and what the
journey promises to happen `once` must not happen again under the new trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from synthmon.core import namespaces
from synthmon.core.evidence import Evidence, Wanted
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Journey, Step
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import CheckRecord, Record, Run, run_names
from synthmon.core.secrets import MASK, Vault
from synthmon.core.sequence.clauses import Word
from synthmon.core.sequence.clocks import TRUSTED, Clocks
from synthmon.core.transact.course import Course, Look
from synthmon.core.transact.judge import judge, saved
from synthmon.core.transact.reactor import Strand
from synthmon.core.transact.transaction import Transaction
from synthmon.core.undo.debts import Debt

SETTLE_S = 2.0  # that a second effect gets to show itself
_ABSENT = (404, 410)
_HELD = (Outcome.PASSED, Outcome.FLAKY)


class CannotTell(ValueError):
    """Nothing could judge whether there was a second effect; the message has fault and remedy."""


@dataclass(frozen=True, slots=True)
class Twice:
    """What is sent again: `journey` has only its writes. `left_out` are writes that are not, each with the reason."""

    journey: Journey
    left_out: tuple[str, ...] = ()


def twice(journey: Journey, record: Record) -> Twice:
    """The writes of a run once more. Raises `CannotTell`."""
    told = {step.id: step for step in record.steps}
    sent, left_out = [], []
    for step in journey.flat:
        if step.spec is None or not step.spec.effect:
            continue
        then = told.get(step.id)
        if then is None or then.outcome not in _HELD:
            left_out.append(f"{step.id} did not hold then: nobody knows what its key stands for")
        else:
            sent.append(_bare(step))
    if not sent:
        raise CannotTell(
            f"no write of run {record.run_id} held, so there is nothing to send twice. Replay a run that did."
        )
    if open_debts := [debt.path for debt in record.debts if debt.state not in ("closed", "never_left")]:
        raise CannotTell(
            f"what {open_debts[0]} made was not known to be gone when run {record.run_id} ended: it would look like a "
            "second effect. Replay a run whose clean-up is whole; what is still owed is paid by synthmon debts --pay."
        )
    once = any(clause.word is Word.ONCE for clause in journey.promises.clauses)
    if not once and not any(_tells(step) for step in sent):
        raise CannotTell(
            f"{sent[0].place.file}:{sent[0].place.line}  nothing would show a second effect of {sent[0].id}. Give its "
            "undo a `gone:`, or promise an event of it `once`."
        )
    return Twice(replace(journey, steps=tuple(sent), verify=(), vars=()), tuple(left_out))


def names_of(record: Record) -> Mapping[str, Any]:
    """`vars.*` and what steps saved, as they were; what holds a secret is left out, for it was not kept."""
    names = {f"vars.{name}": value for name, value in record.vars.items()}
    names |= {f"{step.id}.{name}": value for step in record.steps for name, value in step.saved.items()}
    return {name: value for name, value in names.items() if MASK not in str(value)}


def instants_again(journey: Journey, was: Run, names: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names, with instants and durations where a record could keep only a text: a request writes them otherwise."""
    known = {**run_names(was), **{f"case.{name}": value for name, value in journey.case.items()}, **names}
    for full, template in ((f"vars.{name}", template) for name, template in journey.vars):
        with suppress(ExpressionError):  # it needs what is not known here: then it stays what it is
            value = template.render(Scope(dict(known)))
            if isinstance(value, datetime | timedelta) and _kept(value) == names.get(full):
                known[full] = value
    return {name: known[name] for name in names}


class Again(Transaction):
    """A run that sends another one once more; `run.again` is that one, the journey what `twice` made."""

    def __init__(
        self,
        journey: Journey,
        run: Run,
        names: Mapping[str, Any],
        vault: Vault,
        now_s: float,
        clocks: Clocks = TRUSTED,
    ) -> None:
        super().__init__(journey, run, names, vault, now_s, clocks)
        assert run.again is not None  # this is what it sends
        self.known = run.again.names
        sent = {step.id for step in journey.flat}  # theirs are learnt anew: a second effect has an id of its own
        self.names.update((name, value) for name, value in self.known.items() if name.partition(".")[0] not in sent)
        self.ids.refuse(self.known.values())  # who honours keys answers with these: the first run's records bear them
        self.settle_s = max([SETTLE_S, *(source.lag_s + 0.5 for source in journey.promises.sources)])
        self.monitor.drop(journey.promises.clauses)  # of what was taken back nothing holds any more
        self.there: dict[str, bool | None] = {}  # path of a debt → whether something is there; None: nobody knows

    def wanted(self, since_ns: int, keys: tuple[str, ...]) -> Wanted:
        """The old namespace is a key here, that others bore before."""
        own = namespaces.namespace(self.run.id, self.run.instance, self.run.location)
        return Wanted(self.run.id, own, since_ns, (*keys, self.run.namespace), (self.run.id,))

    def judged(self, step: Step, course: Course, names: Mapping[str, Any], sent_s: float, at_s: float) -> Look:
        """Any answer will do: even a refusal of a used key."""
        look = super().judged(step, course, names, sent_s, at_s)
        if look.ok:
            return look
        saved = ((name, f"{step.id}.{name}") for name, _ in step.save)
        course.saved = {name: self.known[full] for name, full in saved if full in self.known}
        return Look(True, sent_s, at_s, Reason.NONE, "", status=look.status)

    def hold_promises(self) -> Strand:
        """Wait until a second effect would show."""
        self.steps_held = False  # what judges is still to come
        yield from self.sleep("~second", self.now_s + self.settle_s)

    def repay_all(self) -> Strand:
        """Look first whether there is anything to take back; then take back as ever."""
        for debt in self.debts:
            if debt.state == "owed" and self.stopped is Reason.NONE and _tells(debt.step):
                self.there[debt.path] = yield from self._look_for(debt)
        yield from super().repay_all()

    def repeated(self) -> Iterator[tuple[str, Evidence]]:
        """What was promised to happen once, and happened under this run's trace."""
        specs = {spec.name: spec for spec in self.journey.promises.events}
        for clause in self.journey.promises.clauses:
            if clause.word is Word.ONCE and (spec := specs.get(clause.events[0])) is not None:
                yield from ((spec.name, found) for found in self.evidence.values() if spec.matches(found))

    def _look_for(self, debt: Debt) -> Strand:
        """Whether what the write makes is there; None when nobody can tell."""
        look = debt.undo.gone or debt.undo.find
        spec = look.spec if look is not None else debt.undo.spec
        seen, names = yield from self._act(debt, "second", spec, effect=look is None)
        status = names.get("status", 200)
        if seen.trouble is not None or (isinstance(status, int) and (status >= 500 or status in (401, 403, 429))):
            return None
        if look is None:
            return status not in _ABSENT
        scope = Scope({**debt.names, **names})
        if debt.undo.gone is not None:
            return not judge(look.expect, scope).ok
        if status in _ABSENT:
            return False
        try:
            return any(value is not None for value in saved(look.save, scope).values())
        except ExpressionError as error:
            return False if error.missing else None


def judged_again(run: Again, record: Record) -> Record:
    """The record of such a run by what was seen behind its writes."""
    checks = tuple(
        CheckRecord(f"no second effect of {path}", str(_place(run, path)), None if there is None else not there)
        for path, there in run.there.items()
    )
    then = {name.removeprefix("vars."): value for name, value in run.known.items() if name.startswith("vars.")}
    record = replace(record, verify=checks, vars=then)
    if path := next((path for path, there in run.there.items() if there), ""):
        said = f"a second effect: what {path} makes is there again, though its idempotency key was used before"
        return replace(
            record, outcome=Outcome.FAILED, reason=Reason.DUPLICATE, message=said, step=path.partition("#")[0]
        )
    if repeated := next(run.repeated(), None):
        said = f"a second effect: {repeated[0]} happened again ({repeated[1].step} by {repeated[1].clock})"
        return replace(record, outcome=Outcome.FAILED, reason=Reason.DUPLICATE, message=said)
    if record.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        return record
    if unknown := next((path for path, there in run.there.items() if there is None), ""):
        said = f"whether {unknown} had a second effect could not be seen"
        return replace(record, outcome=Outcome.UNKNOWN, reason=Reason.EVIDENCE, message=said)
    return replace(record, outcome=Outcome.PASSED, reason=Reason.NONE, message="")


def _kept(value: datetime | timedelta) -> str:
    """What a stored record has of it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _bare(step: Step) -> Step:
    """A write without its checks, asked once."""
    within = replace(step.within, after=None) if step.within else None
    return replace(step, expect=(), when=None, within=within)


def _tells(step: Step) -> bool:
    """Whether its undo can see what it makes."""
    undo = step.undo
    return undo is not None and (undo.gone is not None or undo.find is not None or not undo.unchecked)


def _place(run: Again, path: str) -> str:
    place = next(step.place for step in run.journey.flat if step.id == path.partition("#")[0])
    return f"{place.file}:{place.line}"

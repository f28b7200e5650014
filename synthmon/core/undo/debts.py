"""How an effect is taken back: learn what was made, undo it, and believe only in verified absence.

The same strands serve a run that ends, and a later process that finds the run's journal (`core.undo.owed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from synthmon.core.acts import Do, Note, Seen, Wake
from synthmon.core.door import Trouble
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Look, Spec, Step, Undo
from synthmon.core.outcomes import Reason
from synthmon.core.run import Attempt
from synthmon.core.secrets import disarmed
from synthmon.core.timing import Timing
from synthmon.core.transact.judge import judge, saved
from synthmon.core.transact.reactor import Reactor, Strand
from synthmon.core.undo.intents import Learned, Settled

DOUBT_S = 2.0  # how long clean-up waits for the answer of an effect that is in flight
TRIES = 3
FIRST_WAIT_S = 0.3
_ABSENT = (404, 410)
_BUSY = (401, 403, 408, 429)  # and 5xx: nobody's debts are paid by asking such a system again at once
_REFUSED = frozenset(range(400, 500)) - {408, 409, 425, 429}  # the target says: I did not do it


@dataclass(slots=True)
class Debt:
    """One effect to take back. `path` is the step's path (`invoice`, or `invoice#2` of a poll)."""

    path: str
    step: Step
    undo: Undo
    key: str
    order: int
    names: dict[str, Any]  # all that undo, find, gone and the repeated create read, as far as known
    expires: datetime
    state: str = "owed"
    proven: bool = False  # it is known whether the effect happened: answered, found, repeated, or undone with success
    refused: bool = False  # it was answered with a clear no
    absent: bool = False  # the last look at it found nothing
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def missing(self) -> frozenset[str]:
        """The step's own saved names that undo or gone read and nobody knows yet."""
        wanted = self.undo.spec.refs | (self.undo.gone.spec.refs if self.undo.gone else frozenset())
        return frozenset(name for name in wanted if name.startswith(f"{self.step.id}.")) - self.names.keys()

    @property
    def last_words(self) -> str:
        """What the last act of clean-up brought: `DELETE /orders/7 → 500`; empty when there was none."""
        if not self.attempts:
            return ""
        last = self.attempts[-1]
        return f"{last.what}: {last.detail}" if last.reason else last.what


class Clean(Reactor):
    """A reactor that knows how to repay. `begin_s` and `began` are the same instant on both clocks.

    Without patience a system is asked no more once it gave no usable answer; `silent` tells what was seen then.
    """

    def __init__(self, now_s: float, began: datetime, patient: bool = True) -> None:
        super().__init__(now_s)
        self.begin_s, self.began, self.patient = now_s, began, patient
        self.debts: list[Debt] = []
        self.silent: dict[str, str] = {}

    @property
    def now(self) -> datetime:
        """The wall clock's reading, carried forward by the monotonic clock."""
        return self.began + timedelta(seconds=self.now_s - self.begin_s)

    def repay_all(self) -> Strand:
        """Last sent first, across branches; one that fails does not stop the others."""
        for debt in sorted(self.debts, key=lambda d: d.order, reverse=True):
            if debt.state == "owed":
                yield from self._repay(debt)
            if debt.state == "owed" and debt.absent and self.now >= debt.expires:
                self.settle(debt, "expired")

    def learn(self, debt: Debt, values: Mapping[str, Any]) -> None:
        """The answer of an effect, or a find, taught values: into the journal with those that clean-up reads."""
        kept = {f"{debt.step.id}.{name}": value for name, value in values.items()}
        kept = {name: value for name, value in kept.items() if name in clean_up_refs(debt.step)}
        if not debt.proven or any(debt.names.get(name) != value for name, value in kept.items()):
            debt.names.update(kept)
            debt.proven = True
            self.ask(Note(f"{debt.path}~learned", Learned(debt.path, kept)))

    def settle(self, debt: Debt, how: str) -> None:
        """The debt is no more."""
        debt.state = how
        self.ask(Note(f"{debt.path}~settled", Settled(debt.path, how)))

    def _repay(self, debt: Debt) -> Strand:
        yield from self._wait_for_flight(debt)
        if debt.state != "owed":
            return
        if debt.missing and debt.step.repeatable and not debt.refused:
            yield from self._repeat(debt)
        if debt.missing and debt.undo.find:
            yield from self._find(debt, debt.undo.find)
        if debt.state != "owed":
            return
        if not debt.missing:
            yield from self._undo(debt)
        elif debt.refused and not debt.undo.find:
            self.settle(debt, "closed")

    def _wait_for_flight(self, debt: Debt) -> Strand:
        flying = [act_id for act_id in flight_ids(debt) if self.is_open(act_id)]
        for act_id in flying:
            request = self.request_of(act_id)
            self.ask(Wake(f"{act_id}~doubt", self.now_s + DOUBT_S))
            seen = yield from self.wait(act_id, f"{act_id}~doubt")
            self.cancel(f"{act_id}~doubt")
            self.cancel(act_id)
            if seen.id == act_id:
                assert debt.step.spec is not None  # only a step with a spec can owe
                names = debt.step.spec.see(request, seen.answer) if seen.trouble is None else {}
                self.answer(debt, seen, names)

    def answer(self, debt: Debt, seen: Seen, names: Mapping[str, Any]) -> None:
        """The answer of the effect itself, come in time or during clean-up, and the names that it offers."""
        if seen.trouble is not None:
            if not seen.trouble.sent and not debt.attempts:
                self.settle(debt, "never_left")
            return
        debt.refused = names.get("status") in _REFUSED
        values: dict[str, Any] = {}
        for name, expression in debt.step.save:
            try:
                made = expression.value(Scope({**debt.names, **names}))
                values[name] = disarmed(made, debt.names.values())
            except ExpressionError:
                continue  # it taught less than hoped for: find will be asked
        self.learn(debt, values)

    def _repeat(self, debt: Debt) -> Strand:
        assert debt.step.spec is not None  # only a step with a spec can owe
        for n in range(1, TRIES + 1):
            seen, names = yield from self._act(debt, f"repeat{n}", debt.step.spec, effect=True, key=debt.key)
            if seen.trouble is None:
                self.answer(debt, seen, names)
            if not debt.missing or debt.refused:
                return
            yield from self._pause(debt, f"repeat{n}", n)

    def _find(self, debt: Debt, find: Look) -> Strand:
        for n in range(1, TRIES + 1):
            found = yield from self._look(debt, f"find{n}", find)
            if found is not None:
                debt.absent = not found
                if found:
                    self.learn(debt, found)
                    return
                if debt.refused:  # it said no, and nothing is there
                    self.settle(debt, "closed")
                    return
            yield from self._pause(debt, f"find{n}", n)

    def _undo(self, debt: Debt) -> Strand:
        for n in range(1, TRIES + 1):
            seen, names = yield from self._act(debt, f"undo{n}", debt.undo.spec, effect=True)
            if seen.trouble is None:
                status = names.get("status")
                done = not isinstance(status, int) or status < 300 or status in _ABSENT
                debt.proven = debt.proven or (done and status not in _ABSENT)
                debt.absent = done and (yield from self._gone(debt, n, status))
                if debt.absent and debt.proven:
                    self.settle(debt, "closed")
                if debt.absent:
                    return  # not proven: the effect may still be on its way, so the debt stays until its ttl
            if n < TRIES:
                yield from self._pause(debt, f"undo{n}", n)

    def _gone(self, debt: Debt, n: int, status: object) -> Strand:
        """Whether absence is verified: by `gone`, by an empty `find`, or by a repeated undo that says 404 or 410."""
        undo = debt.undo
        if undo.unchecked:
            return True
        if undo.gone is None and undo.find is None:
            if n > 1 and status in _ABSENT:
                return True
            _, names = yield from self._act(debt, f"undo{n}again", undo.spec, effect=True)
            return names.get("status") in _ABSENT
        for look in range(1, TRIES + 1):
            if undo.gone is not None:
                found = yield from self._look(debt, f"gone{n}{'' if look == 1 else chr(96 + look)}", undo.gone)
                absent = found == {"ok": True}
            else:
                assert undo.find is not None
                found = yield from self._look(debt, f"absent{n}{'' if look == 1 else chr(96 + look)}", undo.find)
                absent = found == {}
            if absent:
                return True
            if look < TRIES:
                yield from self._pause(debt, f"gone{n}{look}", look)
        return False

    def _look(self, debt: Debt, word: str, look: Look) -> Strand:
        """A read of clean-up: what it saved (`{}`: a key is missing), `{"ok": …}` for checks, None for trouble."""
        seen, names = yield from self._act(debt, word, look.spec)
        if seen.trouble is not None:
            return None
        scope = Scope({**debt.names, **names})
        if look.expect and not look.save:
            return {"ok": judge(look.expect, scope).ok}
        if isinstance(names.get("status"), int) and names["status"] in _ABSENT:
            return {}
        if isinstance(names.get("status"), int) and names["status"] >= 400:
            return None
        try:
            found = {name: value for name, value in saved(look.save, scope).items() if value is not None}
            return {name: disarmed(value, debt.names.values()) for name, value in found.items()}
        except ExpressionError as error:
            return {} if error.missing else None

    def _act(self, debt: Debt, word: str, spec: Spec, effect: bool = False, key: str | None = None) -> Strand:
        """Perform one act of clean-up: what was seen, and the names that its answer offers (none with trouble)."""
        act_id = f"{debt.path}~{word}"
        asked_s = self.now_s
        if debt.step.system in self.silent:
            said = f"{debt.step.system} does not answer"
            return Seen(act_id, self.now_s, trouble=Trouble(Reason.UNREACHABLE, said, sent=False)), {}
        try:
            request = spec.render(Scope(debt.names))
        except ExpressionError as error:
            return Seen(act_id, self.now_s, trouble=Trouble(Reason.EXPRESSION, str(error), sent=False)), {}
        timeout_s = debt.step.timeout_s
        self.ask(
            Do(
                act_id,
                spec.kind,
                request,
                debt.step.system,
                timeout_s,
                effect,
                key or f"{debt.key}-{word}",
                debt.step.auth,
            )
        )
        seen = yield from self.wait(act_id)
        debt.attempts.append(attempt(act_id, spec, request, seen, asked_s, self.begin_s))
        names = spec.see(request, seen.answer) if seen.trouble is None else {}
        if not self.patient and (seen.trouble is not None or _useless(names.get("status"))):
            self.silent[debt.step.system] = debt.last_words
        return seen, names

    def _pause(self, debt: Debt, word: str, n: int) -> Strand:
        if debt.step.system not in self.silent:
            yield from self.sleep(f"{debt.path}~{word}~wait", self.now_s + FIRST_WAIT_S * 2 ** (n - 1))


def clean_up_refs(step: Step) -> frozenset[str]:
    """Every name that undo, find and gone of a step read, and its create where it may be repeated."""
    if step.undo is None:
        return frozenset()
    looks = [look for look in (step.undo.find, step.undo.gone) if look]
    wanted = step.undo.spec.refs.union(*(look.spec.refs for look in looks))
    wanted = wanted.union(*(e.refs for look in looks for _, e in look.save))
    wanted = wanted.union(*(c.expression.refs for look in looks for c in look.expect))
    return wanted | step.spec.refs if step.repeatable and step.spec else wanted


def attempt(act_id: str, spec: Spec, request: Any, seen: Seen, asked_s: float, begin_s: float) -> Attempt:
    """What is kept of one act."""
    trouble = seen.trouble
    timing = trouble.timing if trouble else getattr(seen.answer, "timing", None) or _NO_TIMING
    return Attempt(
        act_id,
        spec.describe(request, seen.answer),
        (asked_s - begin_s) * 1e3,
        timing.total_ms or (seen.at_s - asked_s) * 1e3,
        trouble.reason if trouble else Reason.NONE,
        trouble.detail if trouble else "",
        timing,
        shot=trouble.shot if trouble else getattr(seen.answer, "shot", ""),
    )


_NO_TIMING = Timing()  # of a kind that does not measure its phases


def _useless(status: object) -> bool:
    return isinstance(status, int) and (status >= 500 or status in _BUSY)


def flight_ids(debt: Debt) -> tuple[str, ...]:
    """The ids under which the effect itself may be in flight: `invoice#1` … for `invoice`, `invoice#2` for itself."""
    return (debt.path,) if "#" in debt.path else tuple(f"{debt.path}#{n}" for n in range(1, 12))

"""Finds what runs left behind when no journal tells of it: by its tag, in a listing of the system under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from synthmon.core.acts import Act
from synthmon.core.expressions import ExpressionError, Scope
from synthmon.core.journey import Step, Sweep, Undo
from synthmon.core.namespaces import is_ours
from synthmon.core.transact.reactor import Strand
from synthmon.core.undo.debts import Clean, Debt

MOST_PAGES = 1000
EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # a time before this is a zero that means "unknown"
_ABSENT = (404, 410)


class Fate(StrEnum):
    """What becomes of a listed item."""

    ORPHAN = "orphan"  # ours, old enough, and owed by nobody: to be taken back
    REMOVED = "removed"  # taken back, and not listed any more
    LEFT = "left"  # an orphan that could not be taken back
    LOOK_ALIKE = "look-alike"  # its tag is not a namespace of this installation
    YOUNG = "young"  # its run may still go on
    OWED = "owed"  # the journal knows it: it is paid from there
    UNREADABLE = "unreadable"  # no tag, no time, or no values for the undo


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the listing shows. `why` says what was seen when it could not be read or taken back."""

    tag: str
    at: datetime | None
    fate: Fate
    undo: str = ""  # `DELETE /orders/7`, of an orphan
    why: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which items are meant: of this instance and location, made before an instant, with none of these tags."""

    instance: str
    location: str
    before: datetime
    owed: frozenset[str]


class SweepRun(Clean):
    """One sweep for one step. Feed it until `done`; then `items` and `fault` tell how it went.

    `names` are those that listing and undo may read: `case.*`, `run.location`, `run.instance` and sealed `secret.*`.
    It stops at the first request that brings no usable answer.
    """

    def __init__(
        self,
        step: Step,
        names: Mapping[str, Any],
        bounds: Bounds,
        run_id: str,
        now_s: float,
        began: datetime,
        dry: bool,
    ) -> None:
        super().__init__(now_s, began, patient=False)
        assert step.undo is not None  # the caller picks such steps only
        assert step.undo.sweep is not None
        self.step, self.names, self.bounds, self.run_id, self.dry = step, names, bounds, run_id, dry
        self._undo_spec: Undo = step.undo
        self._sweep: Sweep = step.undo.sweep
        self.items: list[Item] = []
        self.fault = ""

    def start(self) -> tuple[Act, ...]:
        """The first acts."""
        self.spawn("sweep", self._main())
        return self.drain()

    # the story of a sweep -------------------------------------------------------------------------------------------

    def _main(self) -> Strand:
        listed = yield from self._list("list")
        if listed is None:
            return
        self.items = [self._judge(raw) for raw in listed]
        if self.dry:
            return
        for n, item in enumerate(self.items):
            if item.fate is Fate.ORPHAN:
                self.items[n] = yield from self._take_back(n + 1, item)
        if any(item.fate is Fate.REMOVED for item in self.items):
            yield from self._verify()

    def _list(self, word: str) -> Strand:
        """Every item of every page, or None with the fault told."""
        asking = self._debt(word, 0, {})
        found: list[Any] = []
        page, seen = "", {""}
        for n in range(1, MOST_PAGES + 1):
            asking.names["page"] = page
            got, names = yield from self._act(asking, f"{word}{n}", self._sweep.spec)
            if got.trouble is not None:
                self.fault = f"the listing cannot be had: {asking.last_words or got.trouble.detail}"
                return None
            if isinstance(names.get("status"), int) and names["status"] >= 300:
                self.fault = f"the listing cannot be had: {asking.last_words}"
                return None
            scope = Scope({**asking.names, **names})
            try:
                each = self._sweep.each.value(scope)
            except ExpressionError as error:
                self.fault = f"`each` does not fit the answer: {error}"
                return None
            if not isinstance(each, list):
                self.fault = f"`each` is not a list: {str(each)[:80]}"
                return None
            found.extend(each)
            page = self._next(scope)
            if page in seen:  # the last page, or one that was there already
                return found
            seen.add(page)
        self.fault = f"the listing has more than {MOST_PAGES} pages"
        return None

    def _next(self, scope: Scope) -> str:
        try:
            told = self._sweep.next.value(scope) if self._sweep.next else None
        except ExpressionError:
            return ""  # a missing key: this was the last page
        return "" if told is None else str(told)

    def _take_back(self, n: int, item: Item) -> Strand:
        debt = self._debt(f"item{n}", n, {"run.namespace": item.tag, **item.values})
        seen, names = yield from self._act(debt, "undo", self._undo_spec.spec, effect=True)
        status = names.get("status")
        if seen.trouble is None and (not isinstance(status, int) or status < 300 or status in _ABSENT):
            return replace(item, fate=Fate.REMOVED)
        self.fault = self.fault or "not everything could be taken back"
        said = debt.last_words or (seen.trouble.detail if seen.trouble else "")
        return replace(item, fate=Fate.LEFT, why=said)

    def _verify(self) -> Strand:
        """Believe in what was removed only when a second listing does not show it."""
        listed = yield from self._list("again")
        if listed is None:
            self.items = [
                replace(item, fate=Fate.LEFT, why="its undo was answered; whether it is gone could not be seen")
                if item.fate is Fate.REMOVED
                else item
                for item in self.items
            ]
            return
        there = {(item.tag, repr(item.values)) for item in map(self._judge, listed)}
        for n, item in enumerate(self.items):
            if item.fate is Fate.REMOVED and (item.tag, repr(item.values)) in there:
                self.fault = "not everything could be taken back"
                self.items[n] = replace(item, fate=Fate.LEFT, why="its undo was answered, and it is still listed")

    # one item -------------------------------------------------------------------------------------------------------

    def _judge(self, raw: Any) -> Item:
        scope = Scope({**self.names, "item": raw})
        try:
            tag = self._sweep.tag.value(scope)
        except ExpressionError as error:
            return Item("", None, Fate.LOOK_ALIKE, why=f"tag: {error}")
        if not isinstance(tag, str) or not is_ours(tag, self.bounds.instance, self.bounds.location):
            return Item(str(tag)[:80], None, Fate.LOOK_ALIKE)
        if tag in self.bounds.owed:
            return Item(tag, None, Fate.OWED)
        try:
            at = self._sweep.at.value(scope)
            values = {f"{self.step.id}.{name}": expression.value(scope) for name, expression in self._sweep.save}
        except ExpressionError as error:
            return Item(tag, None, Fate.UNREADABLE, why=str(error))
        if not isinstance(at, datetime):
            return Item(tag, None, Fate.UNREADABLE, why=f"`at` is not a timestamp: {str(at)[:80]}")
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        if at < EARLIEST:
            return Item(tag, at, Fate.UNREADABLE, why=f"`at` is {at:%Y-%m-%d}: no run is so old")
        fate = Fate.ORPHAN if at < self.bounds.before else Fate.YOUNG
        return Item(tag, at, fate, self._words(tag, values), "", values)

    def _words(self, tag: str, values: Mapping[str, Any]) -> str:
        spec = self._undo_spec.spec
        try:
            return spec.describe(spec.render(Scope({**self.names, "run.namespace": tag, **values})), None)
        except ExpressionError as error:
            return str(error)

    def _debt(self, word: str, n: int, more: Mapping[str, Any]) -> Debt:
        path = f"{self.step.id}~{word}"
        names = {**self.names, **more}
        return Debt(path, self.step, self._undo_spec, f"{self.run_id}-{path}", n, names, self.now, proven=True)

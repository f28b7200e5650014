"""What a run promises about events: seven words over what other systems report, each with three verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from synthmon.core.errors import Place
from synthmon.core.evidence import Evidence
from synthmon.core.expressions import Expression, ExpressionError, Scope


class Word(StrEnum):
    """The forms of a clause."""

    HAPPENS = "happens"
    NEVER = "never"
    ONCE = "once"
    AT_MOST = "at_most"
    BEFORE = "before"
    FOLLOWS = "follows"
    NOT_BOTH = "not_both"
    EMPTY = "empty"  # a count of a source, and no event


@dataclass(frozen=True, slots=True)
class EventSpec:
    """A name for some records of one source: those whose fields have these values, and for which `where` is true."""

    name: str
    source: str
    fields: Mapping[str, str] = field(default_factory=dict)  # step, status, name, clock, dependency, attrs.<name>
    where: Expression | None = None

    def matches(self, record: Evidence) -> bool:
        """Whether a record is one of these."""
        if record.source != self.source:
            return False
        for name, value in self.fields.items():
            if _part(record, name) != value:
                return False
        return self.where is None or self._holds(self.where, record)

    def _holds(self, where: Expression, record: Evidence) -> bool:
        try:
            return where.value(Scope(event_names(record))) is True
        except ExpressionError:
            return False


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise. `events` are names (of `empty`, of a source that counts); `limit` is n of `at_most`; of `empty` it
    is 1 where nobody else's messages go there.

    `within_s` counts from the first byte of step `after`, or from the start of the run; without, the end of
    verification is the limit.
    """

    word: Word
    events: tuple[str, ...]
    place: Place
    name: str = ""
    limit: int = 0
    within_s: float | None = None
    after: str = ""
    when: Expression | None = None

    @property
    def text(self) -> str:
        """As it is shown: `before: [publish, posted]`."""
        if self.name:
            return self.name
        match self.word:
            case Word.AT_MOST:
                said = f"{{{self.events[0]}: {self.limit}}}"
            case Word.BEFORE | Word.FOLLOWS | Word.NOT_BOTH:
                said = f"[{', '.join(self.events)}]"
            case _:
                said = self.events[0]
        limit = f" within {self.within_s:g}s" if self.within_s is not None else ""
        return f"{self.word}: {said}{limit}{f' after {self.after}' if self.after else ''}"


EVENT_NAMES: Mapping[str, str] = {
    "event.step": "string",
    "event.name": "string",
    "event.status": "string",
    "event.attempt": "int",
    "event.clock": "string",
    "event.dependency": "string",
    "event.id": "string",
    "event.attrs": "text_map",
}
"""The names that `where` of an event may use."""


def event_names(record: Evidence) -> dict[str, object]:
    """A record by `EVENT_NAMES`."""
    return {
        "event.step": record.step,
        "event.name": record.name,
        "event.status": record.status,
        "event.attempt": record.attempt,
        "event.clock": record.clock,
        "event.dependency": record.dependency,
        "event.id": record.id,
        "event.attrs": dict(record.attrs),
    }


def _part(record: Evidence, name: str) -> str:
    if name.startswith("attrs."):
        return record.attrs.get(name[6:], "")
    return str(getattr(record, name))

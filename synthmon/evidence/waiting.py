"""Telemetry of the last minutes, whosesoever it is: that it is a run's may turn out later, by a link or a saved id."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from synthmon.core.telemetry import Log, Span
from synthmon.evidence.forgotten import Forgotten

MOST_HELD, MOST_CHARACTERS, LONGEST_S = 20_000, 32 * 1024 * 1024, 120.0


@dataclass(slots=True, eq=False)
class Held:
    """One span or log, the texts in it, when it came (seconds, of a clock that never goes back), and its number among
    those of one request that are all alike."""

    record: Span | Log
    texts: dict[str, str]
    at_s: float
    nth: int = 1
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = sum(map(len, self.texts.values())) + 500

    @property
    def text(self) -> str:
        """All of them in one."""
        return "\n".join(self.texts.values())

    @property
    def key(self) -> object:
        """What tells it from another record, also when it is sent once more."""
        if isinstance(self.record, Span):
            return self.record.trace_id, self.record.span_id
        return self.nth, self.record.span_id, hash(tuple(self.texts.items()))


class Waiting:
    """What was heard last, by trace and by the traces that it links to: 20,000 records, 32 million characters and two
    minutes at most; the oldest go first."""

    def __init__(self) -> None:
        self._held: deque[Held] = deque()
        self._of_trace: dict[str, deque[Held]] = {}
        self._linking: dict[str, deque[Held]] = {}
        self._size = 0
        self.forgotten = Forgotten()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, held: Held) -> None:
        """Keep one more."""
        self._held.append(held)
        self._size += held.size
        for index, trace in _places(held):
            (self._of_trace if index == "of" else self._linking).setdefault(trace, deque()).append(held)
        while self._held and (
            len(self._held) > MOST_HELD or self._size > MOST_CHARACTERS or held.at_s - self._held[0].at_s > LONGEST_S
        ):
            self._drop()

    def of_trace(self, trace: str) -> tuple[Held, ...]:
        """What is in a trace."""
        return tuple(self._of_trace.get(trace, ()))

    def linking(self, trace: str) -> tuple[Held, ...]:
        """The spans that link to one in this trace."""
        return tuple(self._linking.get(trace, ()))

    def everything(self) -> tuple[Held, ...]:
        """All of it, the oldest first."""
        return tuple(self._held)

    def _drop(self) -> None:
        oldest = self._held.popleft()
        self.forgotten.add(oldest.texts.values(), oldest.at_s)
        self._size -= oldest.size
        for index, trace in _places(oldest):
            table = self._of_trace if index == "of" else self._linking
            table[trace].popleft()  # the oldest of all is the oldest there
            if not table[trace]:
                del table[trace]


def _places(held: Held) -> Iterator[tuple[str, str]]:
    if held.record.trace_id:
        yield "of", held.record.trace_id
    if isinstance(held.record, Span):
        for trace in {link.trace_id for link in held.record.links}:
            yield "linking", trace

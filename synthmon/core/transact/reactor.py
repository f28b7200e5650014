"""Strands that wait for facts: the only machinery behind a run, without a loop, a clock or a thread.

A strand is a generator that yields the ids it waits for and is sent the first `Seen` that bears one of them. Acts are
collected while strands run and handed out by `feed`. A fact that comes before anybody waits for it is kept; an answer
to an act that was cancelled is dropped. A running generator is never re-entered: what strands tell each other goes
through the queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any

from synthmon.core.acts import Act, Arm, Cancel, Do, Note, Seen, Wake, Watch, Widen

Strand = Generator[tuple[str, ...], Seen, Any]


class Stopped(Exception):
    """Thrown into strands that shall end now."""


class Reactor:
    """`feed(Seen) -> tuple[Act, ...]`; ends when no strand is left."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self._acts: list[Act] = []
        self._open: dict[str, Do | Arm | Watch | Wake] = {}
        self._strands: dict[str, Strand] = {}
        self._waits: dict[str, tuple[str, ...]] = {}
        self._kept: dict[str, deque[Seen]] = {}
        self._queue: deque[Seen] = deque()
        self._turning = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to do; everything fed from now on is dropped."""
        return not self._strands

    def feed(self, seen: Seen) -> tuple[Act, ...]:
        """Take one fact; answers what is to be done now. Time never runs backwards, whatever the facts say."""
        self.now_s = max(self.now_s, seen.at_s)
        act = self._open.get(seen.id)
        if act is not None or seen.id.startswith("!"):
            if not isinstance(act, Arm | Watch):  # what listens is answered many times
                self._open.pop(seen.id, None)
            self._queue.append(seen)
            self._turn()
        return self.drain()

    def drain(self) -> tuple[Act, ...]:
        """The acts asked for since the last time."""
        acts, self._acts = tuple(self._acts), []
        return acts

    def ask(self, act: Act) -> None:
        """Say an act; a `Do` or `Wake` is open until its answer was fed, an `Arm` or `Watch` until it is cancelled."""
        self._acts.append(act)
        if not isinstance(act, Cancel | Note | Widen):
            self._open[act.id] = act

    def cancel(self, act_id: str) -> None:
        """Let go of an open act."""
        if self._open.pop(act_id, None) is not None:
            self._acts.append(Cancel(act_id))

    def strands(self) -> tuple[str, ...]:
        """The names of the strands that have not ended."""
        return tuple(self._strands)

    def is_open(self, act_id: str) -> bool:
        """Whether an act was asked for and neither answered nor cancelled."""
        return act_id in self._open

    def request_of(self, act_id: str) -> Any:
        """The request of an open act; None when there is none."""
        act = self._open.get(act_id)
        return act.request if isinstance(act, Do) else None

    def open_acts(self) -> tuple[Do | Arm | Watch | Wake, ...]:
        """Everything asked for and not answered yet."""
        return tuple(self._open.values())

    def spawn(self, name: str, strand: Strand) -> None:
        """Start a strand; its end is the fact `@name`, with what it returned as the answer."""
        self._strands[name] = strand
        self._advance(name, None)
        self._turn()

    def stop(self, *names: str) -> None:
        """Throw `Stopped` into strands."""
        for name in names:
            if name in self._strands:
                self._advance(name, None, Stopped())
        self._turn()

    def tell(self, fact_id: str) -> None:
        """Let whoever waits for this fact go on; it is told from one strand to another."""
        self._queue.append(Seen(fact_id, self.now_s))

    def heard(self, seen: Seen) -> bool:
        """A fact that nobody asked for (its id begins with `!`); answers whether it was dealt with. For subclasses."""
        return False

    def wait(self, *ids: str) -> Strand:
        """Wait for the first of some facts, one that came early included."""
        for wanted in ids:
            if kept := self._kept.get(wanted):
                return kept.popleft()
        return (yield ids)

    def sleep(self, act_id: str, until_s: float) -> Strand:
        """Wait until an instant."""
        if until_s > self.now_s:
            self.ask(Wake(act_id, until_s))
            yield from self.wait(act_id)

    def _turn(self) -> None:
        if self._turning:
            return
        self._turning = True
        try:
            while self._queue:
                self._tell(self._queue.popleft())
        finally:
            self._turning = False

    def _tell(self, seen: Seen) -> None:
        if seen.id.startswith("!") and self.heard(seen):
            return
        for name, waits in self._waits.items():
            if seen.id in waits:
                self._advance(name, seen)
                return
        self._kept.setdefault(seen.id, deque()).append(seen)

    def _advance(self, name: str, seen: Seen | None, error: Stopped | None = None) -> None:
        strand = self._strands[name]
        self._waits.pop(name, None)  # before it runs: a stale wait would re-enter it
        try:
            waits = strand.throw(error) if error else strand.send(seen)  # type: ignore[arg-type]  # None only starts it
        except StopIteration as end:
            self._finish(name, end.value)
        except Stopped:
            self._finish(name, None)
        else:
            self._waits[name] = waits

    def _finish(self, name: str, value: Any) -> None:
        del self._strands[name]
        self._queue.append(Seen(f"@{name}", self.now_s, value))

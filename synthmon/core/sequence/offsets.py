"""What many runs together teach about clocks: bounds from the last runs of each pair, and what to do when they clash.

Each bound is the least of the last 200 runs that showed one. A clock that was set makes old and new bounds contradict
each other (a negative cycle): then the older half is dropped, again until they agree. A name whose records contradict
each other within a run, or again and again, stands for several clocks: it has none for the next 200 runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from synthmon.core.sequence.clocks import FAR_NS, MOST_CLOCKS, OURS, Clocks, closed, tightened
from synthmon.core.sequence.sightings import Least

RUNS = 200
FEWEST_RUNS = 20  # before which a clock is new
STRIKES = 3  # within 200 runs
MOST_PAIRS, MOST_NAMES = 1_000, 500

_Pair = tuple[str, str]


class Offsets:
    """The clocks of some systems. `learn` from each run that is over, oldest first; `clocks` is what is known now,
    without any assumption about the rest."""

    def __init__(self) -> None:
        self._pairs: dict[_Pair, _Window] = {}  # those seen last stand last
        self._seen: dict[str, int] = {}  # clock → runs that showed it
        self._unsteady: dict[str, int] = {}  # clock → until which run
        self._strikes: dict[str, list[int]] = {}  # clock → in which runs it contradicted those before
        self._run = 0
        self.clocks = Clocks()

    def learn(self, run: Least) -> None:
        """Take in what one run showed (`core.sightings.least`)."""
        if not run:
            return
        self._run += 1
        clashing = _culprits(run)
        self._distrust(clashing)
        over = [name for name, until in self._unsteady.items() if until <= self._run]
        for name in over:
            del self._unsteady[name]
        anew = bool(clashing or over)
        moved: dict[_Pair, int | None] = {}  # pair → its bound before
        for pair, shown_ns in run.items():
            if pair[0] not in self._unsteady and pair[1] not in self._unsteady:
                window = self._window(pair)
                before = window.least
                if window.add(self._run, shown_ns):
                    moved[pair] = before
        anew |= self._count({name for pair in run for name in pair} - {OURS})
        if anew or (moved and not self._moves(moved)):
            self.clocks = self._agreed()

    def _moves(self, moved: Mapping[_Pair, int | None]) -> bool:
        """Let the bounds follow a few that moved, if nothing more than that is to be done: most lie behind a shorter
        way over other clocks, or became less. One that others were told by and that became more has all found anew."""
        if len(self._seen) - len(self._unsteady) >= MOST_CLOCKS or len(self._pairs) >= MOST_PAIRS:
            return False
        known = self.clocks.apart
        if any(
            before is not None and before <= known.get(pair, FAR_NS) < self._least(pair)
            for pair, before in moved.items()
        ):
            return False
        apart = dict(known)
        for pair in moved:
            if self._least(pair) < apart.get(pair, FAR_NS):
                tightened(apart, pair, self._least(pair))
        if _clashing(apart):
            return False
        if apart != known:
            self.clocks = replace(self.clocks, apart=apart)
        return True

    def _least(self, pair: _Pair) -> int:
        least = self._pairs[pair].least
        return FAR_NS if least is None else least

    def _agreed(self) -> Clocks:
        apart: Least = closed(self._bounds())
        if _clashing(apart):
            self._strike(_culprits(self._bounds()))
            apart = self._without_the_older(apart)
        new = frozenset(name for name, runs in self._seen.items() if runs < FEWEST_RUNS)
        bounds = {pair: bound for pair, bound in apart.items() if pair[0] != pair[1]}
        return Clocks(bounds, new=new, unsteady=frozenset(self._unsteady))

    def _without_the_older(self, apart: Least) -> Least:
        span = self._run - min(window.oldest for window in self._pairs.values())
        while _clashing(apart) and span > 0:
            span //= 2
            for window in self._pairs.values():
                window.forget_until(self._run - span - 1)
            self._pairs = {pair: window for pair, window in self._pairs.items() if window.least is not None}
            apart = closed(self._bounds())
        self._distrust(_clashing(apart))
        return closed(self._bounds())

    def _strike(self, names: set[str]) -> None:
        """One clock was set; but when it is set again and again, it is none."""
        for name in names:
            strikes = [run for run in self._strikes.get(name, ()) if run > self._run - RUNS]
            self._strikes[name] = [*strikes, self._run]
        self._strikes = {name: runs for name, runs in self._strikes.items() if name in self._seen}
        self._distrust({name for name in names if len(self._strikes.get(name, ())) >= STRIKES})

    def _distrust(self, names: set[str]) -> None:
        for name in names:
            self._unsteady[name] = self._run + RUNS

    def _bounds(self) -> Mapping[_Pair, int]:
        """The least of each pair, of the twenty clocks that are seen most."""
        steady = [name for name in self._seen if name not in self._unsteady]
        names = {OURS, *sorted(steady, key=lambda name: (-self._seen[name], name))[: MOST_CLOCKS - 1]}
        return {
            pair: window.least
            for pair, window in self._pairs.items()
            if pair[0] in names and pair[1] in names and window.least is not None
        }

    def _window(self, pair: _Pair) -> _Window:
        window = self._pairs.pop(pair, None) or _Window()
        self._pairs[pair] = window
        if len(self._pairs) > MOST_PAIRS:
            del self._pairs[next(iter(self._pairs))]
        return window

    def _count(self, names: set[str]) -> bool:
        """Whether one of them is seen for the first time, or is new no longer."""
        turned = False
        for name in names:
            self._seen[name] = times = self._seen.pop(name, 0) + 1
            turned |= times in (1, FEWEST_RUNS)
        while len(self._seen) > MOST_NAMES:
            del self._seen[next(iter(self._seen))]
        return turned


class _Window:
    """The least of the last 200 values: only those are kept that may still become it."""

    __slots__ = ("_times", "_values")

    def __init__(self) -> None:
        self._times = 0
        self._values: deque[tuple[int, int, int]] = deque()  # (which value, of which run, the value), rising

    @property
    def least(self) -> int | None:
        return self._values[0][2] if self._values else None

    @property
    def oldest(self) -> int:
        return self._values[0][1]

    def add(self, run: int, value: int) -> bool:
        """Whether the least is another one now."""
        before = self.least
        self._times += 1
        while self._values and self._values[-1][2] >= value:
            self._values.pop()
        self._values.append((self._times, run, value))
        while self._values[0][0] <= self._times - RUNS:
            self._values.popleft()
        return self.least != before

    def forget_until(self, run: int) -> None:
        while self._values and self._values[0][1] <= run:
            self._values.popleft()


def _culprits(shown: Least) -> set[str]:
    """The clocks that cannot be, by what was shown directly: against ours, else against each other."""
    against_ours = {a for a, b in shown if b == OURS and shown[a, b] + shown.get((b, a), FAR_NS) < 0}
    if against_ours:
        return against_ours
    return {
        name
        for (a, b), first in shown.items()
        if OURS not in (a, b)
        and first + min(shown.get((b, a), FAR_NS), shown.get((b, OURS), FAR_NS) + shown.get((OURS, a), FAR_NS)) < 0
        for name in (a, b)
    }


def _clashing(apart: Least) -> set[str]:
    """The clocks whose bounds contradict each other."""
    return {a for a, b in apart if a == b and apart[a, b] < 0} - {OURS}

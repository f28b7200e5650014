"""When a place that gives no answer is left alone: after a few runs in a row, one request at a time asks for all.

What opens it: runs, not requests, that got no answer at all (refused, silent, hung up), one after the other, with not
one answer in between from anybody. An answer of any status closes it, 503 too: who answers is there, and what the
answer is worth is for the checks to say.

It says nothing of a journey that has not asked for itself: while it is open each journey may ask once, one such at a
time, beside the one request that asks for all. Only then are its requests kept back, until somebody was answered.
"""

from __future__ import annotations

from enum import StrEnum

from synthmon.core.outcomes import Reason

RUNS_IN_A_ROW = 5
FIRST_REST_S, LONGEST_REST_S = 0.25, 5.0  # from one try to the next; it doubles
SILENCE = frozenset(
    {
        Reason.REFUSED,
        Reason.UNREACHABLE,
        Reason.NO_SUCH_NAME,
        Reason.TLS,
        Reason.TIMEOUT,
        Reason.RESET,
        Reason.NO_ANSWER,
    }
)
"""What counts: it is theirs, and nothing came back that a check could look at."""


class Lane(StrEnum):
    """How a request may go: as ever; to ask for all; for its own journey, once."""

    FREE = "free"
    TRIAL = "trial"
    OWN = "own"


class Circuit:
    """One for each place (host and port) of a system; times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.open_since_s: float | None = None
        self.last = ""  # what the last request met, in words
        self.failures = 0  # since it opened, those that opened it included
        self._failing: dict[str, str] = {}  # runs in a row without an answer -> their journeys
        self._met: set[str] = set()  # journeys that got no answer since then
        self._rest_s = FIRST_REST_S
        self._next_s = 0.0
        self._taken: set[Lane] = set()

    def admit(self, journey: str, now_s: float) -> Lane | None:
        """How a request of a journey may go now, None: not at all. `tell` must follow, whatever became of it."""
        if self.open_since_s is None:
            return Lane.FREE
        if journey not in self._met and Lane.OWN not in self._taken:
            lane = Lane.OWN
        elif now_s >= self._next_s and Lane.TRIAL not in self._taken:
            lane = Lane.TRIAL
        else:
            return None
        self._taken.add(lane)
        return lane

    def tell(self, lane: Lane, run_id: str, journey: str, reason: Reason | None, said: str, now_s: float) -> None:
        """What became of a request that was let through: an answer is `Reason.NONE`; None: nothing was learnt."""
        self._taken.discard(lane)
        if reason is Reason.NONE:
            self._close()
        elif reason in SILENCE:
            self._met_silence(lane, run_id, journey, said, now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until somebody may ask for all."""
        return max(0.0, self._next_s - now_s)

    def _met_silence(self, lane: Lane, run_id: str, journey: str, said: str, now_s: float) -> None:
        self.last = said
        if self.open_since_s is None:
            self._failing[run_id] = journey
            if len(self._failing) < RUNS_IN_A_ROW:
                return
            self.open_since_s, self.failures = now_s, len(self._failing)
            self._met = set(self._failing.values())
            self._next_s = now_s + self._rest_s
            return
        self.failures += 1
        self._met.add(journey)
        if lane is Lane.TRIAL:
            self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
            self._next_s = now_s + self._rest_s

    def _close(self) -> None:
        self.open_since_s, self.failures, self.last = None, 0, ""
        self._failing, self._met, self._rest_s = {}, set(), FIRST_REST_S

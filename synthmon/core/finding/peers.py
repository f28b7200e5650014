"""Which runs a run is compared with: good ones and failing ones of its journey, of its version if there are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synthmon.core.finding.happened import happened
from synthmon.core.finding.predicates import Sequenced
from synthmon.core.finding.suspects import LEAST_SUPPORT, Suspect, suspects
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Record
from synthmon.core.sequence.clocks import Clocks, edges, learn

GOOD = (Outcome.PASSED, Outcome.FLAKY)
BAD = (Outcome.FAILED,)  # what is unknown is ours, and says nothing of the system
GOOD_RUNS, MOST_GOOD, MOST_BAD = 50, 200, 100
ENOUGH_OF_VERSION = 10  # good runs, below which other versions are better than nothing
RUNS_OF_CLOCKS = 200


@dataclass(frozen=True, slots=True)
class Peers:
    """Runs of one journey that tell something, the newest first; `version` is theirs, empty where there are several.

    `found` counts the runs of which these were chosen, with those that have no evidence (any more). `wider` are those
    of all versions, where this one has too few failing runs to suspect anything: what fails seldom outlives a version.
    """

    good: tuple[Record, ...]
    bad: tuple[Record, ...] = ()
    version: str = ""
    found: int = 0
    wider: Peers | None = None

    @property
    def of(self) -> str:
        """Of which version they are, in words."""
        return f"version {self.version[:12]}" if self.version else "all versions"


def peers(good: Sequence[Record], bad: Sequence[Record], version: str, but: str = "", most: int = MOST_GOOD) -> Peers:
    """Of a version if ten good runs of it tell something, else of all; the run `but` is none of the good ones.

    Replays are left out: they are no sample, what they do was chosen.
    """
    telling = [record for record in good if _tells(record) and record.run_id != but]
    failing = [record for record in bad if _tells(record)]
    found = len(good) + len(bad)
    of_version = [record for record in telling if record.version == version]
    everyone = Peers(tuple(telling[:most]), tuple(failing), "", found)
    if version and (len(of_version) >= ENOUGH_OF_VERSION or {r.version for r in telling} <= {version}):
        bad = tuple(record for record in failing if record.version == version)
        few = len(bad) < LEAST_SUPPORT <= len(failing)
        wider = everyone if few and _spans(everyone) else None
        return Peers(tuple(of_version[:most]), bad, version, found, wider)
    return everyone


def _spans(known: Peers) -> bool:
    """Whether good runs enough are of the versions that failed: else what a version does anew seems to be missing."""
    versions = {record.version for record in known.bad}
    return sum(record.version in versions for record in known.good) >= ENOUGH_OF_VERSION


def clocks_of(records: Sequence[Record], skew_s: float) -> Clocks:
    """Bounds of the clocks, learnt from the causes in these runs; `skew_s` where they teach nothing."""
    return learn((edge for record in records[:RUNS_OF_CLOCKS] for edge in edges(record.evidence)), round(skew_s * 1e9))


@dataclass(frozen=True, slots=True)
class Ranking:
    """What goes along with failure in a journey, the most suspicious first, and on how many runs that is based."""

    journey: str
    suspects: tuple[Suspect, ...]
    good: int
    bad: int
    of: str  # `version 3f2a…` or `all versions`

    @property
    def enough(self) -> bool:
        """Whether there are failing runs enough to suspect anything."""
        return self.bad >= LEAST_SUPPORT and self.good > 0

    @property
    def said(self) -> str:
        """How much it is worth, in words."""
        runs = f"{self.bad} failing {'run' if self.bad == 1 else 'runs'} and {self.good} good ones of {self.of}"
        if self.enough:
            return f"based on {runs}"
        need = f"at least {LEAST_SUPPORT} failing runs and a good one, with evidence, are needed"
        return f"not enough yet: {runs}; {need}"


def rank(journey: str, known: Peers, clocks: Clocks) -> Ranking:
    """The suspects of a journey; none while there are fewer than two failing runs that tell something."""
    known = known.wider or known
    good: list[Sequenced] = [happened(record) for record in known.good]
    bad: list[Sequenced] = [happened(record) for record in known.bad]
    ranking = Ranking(journey, (), len(good), len(bad), known.of)
    if not ranking.enough:
        return ranking
    # what does not make failure likelier (Increase, of Liblit and others) is no suspect, however often it held
    found = tuple(suspect for suspect in suspects(good, bad, clocks) if suspect.increase > 0)
    return Ranking(journey, found, len(good), len(bad), known.of)


def _tells(record: Record) -> bool:
    return bool(record.evidence) and record.cause != "replay"

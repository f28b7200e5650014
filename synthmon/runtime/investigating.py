"""Asks the sources of evidence what happened to somebody's request: only reads, and nothing is kept."""

from __future__ import annotations

import asyncio
import secrets as chance
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from synthmon.core.door import OpenEar
from synthmon.core.evidence import (
    MOST_BYTES,
    MOST_HOPS,
    MOST_LINKED_TRACES,
    MOST_RECORDS,
    Blind,
    Evidence,
    Report,
    Wanted,
    Watermark,
)
from synthmon.core.finding.investigation import Investigation, investigate
from synthmon.core.finding.peers import Peers, clocks_of
from synthmon.core.journey import Journey
from synthmon.core.outcomes import Outcome, Reason
from synthmon.core.run import Record
from synthmon.core.sequence.production import judged
from synthmon.core.sources import Source
from synthmon.core.transact.verdict import redacted
from synthmon.language.settings import Settings
from synthmon.runtime.gathering import Gatherer
from synthmon.runtime.house import open_house
from synthmon.runtime.outbound.run_door import RunDoor
from synthmon.store.open import MEMORY

PUSHED = frozenset(("otlp",))
"""Kinds of sources that hear what is sent to them, and keep nothing."""
LONGEST_TEXT = 200


class Unanswerable(Exception):
    """A question that no source can answer; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """What happened to `correlation`, which is any text that systems write down, between two instants.

    `sources` are names of the settings, none: all. For what a source has not told `wait_s` after its lag is not waited.
    """

    correlation: str
    since: datetime
    until: datetime
    sources: tuple[str, ...] = ()
    wait_s: float = 15.0


async def look_into(
    question: Question, settings: Settings, known: Peers | None = None, like: str = "", held_to: Journey | None = None
) -> Investigation:
    """Put the request together from evidence alone, and look into it beside the good runs `known` of a journey.

    `held_to`: the journey whose clauses are judged as if it had been a run.

    Raises `Unanswerable` when there is nobody to ask, or nobody told anything.
    """
    asked, notes = _whom_to_ask(question, settings)
    async with open_house(MEMORY) as house:  # of the stores of the settings none is opened
        lent, _ = house.lend(settings)
        await house.keyring.fetch()
        assert lent.gatherer is not None
        vault = lent.make_vault()
        door = house.doors.open(chance.token_hex(16), "investigate", vault)
        try:
            found = await _follow(question, asked, lent.gatherer, door)
        finally:
            await door.aclose()
    if not found.records:
        said = vault.redact("; ".join((*found.notes(), *notes))) or "all of them answered"
        between = f"between {question.since:%Y-%m-%d %H:%M:%S} and {question.until:%Y-%m-%d %H:%M:%S} UTC"
        raise Unanswerable(f"no source told anything of {question.correlation!r} {between} ({said})")
    record = redacted(_as_record(question, like, found.in_order()), vault)  # what is kept of runs was, when it was kept
    beside = known or Peers(())
    clocks = clocks_of((record, *beside.good), max(source.skew_s for source in asked))
    notes = (*map(vault.redact, found.notes()), *notes)
    if held_to is not None:
        clauses, left_out = judged(held_to.promises, record.evidence, found.told_ns, clocks)
        record = replace(record, clauses=clauses)
        notes = (*notes, *[f"{left_out} of its clauses were not judged: they are about our own steps"] * bool(left_out))
    return await asyncio.to_thread(investigate, record, beside, clocks, ours=False, notes=notes)


def _whom_to_ask(question: Question, settings: Settings) -> tuple[Sequence[Source], tuple[str, ...]]:
    """The sources that can tell of the past, and what is to be said of the others."""
    text = question.correlation
    if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
        raise Unanswerable(f"a correlation id is 1 to {LONGEST_TEXT} printable characters; this is none")
    if question.until <= question.since:
        raise Unanswerable("--until lies before --since: nothing happened in between")
    there = ", ".join(sorted(settings.evidence)) or "none"
    if unknown := [name for name in question.sources if name not in settings.evidence]:
        raise Unanswerable(f"the settings have no source {unknown[0]!r} under `evidence:`. There are: {there}")
    chosen = [source for name, source in settings.evidence.items() if not question.sources or name in question.sources]
    asked = [source for source in chosen if source.word not in PUSHED]
    notes = tuple(
        f"{source.name} was not asked: it hears what is sent to a running daemon ({source.word}), and keeps nothing of "
        "what no run waited for"
        for source in chosen
        if source.word in PUSHED
    )
    if not asked:
        fault = "no source of evidence can tell of the past"
        raise Unanswerable(f"{fault}: name one under `evidence:` in the settings (there: {there}), or --settings FILE")
    return asked, notes


async def _follow(question: Question, sources: Sequence[Source], gatherer: Gatherer, door: RunDoor) -> Gathered:
    """Ask, then ask again for the traces that turned up: one source's lines may name what another keeps."""
    found = Gathered(question)
    traces: tuple[str, ...] = ()
    for _ in range(MOST_HOPS):
        text = question.correlation
        wanted = Wanted(text, text, found.since_ns, (), traces, words=True)
        await _listen(found, sources, wanted, gatherer, door)
        more = [trace for trace in found.traces() if trace not in wanted.own_traces]
        if not more or len(traces) >= MOST_LINKED_TRACES:
            break
        traces = (*traces, *more)[:MOST_LINKED_TRACES]
    return found


async def _listen(
    found: Gathered, sources: Sequence[Source], wanted: Wanted, gatherer: Gatherer, door: RunDoor
) -> None:
    """Until every source has told everything, or will not in time."""
    limit_s = max(source.lag_s for source in sources) + found.question.wait_s
    async with AsyncExitStack() as stack:
        found.begin(source.name for source in sources)
        ears = await asyncio.gather(*(gatherer.watch(source, wanted, door, "", found.take) for source in sources))
        for ear in ears:
            stack.push_async_callback(_close, ear)
        try:
            async with asyncio.timeout(limit_s):
                await found.whole.wait()
        except TimeoutError:
            found.give_up()


async def _close(ear: OpenEar) -> None:
    await ear.aclose()


class Gathered:
    """What sources told so far, each record once; `whole` is set when all have told everything."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.since_ns, self._until_ns = _ns(question.since), _ns(question.until)
        self.records: dict[tuple[str, str, int, str], Evidence] = {}
        self.whole = asyncio.Event()
        self._open: set[str] = set()  # sources that have not told everything
        self.told_ns: dict[str, int] = {}  # source → until when it has told everything
        self._blind: dict[str, str] = {}
        self._late: set[str] = set()
        self._counts: dict[str, str] = {}
        self._size_bytes = 0
        self._cut = False

    def begin(self, sources: Iterable[str]) -> None:
        """These are asked now."""
        self._open = set(sources)
        self.told_ns.clear()
        self.whole.clear()

    def take(self, report: Report) -> None:
        """One thing that a source tells."""
        match report:
            case Evidence() if report.is_count:
                self._counts[report.source] = report.attrs.get("count", "?")
            case Evidence():
                self._keep(report)
            case Watermark():
                self._blind.pop(report.source, None)
                if not self._cut:  # or what is not there was left out by us
                    self.told_ns[report.source] = min(report.at_ns, self._until_ns)
                if report.at_ns >= self._until_ns:
                    self._open.discard(report.source)
            case Blind():
                self._blind[report.source] = report.detail
                self.told_ns.pop(report.source, None)
        if not self._open:
            self.whole.set()

    def give_up(self) -> None:
        """Nobody waits for the rest."""
        self._late |= self._open

    def traces(self) -> Sequence[str]:
        """The traces in which records are, the first first."""
        found = dict.fromkeys(record.trace_id for record in self.in_order())
        return [trace for trace in found if len(trace) == 32]

    def in_order(self) -> tuple[Evidence, ...]:
        """All records by time."""
        return tuple(sorted(self.records.values(), key=lambda record: (record.at_ns, record.clock, record.seq)))

    def notes(self) -> tuple[str, ...]:
        """What could not be seen, and what waits somewhere by now."""
        blind = [f"{source} cannot tell: {detail}" for source, detail in self._blind.items()]
        silent = sorted(self._late - self._blind.keys())
        late = [f"{source} had not told everything in time: wait longer with --wait" for source in silent]
        cut = [f"more than {MOST_RECORDS} records or {MOST_BYTES >> 20} MiB came: the rest is left out"] * self._cut
        return (*blind, *late, *cut, *(f"{source} holds {count} by now" for source, count in self._counts.items()))

    def _keep(self, record: Evidence) -> None:
        key = (record.source, record.happening, record.attempt, record.status)
        if key in self.records or not self.since_ns <= record.at_ns <= self._until_ns:
            return
        self._size_bytes += record.size_bytes
        if len(self.records) >= MOST_RECORDS or self._size_bytes > MOST_BYTES:
            self._cut = True
            self.told_ns.clear()
            return
        self.records[key] = record


def _as_record(question: Question, like: str, evidence: tuple[Evidence, ...]) -> Record:
    """As if it had been a run, of which nothing is known but what others tell."""
    first_ns = min(record.start_ns or record.at_ns for record in evidence)
    last_ns = max(record.at_ns for record in evidence)
    began, ended = (datetime.fromtimestamp(at_ns / 1e9, UTC) for at_ns in (first_ns, last_ns))
    return Record(
        like,
        began,
        Outcome.UNKNOWN,
        Reason.NONE,
        run_id=question.correlation,
        started=began,
        ended=ended,
        took_ms=(last_ns - first_ns) / 1e6,
        evidence=evidence,
        cause="production",
    )


def _ns(instant: datetime) -> int:
    return round(instant.timestamp() * 1e9)

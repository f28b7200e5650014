"""What is found out about a run, as a terminal shows it: lines that can be piped, read from above by who was woken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from synthmon.cli.output import in_one_line
from synthmon.cli.waterfall import MARKS, headline, milliseconds
from synthmon.core.finding.compare import Comparison, Difference, Spent
from synthmon.core.finding.investigation import Investigation
from synthmon.core.finding.peers import Ranking
from synthmon.core.finding.predicates import Predicate
from synthmon.core.finding.story import Line, Missed, Silence, Told
from synthmon.core.finding.verdict import predicate_of
from synthmon.core.run import Record
from synthmon.core.timeline import OWN

MOST_LINES, MOST_DIFFERENCES, MOST_SUSPECTS = 200, 12, 5
MOST_CLAUSES = 5
FINE = frozenset(("", "ok", "unset", "info"))
JOINED = frozenset(("link", "linked trace", "trace", "parent"))
"""Why a record is the run's though it does not bear its id."""
AT, WHO, WHAT = 10, 14, 34


def draw_investigation(found: Investigation) -> RenderableType:
    """The whole view: what happened, what differs, who is suspected, what it comes to, what to do."""
    record = found.record
    parts = [_head(found), Text(), *_story(found.lines), *_promises(record), *_notes(found.notes), Text()]
    if found.comparison.good:
        parts += [*_differences(found.comparison, found.of), Text()]
    if found.ranking.enough:
        here = frozenset(predicate_of(one) for one in found.comparison.differences)
        parts += [*_suspects(found.ranking, MOST_SUSPECTS, here, only_here=True), Text()]
    parts.append(Text.assemble(("Verdict: ", "bold"), found.verdict))
    parts += [Text(f"  {command}", "cyan") for command in found.next]
    return Group(*parts)


def draw_comparison(record: Record, found: Comparison, of: str) -> RenderableType:
    """A run beside others: the differences, and where the time went."""
    return Group(headline(record), Text(), *_differences(found, of), Text(), *_spent(found.spent))


def draw_ranking(found: Ranking, limit: int) -> RenderableType:
    """The suspects of a journey."""
    if not found.enough:
        return Text(f"{found.journey}: {found.said}", "yellow")
    return Group(*_suspects(found, limit))


def _head(found: Investigation) -> Text:
    record = found.record
    if not found.ours:
        since = f"  from {record.started:%Y-%m-%d %H:%M:%S} UTC on" if record.started is not None else ""
        count = f"  {len(record.evidence)} records, not a run of synthmon{since}"
        return Text.assemble((record.run_id, "bold"), (count, "dim"))
    line = headline(record)
    if record.message:
        line.append(f"\n  {record.message}", MARKS[record.outcome][1])
    return line


# the story -----------------------------------------------------------------------------------------------------------


def _story(lines: Sequence[Line]) -> Iterator[Text]:
    last = {clause: line for line in lines if isinstance(line, Told) for clause, _ in line.moment.decides}
    for line in lines[:MOST_LINES]:
        match line:
            case Told():
                yield from _told(line)
                for clause, verdict in line.moment.decides:
                    if verdict != "pass" and last[clause] is line:  # what decided it last
                        yield _remark(*(("✗", clause, "red") if verdict == "fail" else ("?", clause, "magenta")))
            case Silence():
                yield _remark("⋯", line.said, "yellow")
            case Missed():
                yield _remark("∅", line.said, "red")
    if len(lines) > MOST_LINES:
        yield _remark("…", f"and {len(lines) - MOST_LINES} lines more: --json has them", "dim")


def _told(line: Told) -> Iterator[Text]:
    if line.unsure_ms is not None:
        yield _remark("⇅", f"order unknown (clock ±{line.unsure_ms:.3g} ms)", "yellow")
    moment = line.moment
    is_own = moment.source == OWN
    bad = (is_own and bool(moment.status)) or moment.status.lower() not in FINE
    who = OWN if is_own else moment.who or moment.source
    what = f"{moment.who}: {moment.what}" if is_own else moment.what
    text = Text(f"{moment.at_ms:+.0f} ms".rjust(AT) + "  ", "dim" if is_own else "")
    text.append(in_one_line(f"{who:<{WHO}} {what:<{WHAT}}"))
    text.append(in_one_line(f" {moment.status}") if bad else "", "red")
    text.append(f" attempt {moment.attempt}" if moment.attempt > 1 else "", "yellow")
    text.append(f" ×{line.times} until {line.until_ms:+.0f} ms" if line.times > 1 else "")
    text.append(f" {milliseconds(moment.took_ms)}" if moment.took_ms and moment.took_ms >= 0.5 else "", "dim")
    if moment.detail:
        text.append(in_one_line(f" {'' if is_own else '→ '}{moment.detail}"), "red" if is_own else "dim")
    if not is_own:
        told_by = ", ".join((moment.source, *moment.also))
        joined = moment.via.endswith("(key)") or moment.via in JOINED
        text.append(f"  [{told_by}{f', by {moment.via}' if joined else ''}]", "dim")
    yield text


def _remark(mark: str, said: str, style: str) -> Text:
    return Text(f"{mark:>{AT}}  {in_one_line(said)}", style)


def _promises(record: Record) -> Iterator[Text]:
    """The clauses that did not hold, and how many did."""
    broken = [clause for clause in record.clauses if clause.verdict != "pass"]
    if not record.clauses:
        return
    yield Text()
    for clause in broken[:MOST_CLAUSES]:
        mark, style = ("✗", "red") if clause.verdict == "fail" else ("?", "magenta")
        place = clause.place.rpartition("/")[2]
        yield Text.assemble(
            (in_one_line(f"{mark} {clause.text}"), style), in_one_line(f": {clause.said}"), (f"  {place}", "dim")
        )
    if len(broken) > MOST_CLAUSES:
        yield Text(f"  … and {len(broken) - MOST_CLAUSES} more: `synthmon show` has them", "dim")
    held = len(record.clauses) - len(broken)
    yield Text(f"✓ {held} of {len(record.clauses)} clauses held", "green" if not broken else "dim")


def _notes(notes: Sequence[str]) -> Iterator[Text]:
    for note in notes:
        yield Text(in_one_line(f"! {note}"), "yellow")


# what differs --------------------------------------------------------------------------------------------------------


def _differences(found: Comparison, of: str) -> Iterator[Text]:
    beside = f"{found.good} good {'run' if found.good == 1 else 'runs'} ({of})" if of else "the other run"
    if not found.good:
        yield Text("There is no good run to compare with: none passed, or their evidence is no longer kept.", "yellow")
        return
    yield Text(f"What differs from {beside}" if found.differences else f"Nothing differs from {beside}", "bold")
    for place, one in enumerate(found.differences[:MOST_DIFFERENCES]):
        beside = f"  ({one.good_with} of {one.good} good)" if of else ""
        yield _difference(one, beside, is_first=place == 0)
    if len(found.differences) > MOST_DIFFERENCES:
        yield Text(f"  … and {len(found.differences) - MOST_DIFFERENCES} more: --json has them", "dim")


def _difference(one: Difference, beside: str, is_first: bool) -> Text:
    text = Text(f"{one.at_ms:+.0f} ms".rjust(AT) + f"  {one.turn:<10} ")
    text.append(in_one_line(one.said), "bold red" if is_first else "")
    return text.append(f"{beside}{'  ← first divergence' if is_first else ''}", "dim")


def _spent(spent: Sequence[Spent]) -> Iterator[Text]:
    if not spent:
        return
    yield Text("Where the time went, and what is usual (median)", "bold")
    yield Text(f"{'':<{AT}}  {'':<30} {'waited':>20} {'worked':>20} {'in vain':>10}", "dim")
    for one in spent:
        waited = _beside(one.wait_ms, one.usual_wait_ms)
        worked = _beside(one.work_ms, one.usual_work_ms)
        retried = milliseconds(one.retry_ms) if one.retry_ms else ""
        yield Text(f"{'':<{AT}}  {in_one_line(one.name):<30} {waited:>20} {worked:>20} {retried:>10}".rstrip())


def _beside(ms: float | None, usual_ms: float | None) -> str:
    if ms is None:
        return "–"
    return f"{milliseconds(ms)} ({milliseconds(usual_ms)})" if usual_ms is not None else milliseconds(ms)


# who is suspected ----------------------------------------------------------------------------------------------------


def _suspects(
    found: Ranking, limit: int, here: Collection[Predicate | None] = (), only_here: bool = False
) -> Iterator[Text]:
    """`here` are those that hold in the run that is looked into; `only_here`: others are left out, if any holds."""
    yield Text(f"Suspects of {found.journey}, {found.said}", "bold")
    if not found.suspects:
        yield Text("  none: nothing held in two failing runs", "dim")
    ranked = list(enumerate(found.suspects, 1))
    shown = ([one for one in ranked if one[1].predicate in here] if only_here else ()) or ranked
    wide = max((len(one.predicate.text) for _, one in shown[:limit]), default=0)
    if shown:
        yield Text(f"  {'':>2} {'':<{wide}} {'failing':>12} {'good':>12} {'Ochiai':>7} {'Increase':>9}", "dim")
    for place, one in shown[:limit]:
        bad, good = f"{one.bad_with} of {one.bad}", f"{one.good_with} of {one.good}"
        scores = f"{one.ochiai:>7.2f} {one.increase:>+9.2f}"
        mark = "  ← in this run" if one.predicate in here else ""
        yield Text(f"  {place:>2} {one.predicate.text:<{wide}} {bad:>12} {good:>12} {scores}{mark}")

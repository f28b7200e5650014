"""A run as a terminal shows it: the verdict, each step on a common time axis, every check that failed, the clean-up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthmon.cli.output import in_one_line
from synthmon.core.outcomes import Outcome
from synthmon.core.run import Attempt, CheckRecord, Record, StepRecord
from synthmon.core.timeline import OWN, Moment, timeline

WIDTH = 32
MOST_MOMENTS = 80
MARKS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FLAKY: ("≈", "yellow"),
    Outcome.FAILED: ("✗", "red"),
    Outcome.UNKNOWN: ("?", "magenta"),
    Outcome.SKIPPED: ("–", "dim"),
    Outcome.MISSED: ("○", "blue"),
}
_PHASES = (
    ("dns_ms", "blue"),
    ("connect_ms", "cyan"),
    ("tls_ms", "magenta"),
    ("wait_ms", "yellow"),
    ("read_ms", "green"),
)


def draw(record: Record, every_check: bool = False, moments: Sequence[Moment] = ()) -> RenderableType:
    """The whole run; checks that hold are left out unless `every_check`. `moments`: for evidence that is not here."""
    parts: list[RenderableType] = [headline(record)]
    if record.message:
        parts.append(Text(f"  {record.message}", style="red" if record.outcome is Outcome.FAILED else "magenta"))
    if record.replay_of:
        parts.append(Text(f"  a replay of run {record.replay_of}", "dim"))
    if record.steps:
        parts.append(_steps(record))
        parts.append(_legend())
        parts.extend(_findings(record, every_check))
    failed = [check for check in record.verify if every_check or check.ok is not True]
    if failed:
        parts.append(Text("verify"))
        parts.extend(_check(check) for check in failed)
    parts.extend(_clauses(record, every_check))
    parts.extend(Text(f"note  {note}", style="yellow") for note in record.notes)
    if moments or record.evidence:
        parts.append(_timeline(moments or timeline(record)))
    elif record.evidence_forgotten:
        parts.append(Text("Its evidence is no longer kept.", style="dim"))
    if record.debts:
        parts.append(_clean_up(record))
    return Group(*parts)


def headline(record: Record) -> Text:
    """`✓ order-to-ledger  passed  812 ms  run 3f2a…`."""
    mark, style = MARKS[record.outcome]
    line = Text.assemble((f"{mark} {record.journey}", f"bold {style}"), "  ", (str(record.outcome), style))
    if record.reason:
        line.append(f" ({record.reason})", style)
    if record.started is not None:
        line.append(f"  {milliseconds(record.outcome_ms if record.outcome_ms is not None else record.took_ms)}")
        line.append(f"  at {record.started:%H:%M:%S} UTC", "dim")
    if record.run_id:
        line.append(f"  run {record.run_id}", "dim")
    if record.lagged:
        line.append("  measured while synthmon was behind", "yellow")
    return line


def milliseconds(ms: float | None) -> str:
    """`41 ms`, `1.24 s`."""
    if ms is None:
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def _steps(record: Record) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False, pad_edge=True, expand=True)
    widest = max(len(step.id) for step in record.steps)
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, width=min(widest, 24))
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, width=WIDTH)
    table.add_column(no_wrap=True, justify="right", width=17)
    span_ms = max([a.at_ms + a.took_ms for step in record.steps for a in step.attempts], default=1.0) or 1.0
    for step in record.steps:
        mark, style = MARKS[step.outcome]
        what = step.attempts[-1].what if step.attempts else step.message or step.title
        looks = f" ×{len(step.attempts)}" if len(step.attempts) > 1 else ""
        table.add_row(
            Text(mark, style),
            Text(step.id, style),
            Text(what + looks),
            bar(step.attempts, span_ms),
            Text(latency(step)),
        )
    return table


def _findings(record: Record, every_check: bool) -> Iterator[Text]:
    """The checks of each step that are worth a line, under its name."""
    for step in record.steps:
        shown = [check for check in step.checks if every_check or check.ok is False]
        if step.outcome in (Outcome.FAILED, Outcome.UNKNOWN) and not any(c.ok is False for c in shown):
            yield Text(f"  {step.id}: {step.message}", MARKS[step.outcome][1])
        elif shown:
            yield Text(f"  {step.id}", "bold")
        for check in shown:
            yield Text("    ").append_text(_check(check))


def latency(step: StepRecord) -> str:
    """What the step took; for a poll the interval in which it came true."""
    if step.latency_ms is None:
        return ""
    if step.latency_low_ms is None:
        return milliseconds(step.latency_ms)
    return f"{milliseconds(step.latency_low_ms)} – {milliseconds(step.latency_ms)}"


def bar(attempts: Sequence[Attempt], span_ms: float) -> Text:
    """The attempts on the time axis of the run, coloured by phase."""
    cells = [(" ", "")] * WIDTH
    for attempt in attempts:
        begin = attempt.at_ms / span_ms * WIDTH
        cells_wide = max(1.0, attempt.took_ms / span_ms * WIDTH)
        for offset, style in _phase_cells(attempt, cells_wide):
            at = min(WIDTH - 1, int(begin + offset))
            cells[at] = ("▇" if not attempt.reason else "╳", style)
    return Text.assemble(*cells)


def _phase_cells(attempt: Attempt, wide: float) -> Iterator[tuple[float, str]]:
    phases = [(getattr(attempt.timing, name), style) for name, style in _PHASES]
    total = sum(ms for ms, _ in phases)
    for n in range(max(1, round(wide))):
        if attempt.reason:
            yield n, "red"
            continue
        at_ms, style = (n + 0.5) / wide * total, "white"
        for ms, phase_style in phases:
            if total and at_ms <= ms:
                style = phase_style
                break
            at_ms -= ms
        yield n, style


def _legend() -> Text:
    return Text.assemble("   ", *((f"▇ {name.removesuffix('_ms')} ", style) for name, style in _PHASES), style="dim")


def _check(check: CheckRecord) -> Text:
    mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}[check.ok]
    line = Text.assemble((f"{mark} ", style), (f"{check.place}  ", "dim"), check.text)
    if check.values:
        line.append("   " + ", ".join(f"{text} is {value}" for text, value in check.values), style)
    if check.error:
        line.append(f"   ({check.error})", style)
    return line


def _clauses(record: Record, every_check: bool) -> Iterator[Text]:
    """The clauses that did not hold, or all of them."""
    shown = [clause for clause in record.clauses if every_check or clause.verdict != "pass"]
    if shown:
        yield Text("events")
    for clause in shown:
        mark, style = {"pass": ("✓", "green"), "fail": ("✗", "red")}.get(clause.verdict, ("?", "magenta"))
        yield Text.assemble(
            (f"{mark} ", style), (f"{clause.place}  ", "dim"), clause.text, (in_one_line(f"   {clause.said}"), style)
        )


def _timeline(moments: Sequence[Moment]) -> Table:
    """What happened where, by the clock of whoever told it."""
    table = Table(box=None, padding=(0, 1), show_header=False, pad_edge=True)
    for justify in ("right", "left", "left", "left", "left"):
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis")
    for moment in moments[:MOST_MOMENTS]:
        style = "dim" if moment.source == OWN else ""
        what = moment.what + (f"  (attempt {moment.attempt})" if moment.attempt > 1 else "")
        decided = ", ".join(f"{'✗' if verdict == 'fail' else '✓'} {text}" for text, verdict in moment.decides)
        row = (f"{moment.at_ms:+.0f} ms", moment.source, moment.who, what, f"{moment.status}  {decided}".strip())
        table.add_row(*(Text(in_one_line(cell), style) for cell in row))
    if len(moments) > MOST_MOMENTS:
        table.add_row("", "", "", f"… and {len(moments) - MOST_MOMENTS} more", "")
    return table


def _clean_up(record: Record) -> Text:
    lines = Text("clean-up  ", style="dim")
    lines.append(", ".join(f"{debt.path}: {debt.state}" for debt in record.debts))
    for attempt in record.undo:
        lines.append(f"\n    {attempt.what}  {milliseconds(attempt.took_ms)}", "red" if attempt.reason else "dim")
        if attempt.detail:
            lines.append(f"  {attempt.detail}", "red")
    return lines

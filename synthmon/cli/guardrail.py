"""`synthmon guardrail`: from a finding to a promise that is kept watch over."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import FAILED, people, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from synthmon.cli.guard_files import Made
    from synthmon.core.finding.backtest import Backtest
    from synthmon.core.finding.guardrail import Guard
    from synthmon.core.history import History
    from synthmon.core.journey import Journey
    from synthmon.core.run import Record
    from synthmon.language.load import Loaded

FEWEST_GOOD = 10


def guardrail(
    run: Annotated[str, typer.Argument(help="The run that failed: its id, or the beginning of it.", metavar="RUN")],
    clause: Annotated[str, typer.Option("--clause", help="A clause of the probe that the run broke.")] = "",
    suspect: Annotated[str, typer.Option("--suspect", help="What must not be again: 'b<a', 'dup(x)', …")] = "",
    name: Annotated[str, typer.Option("--name", help="What the new clause is called; it is a label of metrics.")] = "",
    probes: Annotated[
        list[str] | None, typer.Option("--probes", help="Where the probe is; default: probes, or here.")
    ] = None,
    good: Annotated[int, typer.Option("--good", min=FEWEST_GOOD, max=1000, help="Good runs to test it on.")] = 50,
    out: Annotated[Path | None, typer.Option("--out", help="The folder for the files.", metavar="DIR")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Change the probe, too.")] = False,
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Write the clause, its alerts, their test and a runbook; only if past runs show that it tells bad from good."""
    from rich.text import Text

    from synthmon.cli.guard_files import guard_files
    from synthmon.cli.stores import ask_history
    from synthmon.core.finding.guardrail import slug
    from synthmon.core.finding.predicates import parse

    if bool(clause) == bool(suspect):
        stop("say what is to be guarded: --clause NAME, or --suspect 'b<a' (`synthmon suspects JOURNEY` lists them)")
    try:
        predicate = parse(suspect) if suspect else None
    except ValueError as error:
        stop(str(error))
    try:
        bad, others = ask_history(settings, store, lambda kept: _runs(kept, run, good))
    except LookupError as error:
        stop(str(error))
    loaded, journey = _journey(bad, probes, settings)
    if len(others) < FEWEST_GOOD:
        stop(f"only {len(others)} good runs of {journey.name} have evidence; at least {FEWEST_GOOD} are needed", FAILED)
    found = (
        _of_clause(journey, clause, bad) if predicate is None else _of_suspect(journey, predicate, bad, others, name)
    )
    tested = _tested(journey, found, bad, others)
    if not tested.holds:
        _refuse(found, tested)
    made = guard_files(loaded, journey, found, bad, tested, new=predicate is not None)
    folder = out or Path(f"guardrail-{slug(journey.name)}-{slug(found.clause.text)}")
    written = _write(folder, made)
    if apply and made.probe is not None:
        _apply(journey.place.file, made.probe, written)
    if as_json:
        applied = apply and made.probe is not None
        print_json({"clause": found.clause.text, "backtest": tested, "files": written, "applied": applied})
        return
    _tell(found, tested, written, made, journey.place.file, applied=apply)
    if (
        len(cases := [one for one in loaded.journeys if one.base_name == journey.base_name]) > 1
        and predicate is not None
    ):
        said = (
            f"The clause holds for all {len(cases)} cases of {journey.base_name}; it was tested on {journey.name} alone"
        )
        people().print(Text(f"{said}, and so are its alerts.", "yellow"), soft_wrap=True)


async def _runs(kept: History, run: str, good: int) -> tuple[Record, Sequence[Record]]:
    from synthmon.core.outcomes import Outcome

    bad = await kept.run(run)
    if bad is None:
        raise LookupError(f"there is no run {run}; `synthmon history --failed` lists those that failed")
    if not bad.evidence:
        raise LookupError(f"no evidence of the run {bad.run_id} is kept, so no clause can be tested on it")
    others = await kept.told(bad.journey, (Outcome.PASSED, Outcome.FLAKY), good)
    return bad, [other for other in others if other.evidence]


def _journey(bad: Record, probes: list[str] | None, settings: list[str] | None) -> tuple[Loaded, Journey]:
    from synthmon.language.load import load

    paths = probes or [folder for folder in ("probes", ".") if Path(folder).is_dir()][:1]
    loaded = load(paths, settings or [])
    journey = next((journey for journey in loaded.journeys if journey.name == bad.journey), None)
    if journey is None:
        say_problems(loaded.errors)
        stop(f"there is no journey {bad.journey!r} in {', '.join(paths)}; name its folder with --probes")
    return loaded, journey


def _of_clause(journey: Journey, name: str, bad: Record) -> Guard:
    """A clause that the probe has already: it needs alerts alone."""
    from synthmon.core.finding.guardrail import Guard

    clauses = journey.promises.clauses
    found = next((clause for clause in clauses if name in (clause.name, clause.text)), None)
    if found is None:
        broken = [judged.text for judged in bad.clauses if judged.verdict == "fail"]
        known = "; ".join(broken or [clause.text for clause in clauses]) or "none"
        stop(f"{journey.name} has no clause {name!r}; {'the run broke' if broken else 'there are'}: {known}")
    return Guard(found, {})


def _of_suspect(journey: Journey, predicate: object, bad: Record, good: Sequence[Record], name: str) -> Guard:
    from synthmon.core.finding.guardrail import guard_of, slug
    from synthmon.core.finding.predicates import Predicate

    assert isinstance(predicate, Predicate)
    try:
        found = guard_of(predicate, journey.promises.events, bad, good, slug(name) if name else "")
    except ValueError as error:
        stop(str(error))
    if there := next((one for one in journey.promises.clauses if found.is_promised_by(one)), None):
        stop(
            f"{there.place}  {journey.name} promises that already: {there.text}. "
            f"--clause {shlex.quote(there.text)} writes its alerts."
        )
    if any(found.clause.name == clause.name for clause in journey.promises.clauses):
        stop(f"{journey.name} has a clause {found.clause.name!r} already; choose another with --name")
    return found


def _tested(journey: Journey, found: Guard, bad: Record, good: Sequence[Record]) -> Backtest:
    from synthmon.core.finding.backtest import back_test
    from synthmon.core.sequence.clocks import edges, learn

    skew_s = max((source.skew_s for source in journey.promises.sources), default=0.01)
    clocks = learn([edge for record in (bad, *good) for edge in edges(record.evidence)], round(skew_s * 1e9))
    events = (*journey.promises.events, *found.events.values())
    return back_test(events, found.clause, bad, good, journey.promises.within_s, clocks)


def _refuse(found: Guard, tested: Backtest) -> NoReturn:
    """Why it is no guard."""
    from synthmon.core.sequence.judgement import Verdict

    said = [f"{found.clause.word} {list(found.clause.events)} does not tell the bad run from the good ones."]
    if tested.bad.verdict is not Verdict.FAIL:
        said.append(f"The bad run would be {tested.bad.verdict}: {tested.bad.said}.")
    for run_id, judged in tested.wrong[:3]:
        said.append(f"The good run {run_id[:12]} would fail: {judged.said}.")
    if len(tested.wrong) > 3:
        said.append(f"So would {len(tested.wrong) - 3} more of {tested.good}.")
    if tested.unknown:
        said.append(f"{tested.unknown} of {tested.good} good runs could not be told.")
    stop(" ".join(said) + " Nothing was written.", FAILED)


def _write(folder: Path, made: Made) -> list[str]:
    from synthmon.cli.guard_files import write_all

    try:
        return write_all(folder, made.files)
    except OSError as error:
        stop(f"{folder} cannot be written: {error}. Name another with --out.")


def _apply(file: str, probe: tuple[str, str], written: list[str]) -> None:
    from synthmon.cli.guard_files import change_probe

    try:
        change_probe(file, probe)
    except OSError as error:
        stop(f"{file} is as it was: {error}. To change it by hand: {_by_hand(file, written)}", FAILED)


def _by_hand(file: str, written: list[str]) -> str:
    """The command that applies the patch."""
    return shlex.join(["patch", "--binary", file, written[0]])


def _tell(found: Guard, tested: Backtest, written: list[str], made: Made, file: str, applied: bool) -> None:
    from rich.text import Text

    from synthmon.cli.guard_files import PATCH, TEST

    unknown = f", {tested.unknown} cannot be told" if tested.unknown else ""
    said = people()
    said.print(Text(f"{found.clause.text}: fails the bad run, and none of {tested.good} good ones{unknown}.", "green"))
    said.print(Text(f"The bad run: {tested.bad.said}.", "dim"), soft_wrap=True)
    if PATCH in made.files:
        screen().print(Text(made.files[PATCH]), soft_wrap=True, end="")
    for path in written:
        said.print(Text(path), soft_wrap=True)
    if PATCH in made.files:
        done = f"{file} is changed; a daemon that watches it takes it up." if applied else ""
        said.print(Text(done or f"--apply changes {file}, or: {_by_hand(file, written)}"), soft_wrap=True)
    test = next(path for path in written if path.endswith(TEST))
    said.print(Text(shlex.join(["promtool", "test", "rules", test])), soft_wrap=True)

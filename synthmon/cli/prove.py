"""`synthmon prove`: whether a journey turns red when something is wrong, tried with one fault after the other."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import FAILED, INVALID, OK, UNKNOWN, people, print_json, screen, stop
from synthmon.cli.run import find_journeys

if TYPE_CHECKING:
    from synthmon.core.journey import Journey
    from synthmon.core.proof.faults import Fault, Good, Proof, Trial
    from synthmon.language.load import Loaded

ELSEWHERE = (
    "If a daemon has that address, stop it while you prove, or prove at an address of your own: a file with another "
    "`hooks: {listen: …}` as one more --settings."
)


def prove(
    what: Annotated[str, typer.Argument(help="A probe file, a folder, or the name of a journey.", metavar="FILE|NAME")],
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", help="Only: drop, delay, error, body, duplicate, reorder, stale.", metavar="F"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, however much is written.")] = False,
    every_run: Annotated[bool, typer.Option("--every-run", help="Make a run even where a rule tells.")] = False,
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Run a journey with a fault in what it is told, and tell which faults left it green; exit 1 if one did.

    Two runs without a fault come first. Every run is a real one, with its own id and identity, and takes back what it
    made; the fault is in our own door, and never in clean-up.
    """
    from synthmon.runtime.inbound import CannotHear

    wanted = _faults(fault or [])
    loaded, journeys = find_journeys(what, settings or [])
    kept = store or (loaded.settings.store if loaded.settings.files else "memory:")
    try:
        proofs, cannot = asyncio.run(_prove(journeys, loaded, kept, wanted, yes, every_run))
    except CannotHear as error:
        stop(f"{error} {ELSEWHERE}")
    if as_json:
        print_json({"proofs": [told(proof) for proof in proofs], "cannot": cannot})
    else:
        for proof in proofs:
            screen().print(draw(proof))
    for said in cannot:
        people().print(Text(said, "red"), soft_wrap=True)
    raise typer.Exit(code_of(proofs, cannot))


def code_of(proofs: Sequence[Proof], cannot: Sequence[str]) -> int:
    """1 when a fault was missed, 2 when it could not be told, 0 when every fault that struck was caught."""
    from synthmon.core.proof.faults import Finding

    if any(proof.of(Finding.MISSED) for proof in proofs):
        return FAILED
    return UNKNOWN if cannot or any(proof.halted for proof in proofs) else OK


def told(proof: Proof) -> dict[str, Any]:
    """A proof for machines."""
    return {
        "journey": proof.journey,
        "good_runs": list(proof.good_runs),
        "halted": proof.halted,
        "ends": dict(_ends(proof)),
        "trials": [
            {
                "at": trial.injection.at,
                "fault": trial.injection.fault,
                "does": trial.injection.text,
                "finding": trial.finding or "not tried",
                "said": trial.said,
                "by_rule": trial.by_rule,
                "run": trial.run_id,
                "took_s": round(trial.took_s, 3),
                "remedy": trial.remedy,
            }
            for trial in proof.trials
        ],
    }


def draw(proof: Proof) -> RenderableType:
    """A line for each place and kind of fault, and in words what was missed and what nobody could tell."""
    from synthmon.core.proof.faults import Finding

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("at", "fault", *Finding):
        table.add_column(column, justify="left" if column in ("at", "fault") else "right")
    counts: dict[tuple[str, str], Counter[str]] = {}
    for trial in proof.trials:
        counts.setdefault((trial.injection.at, trial.injection.fault), Counter())[trial.finding or ""] += 1
    for (at, fault), ends in counts.items():
        style = "red" if ends[Finding.MISSED] else "yellow" if ends[Finding.BLIND] or ends[Finding.NOT_REACHED] else ""
        table.add_row(at, fault, *(str(ends[finding] or "") for finding in Finding), style=style)
    parts: list[RenderableType] = [Text(f"{proof.journey}: {summary(proof)}", "bold"), table]
    for finding in (Finding.MISSED, Finding.BLIND, Finding.NOT_REACHED, Finding.EQUIVALENT):
        parts += [_line(trial, finding) for trial in proof.of(finding)]
    if proof.halted:
        parts.append(Text(f"stopped: {proof.halted}; {len(proof.of(None))} not tried", "yellow"))
    return Group(*parts)


def summary(proof: Proof) -> str:
    """`41 faults: 39 caught, 2 equivalent`."""
    return f"{len(proof.trials)} faults: " + ", ".join(f"{n} {end}" for end, n in sorted(_ends(proof).items()))


def _ends(proof: Proof) -> Counter[str]:
    return Counter(str(trial.finding or "not tried") for trial in proof.trials)


def _line(trial: Trial, finding: str) -> Text:
    injection = trial.injection
    said = f"{injection.at}  {injection.fault}: {injection.text}.  {trial.said}"
    line = Text.assemble((f"{finding}  ", "bold"), said)
    return line.append(f"  → {trial.remedy}", "green") if trial.remedy else line


def _faults(words: Sequence[str]) -> tuple[Fault, ...]:
    from synthmon.core.proof.faults import Fault

    for word in words:
        if word not in tuple(Fault):
            stop(f"--fault {word}: there is no such fault. There are {', '.join(Fault)}.", INVALID)
    return tuple(map(Fault, words)) or tuple(Fault)


async def _prove(
    journeys: Sequence[Journey], loaded: Loaded, store: str, wanted: Sequence[Fault], yes: bool, every_run: bool
) -> tuple[list[Proof], list[str]]:
    """The proofs, and in words what could not be proved."""
    from synthmon.runtime.logs import log_words
    from synthmon.runtime.proving import CannotProve, needs_run, open_prover

    log_words(sys.stderr)
    proofs, cannot = [], []
    async with open_prover(journeys, loaded.settings, store) as prover:
        for journey in journeys:
            if prover.once.stopping:
                break
            people().print(Text(f"{journey.name}: two runs without a fault", "dim"))
            try:
                goods = await prover.good_runs(journey)
            except CannotProve as error:
                cannot.append(f"cannot prove: {error}")
                continue
            trials = prover.plan(journey, goods, wanted)
            if not _agreed(journey, goods[0], trials, yes, every_run):
                cannot.append(f"{journey.name}: nothing was tried; `--yes` lets it write")
                continue
            prover.tell = _Progress(sum(needs_run(trial, not every_run) for trial in trials)).tell
            proofs.append(await prover.prove(journey, goods, trials, rehearse=not every_run))
    return proofs, cannot


class _Progress:
    """A line for each run with a fault when it is over, with how long it took."""

    def __init__(self, runs: int) -> None:
        self._runs, self._done = runs, 0

    def tell(self, trial: Trial) -> None:
        if not trial.run_id:
            return
        self._done += 1
        said = f"{self._done}/{self._runs}  {trial.injection.at}  {trial.injection.fault}: {trial.injection.text}"
        style = "red" if trial.remedy else "dim"
        people().print(Text(f"  {said}  {trial.finding}, {trial.took_s:.1f} s", style), soft_wrap=True)


def _agreed(journey: Journey, good: Good, trials: Sequence[Trial], yes: bool, every_run: bool) -> bool:
    """Show what is about to be run, and ask when more than one write would go out."""
    from synthmon.core.proof.faults import writes_of
    from synthmon.runtime.proving import needs_run

    runs = [trial for trial in trials if needs_run(trial, not every_run)]
    writes = len(runs) * writes_of(journey)
    console = people()
    console.print(Text(f"{journey.name}: {len(trials)} faults, {len(trials) - len(runs)} told by rule, "
                       f"{len(runs)} by a run each (from {len(runs) * good.took_s:.0f} s on), "
                       f"{writes} writes at most, clean-up apart", "bold"), soft_wrap=True)  # fmt: skip
    for trial in runs:
        console.print(Text(f"  {trial.injection.at}  {trial.injection.fault}: {trial.injection.text}", "dim"))
    if yes or writes <= 1:
        return True
    return sys.stdin.isatty() and typer.confirm(f"Send up to {writes} writes to {journey.system}?", err=True)

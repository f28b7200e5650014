"""`synthmon run`: one journey, now, with a live waterfall."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthmon.cli.options import Afar, Json, SettingsFiles, Store, Token
from synthmon.cli.output import FAILED, INVALID, OK, UNKNOWN, people, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from synthmon.core.journey import Journey
    from synthmon.core.run import Record
    from synthmon.language.load import Loaded


def run(
    what: Annotated[str, typer.Argument(help="A probe file, a folder, or the name of a journey.", metavar="FILE|NAME")],
    settings: SettingsFiles = None,
    store: Store = "",
    url: Afar = "",
    token: Token = "",
    times: Annotated[int, typer.Option("--times", min=1, max=1000, help="Run it this often, one after the other.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent; open no socket.")] = False,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit XML report.", metavar="FILE")] = None,
    every_check: Annotated[bool, typer.Option("--checks", help="Show the checks that hold, too.")] = False,
    as_json: Json = False,
) -> None:
    """Run journeys once; exit 0 passed, 1 failed, 2 unknown (ours), 3 invalid."""
    if url:
        if dry_run:
            stop("a daemon has no --dry-run: leave out --url, and the plan is made here")
        records = _run_afar(what, url, token, times, None if as_json else every_check)
        raise typer.Exit(_end(records, junit, as_json))
    loaded, journeys = find_journeys(what, settings or [])
    if dry_run:
        from synthmon.cli.plan import draw_plan

        for journey in journeys:
            screen().print(draw_plan(journey, loaded.settings))
        raise typer.Exit(OK)
    kept = store or (loaded.settings.store if loaded.settings.files else "memory:")
    from synthmon.runtime.once import LetGo

    try:
        records = asyncio.run(_run(journeys, loaded, kept, times, None if as_json else every_check))
    except LetGo:
        stop(_left_behind(kept, store), UNKNOWN)
    raise typer.Exit(_end(records, junit, as_json))


def _left_behind(kept: str, store: str) -> str:
    """What to do about a run that was let go."""
    if kept == "memory:":
        return "stopped at once: what the run made is still there, and only memory knew of it; take it back by hand"
    option = f" --store {kept}" if store else ""
    told = f"`synthmon debts{option}` lists it, `synthmon debts --pay{option}` takes it back"
    return f"stopped at once: what the run made may still be there. {told}"


def _end(records: Sequence[Record], junit: Path | None, as_json: bool) -> int:
    """Tell machines; the exit code."""
    if as_json:
        print_json(records if len(records) > 1 else records[0] if records else None)
    if junit is not None:
        from synthmon.cli.junit import write_junit

        write_junit(junit, records)
    return code_of(records)


def code_of(records: Sequence[Record]) -> int:
    """The exit code of these runs: the worst of them."""
    from synthmon.core.outcomes import Outcome

    outcomes = {record.outcome for record in records}
    if Outcome.FAILED in outcomes:
        return FAILED
    return OK if records and outcomes <= {Outcome.PASSED, Outcome.FLAKY} else UNKNOWN


async def _run(
    journeys: Sequence[Journey], loaded: Loaded, store: str, times: int, every_check: bool | None
) -> list[Record]:
    """The records; drawn live on standard output unless `every_check` is None."""
    from synthmon.runtime.logs import log_words
    from synthmon.runtime.once import run_once

    log_words(sys.stderr)
    if every_check is None:
        return [record async for record in run_once(journeys, loaded.settings, store, times)]
    from synthmon.cli.live import Stage
    from synthmon.cli.waterfall import draw

    records = []
    with Stage(people()) as stage:
        async for record in run_once(journeys, loaded.settings, store, times, stage.show):
            stage.clear()
            screen().print(draw(record, every_check))
            records.append(record)
    return records


def _run_afar(what: str, url: str, token: str, times: int, every_check: bool | None) -> list[Record]:
    """The records of runs that the daemon at `url` makes; drawn as above."""
    from synthmon.cli.waterfall import draw
    from synthmon.runtime.remote import Daemon, Refusal
    from synthmon.runtime.remote_runs import run_afar

    records = []
    try:
        for shown in run_afar(Daemon(url, token), what, times):
            records.append(shown.record)
            if every_check is not None:
                screen().print(draw(shown.record, every_check, shown.moments))
    except Refusal as refusal:
        stop(str(refusal), INVALID if refusal.status == 404 else UNKNOWN)
    return records


def find_journeys(what: str, settings: list[str]) -> tuple[Loaded, Sequence[Journey]]:
    """The journeys of a file or a folder, or those of a name among the probes here; ends the command if none."""
    from synthmon.language.load import load

    is_path = Path(what).exists()
    paths = [what] if is_path else [folder for folder in ("probes", ".") if Path(folder).is_dir()][:1]
    loaded = load(paths, settings)
    journeys = [j for j in loaded.journeys if is_path or what in (j.name, j.base_name)]
    if is_path and loaded.errors:
        say_problems(loaded.problems)
        raise typer.Exit(INVALID)
    if not journeys:
        say_problems(loaded.errors)
        here = ", ".join(sorted({j.base_name for j in loaded.journeys})) or "none"
        stop(f"there is no journey {what!r} in {paths[0]}. There are: {here}.")
    return loaded, journeys

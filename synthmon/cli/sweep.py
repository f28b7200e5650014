"""`synthmon sweep`: finds by tag what runs left behind, when no journal tells of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import FAILED, INVALID, OK, people, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from synthmon.core.journey import Journey, Step
    from synthmon.language.settings import Settings
    from synthmon.runtime.sweeping import Swept


def sweep(
    what: Annotated[list[str], typer.Argument(help="Systems, probe files, or folders of them.", metavar="WHAT…")],
    settings: SettingsFiles = None,
    store: Store = "",
    older_than: Annotated[str, typer.Option("--older-than", help="Leave alone what is younger.")] = "1h",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list; print what would be taken back.")] = False,
    as_json: Json = False,
) -> None:
    """Take back what runs made and no journal tells of; exit 1 if something stays.

    Steps say in their undo how to list (`synthmon explain sweep`). Only what bears exactly a namespace of this
    installation is touched, never while its run may go on or its debt is open.
    """
    from synthmon.language.amounts import seconds
    from synthmon.language.load import load
    from synthmon.runtime.logs import log_words
    from synthmon.runtime.sweeping import least_age_s, places_to_sweep
    from synthmon.store.failures import StoreUnusable

    try:
        asked_s = seconds(older_than)
    except ValueError as error:
        stop(f"--older-than {older_than}: {error}. Write 90s, 30m or 1h.", INVALID)
    log_words(sys.stderr)
    paths = [one for one in what if Path(one).exists()]
    systems = [one for one in what if one not in paths]
    folders = [folder for folder in ("probes", ".") if Path(folder).is_dir()][:1] if systems else []
    loaded = load([*paths, *folders], settings or [])
    if loaded.errors:
        say_problems(loaded.problems)
        raise typer.Exit(INVALID)
    for name in systems:
        if name not in loaded.settings.systems:
            stop(
                f"{name} is no file here and no system of the settings: {', '.join(loaded.settings.systems) or 'none'}"
            )
    places = places_to_sweep(loaded.journeys, systems if not paths else ())
    if not places:
        stop("no undo here has a `sweep:` that says how to list what runs left; `synthmon explain sweep`")
    least_s = least_age_s(loaded.journeys, asked_s)
    if least_s > asked_s:
        people().print(f"only what is older than {least_s:g}s: runs may take that long", style="dim")
    try:
        swept = asyncio.run(_sweep(places, loaded.settings, store or loaded.settings.store, least_s, dry_run))
    except (OSError, StoreUnusable) as error:
        stop(f"nothing was touched: what is owed cannot be read ({error})")
    if as_json:
        print_json([one.told() for one in swept])
    else:
        for one in swept:
            _show(one, dry_run)
    raise typer.Exit(FAILED if any(one.fault for one in swept) else OK)


async def _sweep(
    places: Sequence[tuple[Journey, Step]], settings: Settings, store: str, older_than_s: float, dry: bool
) -> list[Swept]:
    from synthmon.runtime.sweeping import sweep as run_sweep

    return [one async for one in run_sweep(places, settings, store, older_than_s, dry)]


def _show(one: Swept, dry_run: bool) -> None:
    told = ", ".join(f"{number} {fate}" for fate, number in one.count().items() if number) or "nothing listed"
    screen().print(Text.assemble((f"{one.journey}, step {one.step}, in {one.system}", "bold"), f": {told}"))
    for item in one.items:
        if item.undo and (dry_run or item.why):
            line = f"  {'would send' if dry_run else item.fate} {item.undo}   {item.tag}  {item.at:%Y-%m-%d %H:%M:%S}"
            screen().print(Text(f"{line}  {item.why}".rstrip()), soft_wrap=True)
        elif item.why and item.tag:
            screen().print(Text(f"  {item.fate} {item.tag}  {item.why}"), soft_wrap=True)
    if one.fault:
        people().print(Text(f"  {one.fault}", "red"), soft_wrap=True)

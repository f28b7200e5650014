"""`synthmon history`: the last runs."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, screen, stop


def history(
    name: Annotated[str | None, typer.Argument(help="Only this journey.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed or is unknown.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many.")] = 30,
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """List the last slots, newest first."""
    from synthmon.cli.stores import ask_history
    from synthmon.cli.waterfall import MARKS, milliseconds
    from synthmon.core.outcomes import Outcome

    wanted = (Outcome.FAILED, Outcome.UNKNOWN) if failed else ()
    records = ask_history(settings, store, lambda kept: kept.recent(name, wanted, limit))
    if as_json:
        print_json([record.head() for record in records])
        return
    if not records:
        stop("there is nothing in history yet", 0)
    for record in records:
        mark, style = MARKS[record.outcome]
        took = milliseconds(record.took_ms) if record.run_id else f"{record.slots} slots"
        line = f"[{style}]{mark}[/] {record.slot:%Y-%m-%d %H:%M:%S}  {record.journey:<32} {record.outcome:<8} {took:>9}"
        screen().print(f"{line}  {record.run_id[:12]}  [dim]{_plain(record.message)}[/]", soft_wrap=True)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")

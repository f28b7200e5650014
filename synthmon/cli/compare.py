"""`synthmon compare`: one run beside good ones, or beside another."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, screen, stop


def compare(
    run: Annotated[str, typer.Argument(help="A run id, or the beginning of one.", metavar="RUN")],
    other: Annotated[str, typer.Argument(help="Another run instead of the good ones.", metavar="[OTHER]")] = "",
    good: Annotated[int, typer.Option("--good", min=1, max=200, help="Beside how many good runs at most.")] = 50,
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Show where a run diverged from good ones first, all that differs, and where its time went."""
    from synthmon.cli.findings import draw_comparison
    from synthmon.cli.stores import ask_history, find_run, skew_of
    from synthmon.core.finding.compare import Comparison
    from synthmon.core.history import History
    from synthmon.core.run import Record
    from synthmon.web.findings import comparison
    from synthmon.web.insight import Insight

    skew_s = skew_of(settings)

    async def ask(kept: History) -> tuple[Record, Comparison, str]:
        record = await find_run(kept, run)
        if other:
            found = await Insight(kept).compare_two(record, await find_run(kept, other), skew_s)
            return record, found, f"run {other}"
        return record, *await Insight(kept).compare(record, good, skew_s)

    try:
        record, found, of = ask_history(settings, store, ask)
    except LookupError as error:
        stop(str(error.args[0] if error.args else error))
    if as_json:
        print_json(comparison(found, of))
    else:
        screen().print(draw_comparison(record, found, "" if other else of), soft_wrap=True)

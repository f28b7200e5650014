"""`synthmon show`: one run, whole."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, screen, stop


def show(
    run: Annotated[str, typer.Argument(help="A run id, or the beginning of one.", metavar="RUN")],
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Show the waterfall, the phases and every check with its values."""
    from synthmon.cli.stores import ask_history
    from synthmon.cli.waterfall import draw

    try:
        record = ask_history(settings, store, lambda kept: kept.run(run))
    except LookupError as error:
        stop(str(error))
    if record is None:
        stop(f"there is no run {run}; `synthmon history` lists what there is")
    if as_json:
        print_json(record)
    else:
        screen().print(draw(record, every_check=True))

"""`synthmon show`: one run, whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, screen, stop

if TYPE_CHECKING:
    from synthmon.core.run import Record


def show(
    run: Annotated[str, typer.Argument(help="A run id, or the beginning of one.", metavar="RUN")],
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Show the waterfall, the phases and every check with its values."""
    from synthmon.cli.stores import ask_history, store_of
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
        for path in _pictures(record, store_of(settings, store)):
            screen().print(Text.assemble(("picture  ", "dim"), str(path)), soft_wrap=True)


def _pictures(record: Record, store: str) -> list[Path]:
    """The pictures of pages that are still kept."""
    from synthmon.runtime.house import journal_file
    from synthmon.runtime.pictures import pictures_beside

    folder = pictures_beside(journal_file(store)).folder
    names = [attempt.shot for step in record.steps for attempt in step.attempts if attempt.shot]
    return [folder / name for name in names if (folder / name).is_file()] if folder is not None else []

"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Paths = Annotated[list[str], typer.Argument(help="Probe files, or folders of them.", show_default=False)]
SettingsFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--settings",
        help="A settings file; later ones win. Default: synthmon.yaml here or beside the probes.",
        metavar="FILE",
    ),
]
Store = Annotated[str, typer.Option("--store", help="Where history is: sqlite:///file.db, postgresql://… or memory:.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]

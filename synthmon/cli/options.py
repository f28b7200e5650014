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
        envvar="SYNTHMON_SETTINGS",
        show_envvar=True,
    ),
]
Store = Annotated[str, typer.Option("--store", help="Where history is: sqlite:///file.db, postgresql://… or memory:.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Url = Annotated[str, typer.Option("--url", help="Where the daemon is. Default: `listen` of the settings.")]
Token = Annotated[
    str,
    typer.Option("--token", help="Its bearer token.", envvar="SYNTHMON_TOKEN", show_envvar=True, show_default=False),
]
Afar = Annotated[
    str, typer.Option("--url", help="Let the daemon do it that is there, as http://127.0.0.1:9880; not this process.")
]

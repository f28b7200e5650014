"""`synthmon kinds`: which kinds of steps and connections there are, and what each of them needs."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def kinds(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on stdout.")] = False,
) -> None:
    """List steps and connections with what they need."""
    from synthmon.language.catalogue import catalogue

    rows = catalogue()
    if as_json:
        typer.echo(json.dumps([row.__dict__ for row in rows], indent=2))
        return
    width = max(len(row.word) for row in rows) + 2
    for what in dict.fromkeys(row.what for row in rows):
        typer.echo(f"{what}s:")
        for row in (row for row in rows if row.what == what):
            needs = f"   [needs: {row.needs}]" if row.needs else ""
            typer.echo(f"  {row.word:{width}}{row.about}{needs}")
        typer.echo("")
    typer.echo("synthmon explain KIND prints the manual of one.")

"""`synthmon kinds`: which kinds of steps and connections there are, and what each of them needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synthmon.language.catalogue import Row


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
        typer.echo(f"{_several(what)}:")
        for row in (row for row in rows if row.what == what):
            typer.echo(f"  {row.word:{width}}{row.about}{_aside(row)}")
        typer.echo("")
    typer.echo("synthmon explain KIND prints the manual of one.")


def _several(what: str) -> str:
    return what.replace("source", "sources") if what.startswith("source") else f"{what}s"


def _aside(row: Row) -> str:
    """Whence it is, what it lacks, or why it cannot be used."""
    if row.unusable:
        return f"cannot be used: {row.unusable}   [from: {row.origin}]"
    asides = (("from", row.origin), ("needs", row.needs))
    return "".join(f"   [{word}: {text}]" for word, text in asides if text)

"""`synthmon explain`: what a key, a kind of step, a function, a name or a diagnostic means."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.output import stop


def explain(
    topic: Annotated[str | None, typer.Argument(help="A kind, a key, a code; without: what there is.")] = None,
) -> None:
    """Print the manual of one thing."""
    from synthmon.language.explain import explain as tell

    try:
        text = tell(topic)
    except LookupError as error:
        stop(str(error))
    typer.echo(text)

"""`synthmon`: the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon import __version__
from synthmon.cli import (
    check,
    compare,
    debts,
    demo,
    explain,
    guardrail,
    history,
    identities,
    importing,
    init,
    investigate,
    kinds,
    pause,
    prove,
    replay,
    run,
    schema,
    serve,
    show,
    suspects,
    sweep,
)

app = typer.Typer(
    name="synthmon",
    help="Synthetic transaction monitor for systems made of many small async parts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check")(check.check)
app.command("run")(run.run)
app.command("serve")(serve.serve)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("history")(history.history)
app.command("show")(show.show)
app.command("prove")(prove.prove)
app.command("replay")(replay.replay)
app.command("investigate")(investigate.investigate)
app.command("compare")(compare.compare)
app.command("suspects")(suspects.suspects)
app.command("identities")(identities.identities)
app.command("debts")(debts.debts)
app.command("sweep")(sweep.sweep)
app.command("guardrail")(guardrail.guardrail)
app.command("explain")(explain.explain)
app.command("kinds")(kinds.kinds)
app.command("schema")(schema.schema)
app.command("init")(init.init)
app.add_typer(importing.app, name="import")
app.add_typer(demo.app, name="demo")


@app.callback(invoke_without_command=True)
def synthmon(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Run YAML-defined journeys on a schedule, verify their outcome, expose it to Prometheus."""
    if version:
        typer.echo(f"synthmon {__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point of the package."""
    app()

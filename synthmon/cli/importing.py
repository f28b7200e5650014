"""`synthmon import`: a draft of a probe from a curl command, a recording of a browser, or an API description."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthmon.cli.output import INVALID, people, say_problems, stop
from synthmon.core.errors import Invalid

if TYPE_CHECKING:
    from synthmon.imports.draft import Draft

app = typer.Typer(help="Write a draft of a probe from what there is.", no_args_is_help=True)

LARGEST_BYTES = 64 * 1024 * 1024

File = Annotated[str, typer.Argument(help="The file, or - for standard input.")]
Into = Annotated[Path | None, typer.Option("--into", help="Write files into this folder instead of printing.")]


@app.command("curl")
def curl(
    command: Annotated[str, typer.Argument(help="The command in quotes, or - for standard input.")], into: Into = None
) -> None:
    """From a curl command, as a browser copies it."""
    from synthmon.imports.curl import from_curl

    text = _read("-") if command == "-" else command
    try:
        _tell([from_curl(text)], into)
    except Invalid as invalid:
        _refuse(invalid)


@app.command("har")
def har(
    file: File,
    only: Annotated[list[str] | None, typer.Option("--only", help="Take these hosts only.", metavar="HOST")] = None,
    into: Into = None,
) -> None:
    """From a HAR recording: calls in order, ids that travel from one answer to the next request."""
    from synthmon.imports.har import from_har

    try:
        _tell([from_har(_read(file), only or ())], into)
    except Invalid as invalid:
        _refuse(invalid)


@app.command("openapi")
def openapi(
    file: File,
    base: Annotated[
        str | None, typer.Option("--base", help="Where the API is, if the description does not say.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Tags, operation ids or beginnings of paths.")
    ] = None,
    into: Into = None,
) -> None:
    """From an OpenAPI description: what can be made and deleted becomes a whole journey."""
    from synthmon.imports.openapi import from_openapi

    try:
        _tell(from_openapi(_read(file), base, only), into)
    except Invalid as invalid:
        _refuse(invalid)


def _tell(drafts: Sequence[Draft], into: Path | None) -> None:
    from synthmon.imports.draft import render, render_settings

    for draft in drafts:
        if into is None:
            typer.echo(render(draft))
            people().print("Settings that it needs, for synthmon.yaml:\n", style="dim")
            people().print(render_settings(draft), markup=False, soft_wrap=True)
        else:
            _write(into / f"{draft.name}.yaml", render(draft))
            _write(into / f"{draft.name}.settings.yaml", render_settings(draft))
        for note in draft.notes:
            people().print(f"- {note}", markup=False, soft_wrap=True)


def _write(file: Path, text: str) -> None:
    if file.exists():
        stop(f"{file} exists; it is not written over")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    people().print(f"wrote {file}", soft_wrap=True)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read(LARGEST_BYTES + 1) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror}")
    if len(content) > LARGEST_BYTES:
        stop(f"{file} is larger than {LARGEST_BYTES // 1024 // 1024} MiB")
    return content.decode("utf-8", "replace")


def _refuse(invalid: Invalid) -> None:
    say_problems(invalid.problems)
    raise typer.Exit(INVALID)

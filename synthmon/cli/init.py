"""`synthmon init`: a first probe and its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from synthmon.cli.output import INVALID, people


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; default: here.", metavar="DIR")] = Path(),
) -> None:
    """Write a commented first probe and settings; nothing that exists is written over."""
    from synthmon.imports.starter import starter_files

    files = {folder / name: text for name, text in starter_files().items()}
    if existing := [file for file in files if file.exists()]:
        people().print(f"nothing is written: {', '.join(map(str, existing))} exists", style="red", soft_wrap=True)
        raise typer.Exit(INVALID)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        people().print(f"wrote {file}", soft_wrap=True)
    probes = folder / "probes"
    people().print(f"\nNext: synthmon check {probes} && synthmon run {probes / 'first.yaml'}", soft_wrap=True)

"""`synthmon schema`: the JSON Schema of probes, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.output import print_json


def schema(
    settings: Annotated[bool, typer.Option("--settings", help="The schema of synthmon.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of probes; `synthmon schema > synthmon.schema.json` gives completion in an editor."""
    from synthmon.language.json_schema import json_schema, settings_json_schema

    print_json(settings_json_schema() if settings else json_schema())

"""`synthmon suspects`: what goes along with the failures of a journey."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import print_json, screen


def suspects(
    journey: Annotated[str, typer.Argument(help="The name of a journey.", metavar="JOURNEY")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many suspects.")] = 10,
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Rank orders, retries, duplicates, delays and gaps by how well they tell failing runs from good ones."""
    from synthmon.cli.findings import draw_ranking
    from synthmon.cli.stores import ask_history, skew_of
    from synthmon.web.findings import suspects as told
    from synthmon.web.insight import Insight

    skew_s = skew_of(settings)
    found = ask_history(settings, store, lambda kept: Insight(kept).rank(journey, skew_s=skew_s))
    if as_json:
        print_json(told(found, limit))
    else:
        screen().print(draw_ranking(found, limit), soft_wrap=True)

"""`synthmon pause` and `synthmon resume`: the switch of a running daemon."""

from __future__ import annotations

from typing import Annotated

import typer

from synthmon.cli.options import SettingsFiles, Token, Url
from synthmon.cli.output import UNKNOWN, people, stop

Journeys = Annotated[list[str] | None, typer.Argument(help="Names of journeys. Default: all of them.")]


def pause(journeys: Journeys = None, url: Url = "", token: Token = "", settings: SettingsFiles = None) -> None:
    """Stop a running daemon, or some of its journeys: nothing leaves any more but clean-up; survives a restart."""
    _switch("pause", journeys, url, token, settings)


def resume(journeys: Journeys = None, url: Url = "", token: Token = "", settings: SettingsFiles = None) -> None:
    """Let a paused daemon, or some of its journeys, go on."""
    _switch("resume", journeys, url, token, settings)


def _switch(word: str, journeys: list[str] | None, url: str, token: str, settings: list[str] | None) -> None:
    from synthmon.language.load import load
    from synthmon.runtime.remote import Refusal, switch

    at = url or f"http://{load((), settings or ()).settings.listen}"
    try:
        switch(at, tuple(journeys or ()), word, token)
    except Refusal as error:
        stop(str(error), UNKNOWN)
    people().print(f"{word}d: {', '.join(journeys) if journeys else 'everything'}")

"""`synthmon investigate`: what happened in a run, or to somebody's request, told by everything that saw it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from synthmon.cli.options import Json, SettingsFiles, Store
from synthmon.cli.output import INVALID, print_json, say_problems, screen, stop

if TYPE_CHECKING:
    from synthmon.core.finding.investigation import Investigation
    from synthmon.core.finding.peers import Peers
    from synthmon.core.history import History
    from synthmon.core.journey import Journey

_RUN = re.compile(r"[0-9a-fA-F]{6,32}")


def investigate(
    what: Annotated[
        str,
        typer.Argument(
            help="A run id or its beginning; or any correlation id: an order number, a trace id, X-Correlation-ID.",
            metavar="RUN|CORRELATION",
        ),
    ],
    good: Annotated[int, typer.Option("--good", min=1, max=200, help="Beside how many good runs at most.")] = 50,
    since: Annotated[
        str, typer.Option("--since", help="A correlation id: from when on, 1h for an hour ago, or an instant.")
    ] = "",
    until: Annotated[str, typer.Option("--until", help="A correlation id: until when, 5m ago or an instant.")] = "",
    sources: Annotated[
        str, typer.Option("--sources", help="A correlation id: only these sources of the settings, a,b.")
    ] = "",
    like: Annotated[
        str,
        typer.Option(
            "--like",
            help="A correlation id: beside the good runs of this journey, and held to its clauses.",
            metavar="JOURNEY",
        ),
    ] = "",
    wait: Annotated[
        str, typer.Option("--wait", help="A correlation id: how long to wait for a source, beyond its lag.")
    ] = "15s",
    settings: SettingsFiles = None,
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Tell one story of a run: our steps, logs, spans, rows, messages and counts; then what differs from good runs.

    A correlation id of somebody else is looked for at the sources of evidence of the settings. Nothing is sent to the
    system, and nothing is kept.
    """
    from synthmon.cli.findings import draw_investigation
    from synthmon.web.findings import investigation

    asked_of_sources = bool(since or until or sources or like)
    found = None if asked_of_sources or not _RUN.fullmatch(what) else _in_history(what.lower(), good, settings, store)
    if found is None:
        found = _at_sources(what, good, (since or "1h", until, sources, like, wait), settings, store)
    if as_json:
        print_json(investigation(found))
    else:
        screen().print(draw_investigation(found), soft_wrap=True)


def _in_history(run: str, good: int, settings: list[str] | None, store: str) -> Investigation | None:
    """A run that synthmon made; None when history does not know it and sources may."""
    from synthmon.cli.stores import ask_history, has_history, skew_of
    from synthmon.web.insight import Insight

    if not has_history(settings, store):
        return None
    skew_s = skew_of(settings)

    async def ask(kept: History) -> Investigation | None:
        record = await kept.run(run)
        return None if record is None else await Insight(kept).investigate(record, good, skew_s)

    try:
        return ask_history(settings, store, ask)
    except LookupError as error:
        stop(str(error.args[0] if error.args else error))


def _at_sources(
    correlation: str, good: int, asked: tuple[str, str, str, str, str], settings: list[str] | None, store: str
) -> Investigation:
    """Somebody's request, by the evidence alone."""
    from synthmon.cli.stores import ask_history, store_of
    from synthmon.language.load import load
    from synthmon.runtime.investigating import Question, Unanswerable, look_into
    from synthmon.runtime.kept_journeys import kept_journey

    since, until, sources, like, wait = asked
    loaded = load((), settings or ())
    if loaded.errors:
        say_problems(loaded.errors)
        raise typer.Exit(INVALID)
    now = datetime.now(UTC)
    question = Question(
        correlation,
        _instant(since, now, "--since"),
        _instant(until, now, "--until") if until else now,
        tuple(name.strip() for name in sources.split(",") if name.strip()),
        _seconds(wait, "--wait"),
    )

    async def ask(kept: History) -> tuple[Peers, Journey | None]:
        known, version = await _normal(kept, like, good)
        return known, await kept_journey(store_of(settings, store), loaded.settings, version, like)

    known, held_to = ask_history(settings, store, ask) if like else (None, None)
    try:
        return asyncio.run(look_into(question, loaded.settings, known, like, held_to))
    except Unanswerable as error:
        unknown = (
            f"there is no run {correlation} in {store_of(settings, store)}, and " if _RUN.fullmatch(correlation) else ""
        )
        stop(f"{unknown}{error}")


async def _normal(kept: History, journey: str, most: int) -> tuple[Peers, str]:
    """The good runs of a journey, of its newest version if there are enough; and that version, empty without a run."""
    from synthmon.core.finding.peers import GOOD, peers

    good = await kept.told(journey, GOOD, most)
    version = good[0].version if good else ""
    return peers(good, (), version, most=most), version


def _seconds(text: str, option: str) -> float:
    from pydantic_core import PydanticCustomError

    from synthmon.language.amounts import seconds

    try:
        return seconds(text)
    except PydanticCustomError as error:
        stop(f"{option} {text}: {error}. Write 90s, 30m or 1h.", INVALID)


def _instant(text: str, now: datetime, option: str) -> datetime:
    """`1h` is an hour ago; else an instant, in UTC if it names no zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=_seconds(text, option))
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)

"""`synthmon serve`: the daemon."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import typer

from synthmon.cli.options import Paths, SettingsFiles, Store
from synthmon.cli.output import INVALID, people, stop


def serve(
    paths: Paths,
    settings: SettingsFiles = None,
    listen: Annotated[str, typer.Option("--listen", help="host:port of page, API and metrics.")] = "",
    store: Store = "",
    for_: Annotated[str, typer.Option("--for", help="Stop by itself after this long, 60s for instance.")] = "",
    uvloop: Annotated[bool, typer.Option("--uvloop/--no-uvloop", help="Use uvloop if it is installed.")] = True,
) -> None:
    """Run journeys on their schedules until SIGTERM, and serve page, API and metrics."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload that comes before there is anything to reload
    from synthmon.core.errors import Invalid  # with the imports of the daemon, which take a second
    from synthmon.language.amounts import seconds
    from synthmon.runtime.daemon import Wishes
    from synthmon.runtime.logs import log_json
    from synthmon.runtime.open_daemon import serve as run_daemon
    from synthmon.store.failures import StoreUnusable

    log_json(sys.stderr)
    try:
        limit_s = seconds(for_) if for_ else None
    except ValueError as error:
        stop(f"--for {for_}: {error}. Write 60s, 5m or 1h.", INVALID)
    wishes = Wishes(paths, settings or (), listen, store, limit_s)

    def told(address: str) -> None:
        people().print(f"synthmon is at {address}", soft_wrap=True)

    try:
        with asyncio.Runner(loop_factory=_loop_factory(uvloop)) as runner:
            code = runner.run(run_daemon(wishes, told))
    except (OSError, StoreUnusable, Invalid, ValueError) as error:
        stop(f"synthmon cannot start: {error}", INVALID)
    raise typer.Exit(code)


def _loop_factory(wanted: bool):  # type: ignore[no-untyped-def]  # uvloop is optional and its type with it
    if not wanted:
        return None
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop

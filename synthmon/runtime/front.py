"""Opens the page, the API and the metrics on the address of the settings, with the access they name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from synthmon import __version__
from synthmon.core.errors import Invalid, Place
from synthmon.core.status import Monitor
from synthmon.language.documents import read
from synthmon.language.settings import Settings
from synthmon.metrics.board import Board
from synthmon.metrics.exposition import Page
from synthmon.metrics.own import Own
from synthmon.runtime.references import resolve
from synthmon.web import web_config
from synthmon.web.app import create_app
from synthmon.web.auth import Access, check, is_loopback
from synthmon.web.gate import Doors
from synthmon.web.serve import bind, serving


@asynccontextmanager
async def open_front(monitor: Monitor, board: Board, own: Own, settings: Settings) -> AsyncIterator[str]:
    """Serve as long as the block lasts; gives the base URL. Raises `Invalid` for access that is not safe, `OSError`."""
    config = _web_config(settings.web_config)
    place = Place(settings.files[0] if settings.files else "synthmon", path="web")
    access = Access(_tokens(settings.web_token, place), config.users)
    sock = bind(settings.listen)
    try:
        host = settings.listen.rpartition(":")[0]
        check(host, access, place, certified=config.tls is not None and config.tls.client_ca is not None)
        doors = Doors(access, is_loopback(host), config.headers)
        app = create_app(monitor, Page(board, own), doors, __version__)
        tls = config.tls.context() if config.tls else None
    except BaseException:
        sock.close()
        raise
    async with serving(app, sock, tls) as base:
        yield base


def _web_config(file: str) -> web_config.WebConfig:
    if not file:
        return web_config.WebConfig()
    documents, problems = read(file, Path(file).read_text())
    if problems:
        raise Invalid(problems)
    return web_config.read(documents[0].tree if documents else None, file)


def _tokens(reference: str, place: Place) -> tuple[str, ...]:
    if not reference:
        return ()
    values, faults = resolve({"token": reference})
    if faults:
        raise ValueError(f"{place} token  {faults['token']}. Check the reference.")
    return (values["token"],)

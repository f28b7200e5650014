"""Opens the page, the API and the metrics on the address of the settings, with the access they name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

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
from synthmon.web.gate import Doors, Entrance
from synthmon.web.serve import bind, serving

LOOK_EVERY_S = 5.0

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_front(monitor: Monitor, board: Board, own: Own, settings: Settings) -> AsyncIterator[str]:
    """Serve as long as the block lasts; gives the base URL. Raises `Invalid` for access that is not safe, `OSError`."""
    config = _web_config(settings.web_config)
    place = Place(settings.files[0] if settings.files else "synthmon", path="web")
    sock = bind(settings.listen)
    try:
        entrance = Entrance(_doors(settings, config, place))
        app = create_app(monitor, Page(board, own), entrance, __version__)
        tls = config.tls.context() if config.tls else None
    except BaseException:
        sock.close()
        raise
    async with serving(app, sock, tls) as base:
        following = asyncio.create_task(_follow(settings, config, place, entrance, tls))
        try:
            yield base
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(
    settings: Settings, config: web_config.WebConfig, place: Place, entrance: Entrance, tls: ssl.SSLContext | None
) -> None:
    """Take up a changed web config or certificate; a bad one is told, and the one before stays."""
    if not settings.web_config:
        return
    seen = await asyncio.to_thread(_stamps, settings.web_config, config)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = await asyncio.to_thread(_stamps, settings.web_config, config)
        if now == seen:
            continue
        seen = now
        try:
            fresh = await asyncio.to_thread(_web_config, settings.web_config)
            doors = _doors(settings, fresh, place)
            if (fresh.tls is None) != (tls is None):
                raise ValueError("TLS is switched on or off only by a restart.")
            if fresh.tls is not None and tls is not None:
                fresh.tls.context()  # tried apart first: half of a new pair would leave none
                fresh.tls.renew(tls)
        except (Invalid, OSError, ValueError) as error:
            _log.error("the web config cannot be used; the one before stays", fault=str(error))
            continue
        entrance.change(doors)
        config, seen = fresh, await asyncio.to_thread(_stamps, settings.web_config, fresh)
        _log.info("web config read again", file=settings.web_config)


def _doors(settings: Settings, config: web_config.WebConfig, place: Place) -> Doors:
    access = Access(_tokens(settings.web_token, place), config.users)
    host = settings.listen.rpartition(":")[0]
    check(host, access, place, certified=config.tls is not None and config.tls.client_ca is not None)
    return Doors(access, is_loopback(host), config.headers)


def _stamps(file: str, config: web_config.WebConfig) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when one of the files does."""
    return tuple(_stamp(path) for path in (Path(file), *(config.tls.paths if config.tls else ())))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


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

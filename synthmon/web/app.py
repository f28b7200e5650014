"""The web application: the metrics page, health, the API and the pages behind one gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from synthmon.core.status import Monitor
from synthmon.web import api, openapi
from synthmon.web.answers import Json, ProblemJson
from synthmon.web.gate import Doors, Entrance, Gate
from synthmon.web.insight import Insight
from synthmon.web.pages import Now, Pages, templates

WantedT = TypeVar("WantedT", bound="Wanted")


class Wanted(Protocol):
    """A form of the metrics page."""

    @property
    def headers(self) -> dict[str, str]: ...


class MetricsPage(Protocol[WantedT]):
    """The metrics page (`synthmon.metrics.exposition.Page`)."""

    def negotiate(self, accept: str, accept_encoding: str) -> WantedT:
        """The form that a client can read."""
        ...

    def render(self, wanted: WantedT) -> AsyncIterator[bytes]:
        """Its bytes, in slices."""
        ...


def create_app(
    monitor: Monitor,
    metrics: MetricsPage[WantedT],
    doors: Doors | Entrance | None = None,
    version: str = "0",
    now: Now | None = None,
) -> Starlette:
    """Put the web together. The caller binds it where `doors` says it is (see `web.auth.check`)."""
    insight = Insight(monitor.history)
    pages = Pages(monitor, now or _utc_now, version, templates(), insight)
    document = openapi.document(version)
    entrance = doors if isinstance(doors, Entrance) else Entrance(doors or Doors())

    async def scrape(request: Request) -> Response:
        wanted = metrics.negotiate(_all(request, "accept"), _all(request, "accept-encoding"))
        return StreamingResponse(metrics.render(wanted), headers=wanted.headers)

    async def ready(request: Request) -> Response:
        is_ready, facts = monitor.ready()
        return Json({"ready": is_ready, **facts}, 200 if is_ready else 503)

    async def describe(request: Request) -> Response:
        return Json(document)

    app = Starlette(
        routes=[
            Route("/metrics", scrape),
            Route("/healthz", _alive),
            Route("/readyz", ready),
            Route(f"{api.PREFIX}/openapi.json", describe),
            *api.routes(monitor),
            *pages.routes(),
            Mount("/static", _Static(packages=[("synthmon.web", "static")])),
        ],
        middleware=[Middleware(Gate, entrance=entrance), Middleware(_PackedPages)],
        exception_handlers={404: _not_found, 405: _wrong_method, Exception: _broken},
    )
    app.state.insight = insight
    return app


class _PackedPages:
    """gzip for everything but the metrics page, which packs itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._packing = GZipMiddleware(app, minimum_size=1024, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or scope["path"] == "/metrics"
        await (self._app if plain else self._packing)(scope, receive, send)


class _Static(StaticFiles):
    """Our own files; a browser asks again every time and mostly hears 304."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """One file."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


async def _alive(request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _not_found(request: Request, error: Exception) -> Response:
    return ProblemJson(404, "Not here", "See /api/v1/openapi.json for what can be asked, or / for the page.")


async def _wrong_method(request: Request, error: Exception) -> Response:
    return ProblemJson(405, "Wrong method", f"{request.method} cannot be done here.")


async def _broken(request: Request, error: Exception) -> Response:
    return ProblemJson(500, "synthmon is at fault", "The log tells what happened.")


def _all(request: Request, name: str) -> str:
    return ",".join(request.headers.getlist(name))


def _utc_now() -> datetime:
    return datetime.now(UTC)

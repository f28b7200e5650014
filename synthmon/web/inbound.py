"""The door for others: calls on the addresses of hooks, and OTLP; a listener of its own, apart from the pages."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synthmon.core.inbound import Reply
from synthmon.web.bodies import BodyTooLarge, Gone, NoRoom, Room
from synthmon.web.collector import Collector
from synthmon.web.gate import SAFETY_HEADERS, add_headers
from synthmon.web.switchboard import NO_ROOM, Line, Switchboard

MOST_CALL_BYTES = 1024 * 1024
ROOM_BYTES = 16 * 1024 * 1024

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))  # RFC 9110, 5789
_NOT_FOUND = Reply(404, body=b"Nobody waits for a call here.\n")
_TOO_LARGE = Reply(413, body=b"At most 1 MiB is taken.\n")
_HEADERS = SAFETY_HEADERS | {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}


def create_inbound(switchboard: Switchboard, collector: Collector) -> Starlette:
    """Put the door together; hooks and OTLP share the room for bodies."""
    room = Room(ROOM_BYTES)
    calls = _Calls(switchboard, room)
    app = Starlette(
        routes=[
            Route("/h/{token}", calls),
            Route("/h/{token}/{more:path}", calls),
            *collector.routes(room),
            Route("/healthz", _alive),
        ],
        middleware=[Middleware(_Safely)],
        exception_handlers={404: _nothing, 405: _wrong_method, Exception: _broken},
    )
    app.router.redirect_slashes = False  # it would answer with the host that the caller wrote
    return app


class _Calls:
    """One call: what can be refused is refused before its body is read."""

    def __init__(self, switchboard: Switchboard, room: Room) -> None:
        self._switchboard, self._room = switchboard, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it."""
        request = Request(scope, receive)
        line = self._switchboard.find(request.path_params["token"])
        reply = _NOT_FOUND if line is None else await self._answer(request, line)
        await _response(reply)(scope, receive, send)

    async def _answer(self, request: Request, line: Line) -> Reply:
        refuse, awaited = self._switchboard.refuse, line.hook.method
        if request.method != awaited:
            came = request.method if request.method in _METHODS else "another method"
            reply = Reply(405, {"allow": awaited}, b"Another method is awaited here.\n")
            return refuse(line, "method", f"{came} instead of {awaited}", reply)
        headers = _headers(request)
        stamp = self._switchboard.precheck(line, headers)
        if isinstance(stamp, Reply):
            return stamp
        try:
            async with self._room.body(request, MOST_CALL_BYTES) as body:
                source = request.client.host if request.client else ""
                path, query = _path_after(request), request.scope["query_string"].decode("latin-1")
                return self._switchboard.take(line, stamp, request.method, path, query, headers, body, source)
        except BodyTooLarge:
            return refuse(line, "too_large", f"larger than {MOST_CALL_BYTES >> 20} MiB", _TOO_LARGE)
        except Gone:
            return refuse(line, "cut_short", "its body was cut short", NO_ROOM)
        except NoRoom:
            return refuse(line, "no_room", "no room for it", NO_ROOM)


class _Safely:
    """The headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            add_headers(message, _HEADERS)
            await send(message)

        await self._app(scope, receive, send_safely)


def _headers(request: Request) -> Mapping[str, str]:
    joined: dict[str, str] = {}
    for name, text in request.headers.items():
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined


def _path_after(request: Request) -> str:
    """What the caller put behind the address, as it was written."""
    written: bytes = request.scope.get("raw_path") or b""
    parts = written.decode("latin-1").split("/", 3)
    return "/" + parts[3] if len(parts) > 3 else ""


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status, dict(reply.headers))
    if "content-type" not in response.headers and reply.body:
        response.headers["content-type"] = "text/plain; charset=utf-8"
    return response


async def _alive(request: Request) -> Response:
    return PlainTextResponse("alive\n")


async def _nothing(request: Request, error: Exception) -> Response:
    return _response(_NOT_FOUND)


async def _wrong_method(request: Request, error: Exception) -> Response:
    return PlainTextResponse("Another method is awaited here.\n", 405)


async def _broken(request: Request, error: Exception) -> Response:
    return PlainTextResponse("synthmon is at fault; the log tells what happened.\n", 500)

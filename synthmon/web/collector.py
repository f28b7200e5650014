"""A receiver of OTLP over HTTP: spans and logs come in, whoever listens hears of them.

Specification: https://opentelemetry.io/docs/specs/otlp/#otlphttp. A request with neither a media type of OTLP nor a
token is refused, so that no page of somebody else's can send one from a browser.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from synthmon.core.inbound import Hear, Telemetry
from synthmon.web.auth import Access, Doorkeeper, is_loopback
from synthmon.web.bodies import BodyTooLarge, Gone, NoRoom, Room
from synthmon.web.gate import host_of
from synthmon.web.otlp import Export, TooLarge, Unreadable, decode, unpack

MOST_PACKED_BYTES = 1024 * 1024
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_TOKEN_NEEDED = "Set hooks.token in the settings, and send it as a bearer token."


class Collector:
    """Hands on what comes in. `access` without tokens: anybody may send if `local_only`, else nobody may."""

    def __init__(
        self,
        access: Access | None = None,
        local_only: bool = True,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access, self._local_only = access or Access(), local_only
        self._doorkeeper = Doorkeeper(self._access)
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._ears: list[Hear] = []
        self._one_at_a_time = asyncio.Semaphore(1)  # what is unpacked and read may take 60 MB

    def subscribe(self, deliver: Hear) -> Callable[[], None]:
        """Hear of everything from now on; call what is answered to hear no more."""
        ear = _Ear(deliver)
        self._ears.append(ear)
        return lambda: self._ears.remove(ear) if ear in self._ears else None

    def routes(self, room: Room) -> list[BaseRoute]:
        """`/v1/traces` and `/v1/logs`."""
        return [self._route(room, carries) for carries in ("traces", "logs")]

    def _route(self, room: Room, carries: str) -> Route:
        async def receive(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if (refusal := await self._refusal(request, kind)) is not None:
                return refusal
            try:
                async with room.body(request, MOST_PACKED_BYTES) as body:
                    packed = request.headers.get("content-encoding", "identity").strip().lower() == "gzip"
                    export = await self._read(body, packed, kind == _JSON, carries)
            except (BodyTooLarge, TooLarge) as error:
                return _fault(kind, 413, str(error) or f"At most {MOST_PACKED_BYTES} bytes are taken.")
            except Unreadable as error:
                return _fault(kind, 400, str(error))
            except (NoRoom, Gone):
                return _come_again(kind)
            return self._hand_on(export, kind, carries)

        return Route(f"/v1/{carries}", receive, methods=["POST"])

    async def _refusal(self, request: Request, kind: str) -> Response | None:
        if self._access.anonymous:
            if not self._local_only or not is_loopback(host_of(request.headers.get("host", ""))):
                return _fault(kind, 401, _TOKEN_NEEDED)
        elif not await self._doorkeeper.admits(request.headers.get("authorization", "")):
            answer = _fault(kind, 401, "Send the bearer token of hooks.token.")
            answer.headers["www-authenticate"] = self._doorkeeper.asks_for
            return answer
        if kind not in (_JSON, _PROTOBUF):
            return _fault(kind, 415, f"Send {_PROTOBUF} or {_JSON}.")
        if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", "gzip", ""):
            return _fault(kind, 415, "Only gzip is unpacked.")
        return None

    async def _read(self, body: bytes, packed: bool, is_json: bool, carries: str) -> Export:
        async with self._one_at_a_time:
            return await asyncio.to_thread(lambda: decode(unpack(body) if packed else body, is_json, carries))

    def _hand_on(self, export: Export, kind: str, carries: str) -> Response:
        at = datetime.fromtimestamp(self._wall_s(), UTC)
        told = Telemetry(export.spans, export.logs, self._monotonic_s(), at, export.dropped)
        had_room = [hear(told) for hear in tuple(self._ears)]
        # who had room has it twice when it is sent again: a span is known by its id
        if not all(had_room):
            return _come_again(kind)
        return _taken(kind, carries, export.dropped)


class _Ear:
    """A listener that is another one each time it subscribes."""

    def __init__(self, deliver: Hear) -> None:
        self._deliver = deliver

    def __call__(self, told: Telemetry) -> bool:
        return self._deliver(told)


def _taken(kind: str, carries: str, dropped: int) -> Response:
    """The specification's `Export…ServiceResponse`, with a partial success if records were dropped."""
    why = "not to be understood, or too many"
    if kind == _JSON:
        rejected = "rejectedSpans" if carries == "traces" else "rejectedLogRecords"
        told = {"partialSuccess": {rejected: str(dropped), "errorMessage": why}} if dropped else {}
        return Response(orjson.dumps(told), media_type=_JSON)
    if not dropped:
        return Response(b"", media_type=_PROTOBUF)
    partial = b"\x08" + _varint(dropped) + b"\x12" + _varint(len(why)) + why.encode()
    return Response(b"\x0a" + _varint(len(partial)) + partial, media_type=_PROTOBUF)


def _fault(kind: str, status: int, message: str) -> Response:
    """A `google.rpc.Status` in the sender's format."""
    if kind != _PROTOBUF:
        return Response(orjson.dumps({"message": message}), status, media_type=_JSON)
    text = message.encode()
    return Response(b"\x12" + _varint(len(text)) + text, status, media_type=_PROTOBUF)


def _come_again(kind: str) -> Response:
    answer = _fault(kind, 503, "No room at the moment: come again.")
    answer.headers["retry-after"] = "1"
    return answer


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)

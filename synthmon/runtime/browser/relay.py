"""One connection of the browser: each request is looked at, marked, and sent on; its answer comes back as it is."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import h11
import httpx

from synthmon.core.headers import CONNECTION
from synthmon.runtime.browser.passage import Headers, Passage, Trip
from synthmon.runtime.outbound.gate import Withdrawn
from synthmon.runtime.outbound.guard import READS, Refused
from synthmon.runtime.outbound.stamps import Stamps, TooLarge

HEAD_BYTES = 256 * 1024
CHUNK_BYTES = 64 * 1024

_KEPT = frozenset(
    ("content-length", "transfer-encoding", "te", "trailer", "expect")
)  # they frame what goes on as it is
_OURS = CONNECTION - _KEPT
_AWAY = _OURS | {"alt-svc"}  # no other way than this one is to be learnt


class _Left(Exception):
    """The browser no longer wants it: that is nobody's fault."""


class Side:
    """One of the two sides: a stream, and what h11 makes of it (RFC 9112)."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], http: h11.Connection) -> None:
        self.reader, self.writer, self.http = *streams, http
        self.heard = False  # anything, since it was last asked

    async def next(self) -> h11.Event | None:
        """What it says next; None once it has nothing to say before it is answered. Raises `h11.RemoteProtocolError`,
        `OSError`."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            data = await self.reader.read(CHUNK_BYTES)
            self.heard = self.heard or bool(data)
            self.http.receive_data(data)
        return event if isinstance(event, h11.Event) else None

    async def send(self, event: h11.Event) -> None:
        """Say it. Raises `h11.LocalProtocolError`, `OSError`."""
        if data := self.http.send(event):
            self.writer.write(data)
            await self.writer.drain()

    def hang_up(self) -> None:
        """At once."""
        self.writer.transport.abort()


class Relay:
    """Of one connection, to one place of a system at a time."""

    def __init__(self, browser: Side, passage: Passage) -> None:
        self._browser, self._passage = browser, passage
        self._system: Side | None = None
        self._origin = ""
        self._stamps = Stamps()

    async def run(self, base: str, first: h11.Request | None = None) -> None:
        """Until either side hangs up; `base` is in front of targets that are not absolute."""
        try:
            while request := first or await self._next_request():
                first = None
                if not await self._exchange(request, httpx.URL(base + request.target.decode("ascii"))):
                    return
        finally:
            for side in (self._browser, self._system):
                if side is not None:
                    side.hang_up()

    async def _next_request(self) -> h11.Request | None:
        with suppress(h11.RemoteProtocolError, OSError):  # whatever it says, there is nobody to tell
            event = await self._browser.next()
            return event if isinstance(event, h11.Request) else None
        return None

    async def _exchange(self, request: h11.Request, url: httpx.URL) -> bool:
        """One request and its answer; whether another may follow on the connection."""
        method = request.method.decode("ascii")
        headers = [(name.decode("ascii"), value.decode("latin-1")) for name, value in request.headers]
        try:
            trip = self._passage.begin(method, url, headers)
        except (Refused, Withdrawn):
            return False
        began = self._browser.http.our_state
        try:
            system = await self._side_of(trip)
            await self._send_on(request, trip, headers, system)
            return await self._bring_back(trip, system)
        except _Left:
            return False
        except (h11.ProtocolError, TooLarge, OSError, Refused) as error:
            if self._system is not None and self._system.heard and not trip.stamps.first_byte_ns:
                trip.stamps.first_byte_ns = time.monotonic_ns()
            self._passage.failed(trip, _as_told(error))
            if method not in READS and self._browser.http.our_state is began:
                await self._say_unknown()  # a browser that gets no byte at all sends it again by itself
            return False

    async def _side_of(self, trip: Trip) -> Side:
        origin = f"{trip.url.scheme}://{trip.url.netloc.decode('ascii')}"
        if self._system is not None and origin == self._origin:
            trip.stamps = replace(self._stamps, reused=True, sent_ns=0, first_byte_ns=0, began_ns=time.monotonic_ns())
            return self._system
        if self._system is not None:
            self._system.hang_up()
        streams = await self._passage.connect(trip)
        self._stamps, self._origin = trip.stamps, origin
        self._system = Side(streams, h11.Connection(h11.CLIENT, HEAD_BYTES))
        return self._system

    async def _send_on(self, request: h11.Request, trip: Trip, headers: Headers, system: Side) -> None:
        kept = [(name, value) for name, value in headers if name not in _OURS or name == "upgrade"]
        upgrade = [("connection", "upgrade")] if any(name == "upgrade" for name, _ in kept) else []
        ready = [("host", trip.url.netloc.decode("ascii")), *self._passage.outgoing(trip.url, kept), *upgrade]
        raw = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in ready]
        trip.stamps.written, trip.stamps.sent_ns, system.heard = True, time.monotonic_ns(), False
        await system.send(h11.Request(method=request.method, target=trip.url.raw_path, headers=raw))
        while data := await self._rest():
            await system.send(data)
        await system.send(h11.EndOfMessage())

    async def _rest(self) -> h11.Data | None:
        """More of the body of the request; None at its end."""
        try:
            event = await self._browser.next()
        except (OSError, h11.ProtocolError) as error:
            raise _Left from error
        if isinstance(event, h11.Data | h11.EndOfMessage):
            return event if isinstance(event, h11.Data) else None
        raise _Left

    async def _tell(self, event: h11.Event) -> None:
        try:
            await self._browser.send(event)
        except (OSError, h11.ProtocolError) as error:
            raise _Left from error

    async def _bring_back(self, trip: Trip, system: Side) -> bool:
        browser = self._browser
        while not isinstance(event := await system.next(), h11.EndOfMessage):
            match event:
                case h11.InformationalResponse(status_code=101):
                    self._passage.answered(trip, 101, _texts(event))
                    await self._tell(h11.InformationalResponse(status_code=101, headers=event.headers.raw_items()))
                    await self._pipe(system)
                    return False
                case h11.Response():
                    self._passage.answered(trip, event.status_code, _texts(event))
                    kept = [(n, v) for n, v in event.headers.raw_items() if n.decode("ascii").lower() not in _AWAY]
                    await self._tell(h11.Response(status_code=event.status_code, headers=kept, reason=event.reason))
                case h11.Data():
                    self._passage.came(len(event.data))
                    await self._tell(h11.Data(data=event.data))
                case h11.InformationalResponse():
                    pass  # the answer itself is still to come
                case _:
                    raise h11.RemoteProtocolError("it closed the connection in the middle of its answer")
        trip.stamps.done_ns = time.monotonic_ns()
        await self._tell(h11.EndOfMessage())
        if any(
            side.http.our_state is not h11.DONE or side.http.their_state is not h11.DONE for side in (browser, system)
        ):
            return False
        browser.http.start_next_cycle()
        system.http.start_next_cycle()
        return True

    async def _pipe(self, system: Side) -> None:
        """Bytes both ways, as after the opening of a WebSocket (RFC 6455 4)."""

        async def carry(source: Side, to: Side) -> None:
            data = source.http.trailing_data[0]
            while data or (data := await source.reader.read(CHUNK_BYTES)):
                self._passage.came(len(data))
                to.writer.write(data)
                await to.writer.drain()
                data = b""

        ways = [asyncio.create_task(carry(*way)) for way in ((self._browser, system), (system, self._browser))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _say_unknown(self) -> None:
        with suppress(h11.LocalProtocolError, OSError):  # it may be gone
            await self._browser.send(h11.Response(status_code=502, headers=[("content-length", "0")]))
            await self._browser.send(h11.EndOfMessage())


def _texts(event: h11.Response | h11.InformationalResponse) -> Headers:
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in event.headers]


def _as_told(error: Exception) -> Exception:
    """As other requests tell it: an answer that is not HTTP, or no byte of one."""
    if not isinstance(error, h11.ProtocolError):
        return error
    return httpx.RemoteProtocolError(str(error))

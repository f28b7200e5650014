"""The one door out: every request of a run passes here, is guarded, limited, stamped, timed, and read whole."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import httpx

from synthmon.core.door import Envelope, HttpAnswer, HttpRequest, Trouble
from synthmon.core.headers import secrets_of
from synthmon.core.secrets import Vault
from synthmon.core.system import System
from synthmon.core.timing import Timing
from synthmon.runtime.outbound.body import ACCEPT_ENCODING, read_whole
from synthmon.runtime.outbound.correlation import Marks
from synthmon.runtime.outbound.gate import Gate, Ticket, Withdrawn
from synthmon.runtime.outbound.guard import Guard, Refused
from synthmon.runtime.outbound.lag import LoopLag
from synthmon.runtime.outbound.names import LookUp, guarded
from synthmon.runtime.outbound.opening import opened
from synthmon.runtime.outbound.redirects import MOST, STATUSES, Astray, Hop, next_hop
from synthmon.runtime.outbound.stamps import Resolve, Stamps
from synthmon.runtime.outbound.timing import timing_of
from synthmon.runtime.outbound.trouble import Scene, classify

MakeTransport = Callable[[Resolve, ssl.SSLContext], httpx.AsyncBaseTransport]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The most that is read of one answer, in bytes; the body counts before and after decompression."""

    head_bytes: int = 64 * 1024
    body_bytes: int = 10 * 1024 * 1024


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # for plain HTTP: loading certificates takes long, and none are asked


@dataclass(frozen=True, slots=True)
class Site:
    """A system and what all runs share about it."""

    system: System
    guard: Guard
    gate: Gate
    tls: Callable[[], ssl.SSLContext]
    make_transport: MakeTransport


@dataclass(slots=True, eq=False)
class _Trip:
    """One act on its way: what has been gathered so far."""

    deadline_ns: int
    where: str
    began_ns: int
    secure: bool = False
    ours_ns: int = 0
    limits: str = ""
    hops: list[Stamps] = field(default_factory=list)
    ticket: Ticket | None = None
    limit: asyncio.Timeout | None = None
    withdrawn: bool = False

    @property
    def sent(self) -> bool:
        """Whether a byte of it may have left."""
        return any(hop.written for hop in self.hops)


@dataclass(frozen=True, slots=True)
class _Got:
    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes


class HttpDoor:
    """The door of one run (`core.door.Door`); its connections live as long as it does. Made by `doors.Doors`."""

    def __init__(
        self,
        marks: Marks,
        vault: Vault,
        find_site: Callable[[str], Site],
        look_up: LookUp,
        lag: LoopLag,
        sizes: Sizes,
    ) -> None:
        self._marks, self._vault, self._find_site = marks, vault, find_site
        self._look_up, self._lag, self._sizes = look_up, lag, sizes
        self._transports: dict[tuple[str, bool], httpx.AsyncBaseTransport] = {}
        self._asked = 0
        self._trips: set[_Trip] = set()  # of what is not clean-up
        self._withdrawn = False

    async def http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        """Send one request, follow what may be followed, read all of the answer; see `core.door.Door.http`."""
        began_ns = time.monotonic_ns()
        trip = _Trip(began_ns + int(envelope.timeout_s * 1e9), envelope.system or "the target", began_ns)
        try:
            async with asyncio.timeout(envelope.timeout_s) as trip.limit:
                if not envelope.clean_up:
                    self._leaving(trip)
                return await self._travel(request, envelope, trip)
        # whatever goes wrong out there becomes a value, and a defect of ours too: it costs one run, not the daemon
        except Exception as error:  # noqa: BLE001
            trouble = self._trouble(error, envelope, trip)
            if trip.ticket is not None:
                trip.ticket.troubled(trouble.reason, trouble.detail)
            return trouble
        finally:
            self._trips.discard(trip)
            if trip.ticket is not None:
                trip.ticket.dropped()

    def withdraw(self) -> None:
        """See `core.door.Door.withdraw`: what waits or still connects is called back, what has left is waited for."""
        self._withdrawn = True
        for trip in self._trips:
            if not trip.sent and trip.limit is not None and not trip.limit.expired():
                trip.withdrawn = True
                trip.limit.reschedule(asyncio.get_running_loop().time())

    async def aclose(self) -> None:
        """Close every connection of the run."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            await transport.aclose()

    def redact(self, text: str) -> str:
        """The text with `•••` for every secret of the run, in any form that it may take."""
        return self._vault.redact(text)

    async def _travel(self, request: HttpRequest, envelope: Envelope, trip: _Trip) -> HttpAnswer:
        site = self._find_site(envelope.system)
        hop = opened(request, site.system.base_at(envelope.location), self._vault)
        for _ in range(MOST + 1):
            got = await self._ask(hop, envelope, site, trip)
            for secret in (secret for header in got.headers for secret in secrets_of(*header)):
                self._vault.hide(secret)  # a cookie or a token that the target hands out is no less secret than ours
            location = next((value for name, value in got.headers if name == "location"), "")
            if not (site.system.follow and got.status in STATUSES and location):
                url = self._vault.redact(str(hop.url))
                return HttpAnswer(got.status, got.headers, got.content, self._timing(trip), url)
            hop = next_hop(hop, got.status, location, self._vault.holds)
        raise Astray(f"it redirects more than {MOST} times")

    async def _ask(self, hop: Hop, envelope: Envelope, site: Site, trip: _Trip) -> _Got:
        """One request, let through by the guard and the limits, and its whole answer."""
        trip.where, trip.secure = _where(hop.url), hop.url.scheme == "https"
        site.guard.url(hop.url)  # again for every hop, so that a redirect to a stranger is refused as well
        site.guard.verb(hop.method, hop.url)
        limiter, trip.limits = site.gate.limiter, str(site.gate.limiter)
        trip.ticket = site.gate.admit(trip.where, envelope)
        asked_ns = time.monotonic_ns()
        try:
            await limiter.enter((trip.deadline_ns - asked_ns) / 1e9)
        finally:
            trip.ours_ns += time.monotonic_ns() - asked_ns
        try:
            got = await self._exchange(hop, envelope, site, trip)
            trip.ticket.answered(got.status)
            return got
        finally:
            limiter.leave()

    def _leaving(self, trip: _Trip) -> None:
        """What goes forward may be withdrawn, also before it began."""
        if self._withdrawn:
            trip.withdrawn = True
            raise Withdrawn
        self._trips.add(trip)

    def stamped(self, headers: Iterable[tuple[str, str]], key: str | None, propagate: bool) -> list[tuple[str, str]]:
        """The headers of the next thing that leaves, with the run's marks."""
        self._asked += 1
        return self._marks.put_on(headers, self._asked, key, propagate)

    def propagates(self, system: str) -> bool:
        """Whether what leaves for a system carries ids and baggage."""
        try:
            return self._find_site(system).system.propagate
        except Refused:
            return False

    async def pinned(self, host: str, port: int, envelope: Envelope) -> Sequence[str] | Trouble:
        """See `core.door.Door.pinned`; it counts as one request against the system's limits."""
        began_ns = time.monotonic_ns()
        trip = _Trip(began_ns + int(envelope.timeout_s * 1e9), f"{host}:{port}", began_ns)
        try:
            async with asyncio.timeout(envelope.timeout_s):
                if self._withdrawn and not envelope.clean_up:
                    raise Withdrawn("everything was told to stop before this had left")
                site = self._find_site(envelope.system)
                site.guard.host(host)
                await site.gate.limiter.enter(envelope.timeout_s)
                site.gate.limiter.leave()
                return [address.host for address in await guarded(site.guard, self._look_up)(host, port)]
        except Exception as error:  # noqa: BLE001  as above: it costs one run, not the daemon
            return self._trouble(error, envelope, trip)

    async def _exchange(self, hop: Hop, envelope: Envelope, site: Site, trip: _Trip) -> _Got:
        stamps = Stamps()
        request = httpx.Request(
            hop.method,
            hop.url,
            headers=self._headers(hop, envelope, site),
            stream=httpx.ByteStream(hop.body or b""),  # as `content`, httpx would make the headers a second time
            extensions={
                "stamps": stamps,
                "deadline_ns": trip.deadline_ns,
                "head_limit": self._sizes.head_bytes,
                "body_limit": self._sizes.body_bytes,
            },
        )
        trip.hops.append(stamps)
        stamps.began_ns = time.monotonic_ns()
        try:
            response = await self._transport(site, hop.url.scheme == "https").handle_async_request(request)
            try:
                assert isinstance(response.stream, AsyncIterable)  # our transports are asynchronous, all of them
                headers = tuple(map(_as_text, response.headers.raw))
                encodings = ",".join(value for name, value in headers if name == "content-encoding")
                content = await read_whole(response.stream, encodings, self._sizes.body_bytes)
            finally:
                await response.aclose()
        finally:
            stamps.done_ns = stamps.done_ns or time.monotonic_ns()
        return _Got(response.status_code, headers, content)

    def _headers(self, hop: Hop, envelope: Envelope, site: Site) -> list[tuple[bytes, bytes]]:
        """The writer's, the run's marks, and those that only the door sets (`core.headers.CONNECTION`)."""
        headers = self.stamped(hop.headers, envelope.key, site.system.propagate)
        raw = [(name.encode("ascii"), value.encode()) for name, value in headers]
        named = {name.lower() for name, _ in raw}
        raw += [each for each in _OFFERED if each[0] not in named]
        size = [(b"Content-Length", b"%d" % len(hop.body or b""))] if hop.body or hop.method in _SAY_LENGTH else []
        return [(b"Host", hop.url.netloc), *raw, *size]

    def _transport(self, site: Site, secure: bool) -> httpx.AsyncBaseTransport:
        key = (site.system.name, secure)
        if key not in self._transports:
            tls = site.tls() if secure else _NO_TLS
            self._transports[key] = site.make_transport(guarded(site.guard, self._look_up), tls)
        return self._transports[key]

    def _trouble(self, error: Exception, envelope: Envelope, trip: _Trip) -> Trouble:
        if trip.withdrawn:
            error = Withdrawn("everything was told to stop before this request had left")
        stamps = trip.hops[-1] if trip.hops else None
        scene = Scene(
            where=trip.where,
            secure=trip.secure,
            timeout_s=envelope.timeout_s,
            stamps=stamps,
            queued_s=trip.ours_ns / 1e9,
            stalled_s=self._blind_s(trip, stamps) if stamps is not None else 0.0,
            sent=trip.sent,
            limits=trip.limits,
        )
        trouble = classify(error, scene)
        return replace(trouble, detail=self._vault.redact(trouble.detail), timing=self._timing(trip))

    def _blind_s(self, trip: _Trip, stamps: Stamps) -> float:
        """How much of the target's time our own loop took: before the phase that was under way at the end began, and
        right at the limit. A stall in between hides nothing: what came meanwhile is seen after it."""
        marks = stamps.began_ns, stamps.resolved_ns, stamps.connected_ns, stamps.secured_ns, stamps.sent_ns
        return self._lag.stalled_s(stamps.began_ns, max(marks)) + self._lag.blind_s(trip.deadline_ns)

    def _timing(self, trip: _Trip) -> Timing:
        """The phases; lagged if our loop stood still in one that no stamp of the kernel corrects."""
        return timing_of(trip.hops, trip.ours_ns, any(self._was_late(hop) for hop in trip.hops))

    def _was_late(self, hop: Stamps) -> bool:
        # the kernel stamps what arrives: names, connections and handshakes are measured by our own clock
        until_ns = hop.sent_ns if hop.kernel and hop.sent_ns else time.monotonic_ns()
        return self._lag.stalled_s(hop.began_ns, until_ns) > 0


def _as_text(header: tuple[bytes, bytes]) -> tuple[str, str]:
    """A header as text: UTF-8, which most that is not ASCII means, else byte for byte (RFC 9110 5.5)."""
    name, value = header
    try:
        return name.decode("ascii").lower(), value.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1").lower(), value.decode("latin-1")


def _where(url: httpx.URL) -> str:
    return f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


_OFFERED = ((b"accept", b"*/*"), (b"accept-encoding", ACCEPT_ENCODING))
_SAY_LENGTH = frozenset(("POST", "PUT", "PATCH"))  # also when they have no body (RFC 9110 8.6)

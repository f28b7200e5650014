"""Connections of one run for protocols of its own: guarded, limited, marked and timed as its requests are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import httpx

from synthmon.core.door import Dial, Envelope, Found, HttpRequest, Line, Trouble
from synthmon.core.secrets import Vault
from synthmon.core.timing import Timing
from synthmon.runtime.outbound.door import Site
from synthmon.runtime.outbound.gate import Ticket, Withdrawn
from synthmon.runtime.outbound.guard import Refused
from synthmon.runtime.outbound.lag import LoopLag
from synthmon.runtime.outbound.line import StreamLine
from synthmon.runtime.outbound.names import LookUp, guarded
from synthmon.runtime.outbound.opening import opened
from synthmon.runtime.outbound.stamps import Stamps
from synthmon.runtime.outbound.streams import open_streams
from synthmon.runtime.outbound.timing import timing_of
from synthmon.runtime.outbound.trouble import Scene, Unfit, classify
from synthmon.runtime.outbound.trust import authorities_of

PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
SECURE = frozenset(("https", "wss", "tls"))
SCHEMES = frozenset((*PORTS, *SECURE, "tcp"))

Stamped = Callable[[Iterable[tuple[str, str]], str | None, bool], list[tuple[str, str]]]


@dataclass(slots=True, eq=False)
class _Way:
    """One attempt on its way, and the line that it became."""

    envelope: Envelope
    where: str
    stamps: Stamps = field(default_factory=Stamps)
    secure: bool = False
    ours_ns: int = 0
    limits: str = ""
    deadline_ns: int = 0
    resolving: bool = False
    ticket: Ticket | None = None
    limit: asyncio.Timeout | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class _At:
    url: httpx.URL
    host: str
    port: int
    secure: bool
    headers: tuple[tuple[str, str], ...]


class Lines:
    """All of them; closed with the door of the run."""

    def __init__(
        self, vault: Vault, find_site: Callable[[str], Site], look_up: LookUp, lag: LoopLag, stamped: Stamped
    ) -> None:
        self._vault, self._find_site, self._look_up = vault, find_site, look_up
        self._lag, self._stamped = lag, stamped
        self._ways: set[_Way] = set()
        self._lines: set[StreamLine] = set()
        self._withdrawn = False

    async def dial(self, to: Dial, envelope: Envelope) -> Line | Trouble:
        """See `core.door.Door.dial`. It counts as one request against the system's limits."""
        way = _Way(envelope, to.url)
        try:
            with self._on_its_way(way):
                async with asyncio.timeout(envelope.timeout_s) as way.limit:
                    return await self._dialled(to, way)
        # whatever goes wrong out there becomes a value, and a defect of ours too: it costs one run, not the daemon
        except Exception as error:  # noqa: BLE001
            return self._trouble(error, way)

    async def find(self, url: str, envelope: Envelope) -> Found | Trouble:
        """See `core.door.Door.find`. It counts as one request against the system's limits."""
        way = _Way(envelope, url)
        try:
            with self._on_its_way(way):
                async with asyncio.timeout(envelope.timeout_s) as way.limit:
                    site = self._find_site(envelope.system)
                    at = self._place(Dial(url), site, way)
                    if envelope.effect:
                        site.guard.verb("POST", at.url)
                    await self._let_through(site, way)
                    way.resolving = True
                    found = await guarded(site.guard, self._look_up)(at.host, at.port)
                    authorities = authorities_of(site.system.tls) if at.secure else None
                    addresses = tuple(address.host for address in found)
                    return Found(at.host, at.port, at.url.raw_path.decode("ascii"), addresses, authorities)
        except Exception as error:  # noqa: BLE001  as above: it costs one run, not the daemon
            return self._trouble(error, way)

    def withdraw(self) -> None:
        """What waits or still connects is called back; on lines that are open nothing is sent any more."""
        self._withdrawn = True
        for way in self._ways:
            if not way.envelope.clean_up and way.limit is not None and not way.limit.expired():
                way.withdrawn = True
                way.limit.reschedule(asyncio.get_running_loop().time())

    async def aclose(self) -> None:
        """Hang up everywhere."""
        lines, self._lines = self._lines, set()
        await asyncio.gather(*(line.aclose() for line in lines))

    async def _dialled(self, to: Dial, way: _Way) -> Line:
        envelope = way.envelope
        site = self._find_site(envelope.system)
        at = self._place(to, site, way)
        if envelope.effect and site.guard.writes is not True:
            said = "what is sent may change it, and its settings do not say `writes: true`"
            raise Refused(f"nothing can be sent to system {site.system.name} by this protocol: {said}")
        way.ticket = site.gate.admit(f"{way.where} ({at.url.scheme})", envelope)
        await self._let_through(site, way)
        streams = await self._connected(at, site, way)
        way.ticket.answered(200)
        headers = self._stamped(at.headers, envelope.key, site.system.propagate)
        line = StreamLine(
            str(at.url),
            headers,
            way.stamps,
            streams,
            lambda: self._may_leave(envelope),
            lambda error: self._trouble(error, way),
            lambda: self._timing(way),
        )
        self._lines.add(line)
        return line

    def _place(self, to: Dial, site: Site, way: _Way) -> _At:
        """Where it leads, looked through by the guard. Raises `Refused`, `Unfit`."""
        base = site.system.base_at(way.envelope.location)
        hop = opened(HttpRequest("GET", to.url, to.headers), base, self._vault)
        scheme = hop.url.scheme
        if scheme not in SCHEMES:
            raise Refused(f"{scheme}: is no protocol that is spoken here")
        raw = hop.url.raw_host.decode("ascii") or httpx.URL(base).raw_host.decode("ascii")
        port = hop.url.port or urlsplit(str(hop.url)).port or PORTS.get(scheme)
        if port is None:
            raise Unfit(f"{raw} has no port; write {raw}:443")
        way.where, way.secure = f"{raw}:{port}", scheme in SECURE
        site.guard.url(hop.url.copy_with(scheme="https", host=raw))
        return _At(hop.url, raw, port, way.secure, hop.headers)

    async def _let_through(self, site: Site, way: _Way) -> None:
        """Until the limits of the system let it through; it does not count as in flight after that."""
        limiter, way.limits = site.gate.limiter, str(site.gate.limiter)
        asked_ns = time.monotonic_ns()
        try:
            await limiter.enter(max(0.0, way.deadline_ns - asked_ns) / 1e9)
            limiter.leave()
        finally:
            way.ours_ns += time.monotonic_ns() - asked_ns

    async def _connected(self, at: _At, site: Site, way: _Way) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        stamps, way.resolving = way.stamps, True
        resolve = guarded(site.guard, self._look_up)
        tls = site.tls if at.secure else None
        streams = await open_streams(at.host, at.port, resolve, tls, way.envelope.timeout_s, stamps)
        stamps.sent_ns = stamps.secured_ns or stamps.connected_ns
        return streams

    @contextmanager
    def _on_its_way(self, way: _Way) -> Iterator[None]:
        way.deadline_ns = time.monotonic_ns() + int(way.envelope.timeout_s * 1e9)
        self._may_leave(way.envelope)
        self._ways.add(way)
        try:
            yield
        finally:
            self._ways.discard(way)
            if way.ticket is not None:
                way.ticket.dropped()

    def _may_leave(self, envelope: Envelope) -> None:
        if self._withdrawn and not envelope.clean_up:
            raise Withdrawn("everything was told to stop before this had left")

    def _trouble(self, error: Exception, way: _Way) -> Trouble:
        if way.withdrawn:
            error = Withdrawn("everything was told to stop before this had left")
        stamps = way.stamps
        stamps.done_ns = stamps.done_ns or time.monotonic_ns()
        scene = Scene(
            where=way.where,
            secure=way.secure,
            timeout_s=way.envelope.timeout_s,
            stamps=stamps if way.resolving else None,
            queued_s=way.ours_ns / 1e9,
            stalled_s=self._stalled_s(way),
            sent=stamps.written,
            limits=way.limits,
        )
        trouble = classify(error, scene)
        if way.ticket is not None:
            way.ticket.troubled(trouble.reason, trouble.detail)
        return replace(trouble, detail=self._vault.redact(trouble.detail), timing=self._timing(way))

    def _stalled_s(self, way: _Way) -> float:
        """How much of the other side's time our own loop took, as for a request."""
        stamps = way.stamps
        if not stamps.began_ns:
            return 0.0
        marks = stamps.began_ns, stamps.resolved_ns, stamps.connected_ns, stamps.secured_ns
        return self._lag.stalled_s(stamps.began_ns, max(marks)) + self._lag.blind_s(way.deadline_ns)

    def _timing(self, way: _Way) -> Timing:
        stamps = way.stamps
        if not stamps.began_ns:
            return Timing(ours_ms=way.ours_ns / 1e6)
        lagged = self._lag.stalled_s(stamps.began_ns, stamps.done_ns or None) > 0
        return timing_of([stamps], way.ours_ns, lagged)

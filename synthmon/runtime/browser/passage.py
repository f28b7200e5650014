"""What the browser of one run may ask a system for, and what became of each request."""

from __future__ import annotations

import asyncio
import secrets as chance
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import httpx

from synthmon.core.browsing import Visit
from synthmon.core.door import Envelope, Trouble
from synthmon.core.headers import secrets_of
from synthmon.core.secrets import Vault
from synthmon.core.timing import Timing
from synthmon.runtime.outbound.door import Site
from synthmon.runtime.outbound.gate import Withdrawn
from synthmon.runtime.outbound.guard import READS, Refused
from synthmon.runtime.outbound.names import LookUp, guarded
from synthmon.runtime.outbound.stamps import Stamps, TooLarge
from synthmon.runtime.outbound.streams import Streams, open_streams
from synthmon.runtime.outbound.trouble import Scene, classify

MOST_TRIPS = 2_000  # requests of one visit
MOST_BYTES = 64 * 1024 * 1024  # of all answers of one visit

Stamped = Callable[[Iterable[tuple[str, str]], str | None, bool], list[tuple[str, str]]]
Headers = list[tuple[str, str]]


@dataclass(slots=True, eq=False)
class Trip:
    """One request of the page: refused, without an answer, or answered."""

    method: str
    url: httpx.URL
    stamps: Stamps = field(default_factory=Stamps)
    status: int = 0
    refused: str = ""
    trouble: Trouble | None = None
    by_itself: bool = False  # the browser asks, and not the page

    @property
    def ok(self) -> bool:
        """Whether it brought what was asked for; what is still under way counts as good."""
        return not self.refused and self.trouble is None and self.status < 400


class Passage:
    """Between the browser's context and one system. It is open during a visit only; `token` is what lets it in."""

    def __init__(self, site: Site, look_up: LookUp, vault: Vault, stamped: Stamped) -> None:
        self._site, self._vault, self._stamped = site, vault, stamped
        self._resolve = guarded(site.guard, look_up)
        self.token = chance.token_urlsafe(24)
        self.trips: list[Trip] = []
        self._visit: Visit | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._origin, self._clean_up, self._deadline_ns, self._timeout_s = "", False, 0, 0.0
        self._bytes = 0
        self._withdrawn = False
        self.stirred = asyncio.Event()  # something was refused, or brought no answer

    # told by whoever drives the browser --------------------------------------------------------------------------

    @contextmanager
    def visiting(
        self, visit: Visit, url: httpx.URL, headers: tuple[tuple[str, str], ...], envelope: Envelope, deadline_ns: int
    ) -> Iterator[None]:
        """Let the requests of one visit through; `headers`, their secrets opened, go to the origin of `url` alone."""
        self.trips, self._bytes = [], 0
        self._origin, self._headers, self._clean_up = _origin(url), headers, envelope.clean_up
        self._visit, self._deadline_ns, self._timeout_s = visit, deadline_ns, envelope.timeout_s
        try:
            yield
        finally:
            self._visit = None

    def withdraw(self) -> None:
        """From now on nothing leaves but clean-up."""
        self._withdrawn = True

    def refusals(self) -> list[Trip]:
        """What was refused and not named in `without`, each once."""
        without = self._visit.without if self._visit else ()
        found = {(trip.method, str(trip.url)): trip for trip in self.trips if trip.refused and not trip.by_itself}
        return [trip for trip in found.values() if not _named(trip.url, without)]

    def trip_to(self, url: str) -> Trip | None:
        """The last request for a URL, its fragment apart."""
        wanted = httpx.URL(url).copy_with(fragment=None)
        return next((trip for trip in reversed(self.trips) if trip.url == wanted), None)

    # asked by the proxy ------------------------------------------------------------------------------------------

    def begin(self, method: str, url: httpx.URL, headers: Headers) -> Trip:
        """A request is about to leave. Raises `Refused` or `Withdrawn` when it must not; either way it is noted."""
        trip = Trip(method, url, by_itself=_by_itself(headers))
        if len(self.trips) < MOST_TRIPS:
            self.trips.append(trip)
        try:
            self._check(trip, upgrades=any(name == "upgrade" for name, _ in headers))
        except (Refused, Withdrawn) as error:
            trip.refused = str(error)
            self.stirred.set()
            raise
        return trip

    def outgoing(self, url: httpx.URL, headers: Headers) -> Headers:
        """Its headers with ours: those of the session, the run's marks."""
        own = self._headers if _origin(url) == self._origin else ()
        named = {name.lower() for name, _ in own}
        kept = [(name, value) for name, value in headers if name.lower() not in named]
        return self._stamped([*kept, *own], None, self._site.system.propagate)

    async def connect(self, trip: Trip) -> Streams:
        """A connection for it. Raises what the network does."""
        secure = trip.url.scheme == "https"
        port = trip.url.port or (443 if secure else 80)
        left_s = (self._deadline_ns - time.monotonic_ns()) / 1e9
        tls = self._site.tls if secure else None
        return await open_streams(trip.url.raw_host.decode("ascii"), port, self._resolve, tls, left_s, trip.stamps)

    def answered(self, trip: Trip, status: int, headers: Headers) -> None:
        """The head of an answer came."""
        trip.status = status
        trip.stamps.first_byte_ns = trip.stamps.first_byte_ns or time.monotonic_ns()
        for secret in (secret for header in headers for secret in secrets_of(*header)):
            self._vault.hide(secret)  # a cookie or a token that the target hands out is no less secret than ours

    def came(self, size_bytes: int) -> None:
        """So much of an answer came. Raises `TooLarge`."""
        self._bytes += size_bytes
        if self._bytes > MOST_BYTES:
            raise TooLarge(f"more than {MOST_BYTES >> 20} MiB in one visit")

    def failed(self, trip: Trip, error: Exception) -> None:
        """It brought no answer, or not the whole."""
        stamps, secure = trip.stamps, trip.url.scheme == "https"
        stamps.done_ns = time.monotonic_ns()
        self.stirred.set()
        where = f"{trip.url.host}:{trip.url.port or (443 if secure else 80)}"
        if isinstance(error, Refused):  # a name that leads where it must not
            trip.refused = str(error)
            return
        scene = Scene(where, secure, self._timeout_s, stamps if stamps.began_ns else None, sent=stamps.written)
        trouble = classify(error, scene)
        trip.trouble = Trouble(trouble.reason, self._vault.redact(trouble.detail), trouble.sent, Timing())

    def _check(self, trip: Trip, upgrades: bool) -> None:
        visit, guard = self._visit, self._site.guard
        if visit is None:
            raise Withdrawn("the visit was over")
        if self._withdrawn and not self._clean_up:
            raise Withdrawn("everything was told to stop before this had left")
        if len(self.trips) >= MOST_TRIPS:
            raise Refused(f"the page asks for more than {MOST_TRIPS} things")
        if trip.by_itself:
            raise Refused("no page asked for it")
        guard.url(trip.url)
        if upgrades:
            if not visit.writes:
                raise Refused("a WebSocket may change the system, and the step does not say `writes: true`")
            if guard.writes is not True:
                said = "what is sent over a WebSocket may change it, and its settings do not say `writes: true`"
                raise Refused(f"no WebSocket may be opened to system {self._site.system.name}: {said}")
        elif trip.method not in READS and not visit.writes:
            raise Refused(f"{trip.method} may change the system, and the step does not say `writes: true`")
        guard.verb(trip.method, trip.url)


def matters(url: str, without: Sequence[str] = ()) -> bool:
    """Whether it says something about the page that a request for this URL fails: an icon that no page named, and what
    the page need not have, do not."""
    try:
        place = httpx.URL(url)
    except httpx.InvalidURL:
        return True
    return place.path != "/favicon.ico" and not _named(place, without)


def _named(url: httpx.URL, without: Sequence[str]) -> bool:
    """Whether `without` has it: `stats.example.com`, `*.example.com`, or with a path `shop.example.com/collect*`."""
    place = f"{url.host}{url.path}"
    return any(fnmatchcase(place if "/" in one else url.host, one) for one in without)


def _by_itself(headers: Headers) -> bool:
    """Whether the browser asks for something of its own, such as its maker's opinion on a form (Fetch Metadata 2.4:
    `none` is said of what no page is the cause of)."""
    told = dict(headers)
    return told.get("sec-fetch-site") == "none" and told.get("sec-fetch-mode") != "navigate"


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"

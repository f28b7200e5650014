"""What the doors of all runs share: resolver threads, TLS contexts, limits, guards, and the heartbeat of the loop."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import MappingProxyType, TracebackType

from synthmon.core.inbound import Deaf, Hooks, Otlp
from synthmon.core.secrets import Vault
from synthmon.core.system import System, Tls
from synthmon.runtime.browser.chromium import Browsers
from synthmon.runtime.browser.visits import Visits
from synthmon.runtime.outbound.correlation import Marks
from synthmon.runtime.outbound.door import HttpDoor, MakeTransport, Site, Sizes
from synthmon.runtime.outbound.gate import Gate
from synthmon.runtime.outbound.guard import Refused, guard_of
from synthmon.runtime.outbound.lag import LoopLag
from synthmon.runtime.outbound.lines import Lines
from synthmon.runtime.outbound.links import Links
from synthmon.runtime.outbound.names import LookUp, Names
from synthmon.runtime.outbound.run_door import RunDoor
from synthmon.runtime.outbound.stock import Transport
from synthmon.runtime.outbound.trust import context_of
from synthmon.runtime.wire.transport import WireTransport

TRANSPORTS: Mapping[str, MakeTransport] = MappingProxyType({"stock": Transport, "wire": WireTransport})
SIZES = Sizes()


class Doors:
    """Opens a door for each run; one lives as long as the daemon. Rates and concurrency hold over all runs together.

    Making it builds one TLS context for each different `System.tls` that HTTPS needs (up to 50 ms each: not on a busy
    loop) and raises `TrustError` or `ValueError` for settings that cannot be used. `look_up` replaces the system's
    resolver. Enter it on the loop that will use it: `async with Doors(systems) as doors: …`.
    """

    def __init__(
        self,
        systems: Mapping[str, System],
        *,
        look_up: LookUp | None = None,
        sizes: Sizes = SIZES,
        transports: Mapping[str, MakeTransport] = TRANSPORTS,
    ) -> None:
        self._transports, self._sizes = transports, sizes
        self._contexts: dict[Tls, ssl.SSLContext] = {}
        self._gates: dict[str, Gate] = {}  # by system; they outlive a reload, and so does what they count
        self._sites = {name: self._site(system) for name, system in systems.items()}
        self._names = Names()
        self._look_up = look_up or self._names.look_up
        self.links = Links(self._look_up, self._context)
        self.hooks: Hooks = Deaf()  # who gives out addresses to be called on, once something listens
        self.otlp: Otlp | None = None  # who hands on telemetry, once something listens
        self.lag = LoopLag()
        self.browsers = Browsers()
        self.takes_pictures = False  # whether somebody keeps pictures of pages

    async def __aenter__(self) -> Doors:
        self.lag.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lag.stop()
        await self.browsers.aclose()
        await self.links.aclose()
        self._names.close()

    def circuits(self) -> Mapping[str, int]:
        """Of every system that has a door: how many of its places (host and port) are left alone at the moment."""
        return {name: self._gates[name].open_circuits() for name in self._sites}

    def serve(self, systems: Mapping[str, System]) -> None:
        """Open doors to these systems from now on, those of runs under way included.

        What is in flight, what has left, and which places gave no answer, counts on under the new numbers.
        """
        before = self._sites
        self._sites = {
            name: kept if (kept := before.get(name)) and kept.system == system else self._site(system)
            for name, system in systems.items()
        }

    def open(
        self,
        run_id: str,
        journey: str,
        vault: Vault,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        baggage: str = "",
        own: System | None = None,
    ) -> RunDoor:
        """The door of one run. `run_id` is 32 hex digits; `headers` are those of `propagation`, already rendered;
        `baggage` has more members than every run's.

        `own` is the system of a journey that names none (`Envelope.system` is empty or its name then).
        """
        mine = {name: self._site(own) for name in ("", own.name)} if own is not None else {}

        def find_site(name: str) -> Site:
            if (site := mine.get(name) or self._sites.get(name)) is None:
                raise Refused(f"there is no system named {name!r}; add it under `systems:` in the settings")
            return site

        marks = Marks(run_id, journey, headers, baggage)
        http = HttpDoor(marks, vault, find_site, self._look_up, self.lag, self._sizes)
        lines = Lines(vault, find_site, self._look_up, self.lag, http.stamped)
        visits = Visits(
            self.browsers, run_id, vault, find_site, self._look_up, self.lag, http.stamped, self.takes_pictures
        )
        return RunDoor(http, lines, self.links, vault, self.hooks, visits)

    def _site(self, system: System) -> Site:
        if system.follow or system.tls != Tls() or any(url.startswith("https:") for url in system.base.values()):
            self._context(system.tls)  # now, not in the middle of a run
        return Site(
            system=system,
            guard=guard_of(system),
            gate=self._gate(system),
            tls=lambda: self._context(system.tls),
            make_transport=self._transports[system.transport],
        )

    def _gate(self, system: System) -> Gate:
        gate = self._gates.get(system.name)
        if gate is None:
            gate = self._gates[system.name] = Gate(system)
        else:
            gate.adapt(system)
        return gate

    def _context(self, tls: Tls) -> ssl.SSLContext:
        if tls not in self._contexts:
            self._contexts[tls] = context_of(tls)
        return self._contexts[tls]

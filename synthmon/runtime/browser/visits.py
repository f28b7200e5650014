"""The visits of one run: a page of its own for each, in a browser that keeps the run's cookies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from synthmon.core.browsing import Picture, Visit, Visited
from synthmon.core.door import Envelope, HttpRequest, Trouble
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import Vault
from synthmon.core.timing import Timing
from synthmon.runtime.browser.acting import Sealed, act
from synthmon.runtime.browser.chromium import Browsers
from synthmon.runtime.browser.looking import Watcher, look_at, take_picture
from synthmon.runtime.browser.passage import Passage, Stamped, matters
from synthmon.runtime.browser.way import Room, Way
from synthmon.runtime.outbound.door import Site
from synthmon.runtime.outbound.gate import Withdrawn
from synthmon.runtime.outbound.lag import LoopLag
from synthmon.runtime.outbound.names import LookUp
from synthmon.runtime.outbound.opening import opened
from synthmon.runtime.outbound.redirects import Hop
from synthmon.runtime.outbound.timing import timing_of

if TYPE_CHECKING:
    from playwright.async_api import Page

PICTURE_S = 2.0
BACKSTOP_S = 1.0  # after the limit of an action, which says more
LAG_PART = 0.1  # of a visit: it lasts seconds, and a stall of our loop changes little of it
MOST_PICTURES = 20  # of one run


class Visits:
    """All of one run; closed with its door. `pictures` keeps what was taken until somebody says what of it matters."""

    def __init__(
        self,
        browsers: Browsers,
        run_id: str,
        vault: Vault,
        find_site: Callable[[str], Site],
        look_up: LookUp,
        lag: LoopLag,
        stamped: Stamped,
        takes_pictures: bool = False,
    ) -> None:
        self._browsers, self._run_id, self._vault, self._find_site = browsers, run_id, vault, find_site
        self._look_up, self._lag, self._stamped, self._takes_pictures = look_up, lag, stamped, takes_pictures
        self._rooms: dict[str, Room] = {}
        self._ways: set[Way] = set()
        self._withdrawn = False
        self.pictures: dict[str, bytes] = {}

    async def visit(self, visit: Visit, envelope: Envelope) -> Visited | Trouble:
        """See `core.door.Door.visit`. It counts as one request against the system's limits, however much it loads."""
        began_ns = time.monotonic_ns()
        way = Way(visit, envelope, began_ns, began_ns + int(envelope.timeout_s * 1e9))
        self._ways.add(way)
        try:
            async with asyncio.timeout(envelope.timeout_s + BACKSTOP_S + PICTURE_S) as way.limit:
                if self._withdrawn and not envelope.clean_up:
                    raise Withdrawn("everything was told to stop before this had left")
                return await self._travel(way)
        # whatever a browser does becomes a value, and a defect of ours too: it costs one run, not the daemon
        except Exception as error:  # noqa: BLE001
            return self._trouble(error, way)
        finally:
            self._ways.discard(way)
            if way.ticket is not None:
                way.ticket.dropped()

    def withdraw(self) -> None:
        """From now on nothing leaves but clean-up; visits under way end."""
        self._withdrawn = True
        for room in self._rooms.values():
            room.passage.withdraw()
        for way in self._ways:
            if not way.envelope.clean_up and way.limit is not None and not way.limit.expired():
                way.withdrawn = True
                way.limit.reschedule(asyncio.get_running_loop().time())

    async def aclose(self) -> None:
        """Close every context of the run."""
        rooms, self._rooms = self._rooms, {}
        for room in rooms.values():
            if room.context is not None:
                await self._browsers.close(room.context, room.passage)

    async def _travel(self, way: Way) -> Visited | Trouble:
        visit, envelope = way.visit, way.envelope
        site = self._find_site(envelope.system)
        hop = opened(HttpRequest("GET", visit.url, visit.headers), site.system.base_at(envelope.location), self._vault)
        way.where = f"{hop.url.host}:{hop.url.port or (443 if hop.url.scheme == 'https' else 80)}"
        site.guard.url(hop.url)
        ready = [Sealed(action, self._vault) for action in visit.actions]
        way.ticket = site.gate.admit(way.where, envelope)
        room = self._room(site)
        # in this order, so that nobody holds a place, or a turn at the system, while waiting for its own run
        async with room.lock, self._browsers.place():
            async with asyncio.timeout(way.left_s):
                await site.gate.limiter.enter(way.left_s)
            try:
                return await self._visited(way, room, hop, ready)
            finally:
                site.gate.limiter.leave()

    async def _visited(self, way: Way, room: Room, hop: Hop, ready: list[Sealed]) -> Visited | Trouble:
        async with asyncio.timeout(way.left_s):
            page = await self._page(room)
        way.room, way.ready_ns = room, time.monotonic_ns()
        way.watcher = Watcher(page, self._vault.redact, lambda url: matters(url, way.visit.without))
        with room.passage.visiting(way.visit, hop.url, hop.headers, way.envelope, way.deadline_ns):
            try:
                return await self._on_the_page(way, page, hop.url, ready)
            finally:
                await way.watcher.close()

    async def _on_the_page(self, way: Way, page: Page, url: httpx.URL, ready: list[Sealed]) -> Visited | Trouble:
        assert way.watcher is not None  # set by the caller
        trouble: Trouble | None = None
        seen: Visited | None = None
        try:
            async with asyncio.timeout(way.left_s + BACKSTOP_S):
                seen = await self._unless_it_is_decided(way, self._seen(way, page, url, ready))
        except Exception as error:
            if way.withdrawn:
                raise
            trouble = self._trouble(error, way)
        trouble = self._refused(way) or trouble or self._lost(way)
        if way.ticket is not None and trouble is None:
            way.ticket.answered(way.watcher.status or 200)
        if trouble is not None or way.visit.picture is not Picture.NEVER:
            await self._picture(way, page, ready)
        if trouble is not None:
            return replace(trouble, shot=way.shot)
        assert seen is not None  # or there was trouble
        trips = [trip for trip in way.passage.trips if not trip.refused and matters(str(trip.url))]
        return replace(
            seen,
            timing=self._timing(way),
            requests=len(trips),
            failed=sum(not trip.ok for trip in trips),
            shot=way.shot,
        )

    async def _seen(self, way: Way, page: Page, url: httpx.URL, ready: list[Sealed]) -> Visited:
        assert way.watcher is not None  # set by the caller
        await act(page, Sealed.opening(str(url)), way.left_s)
        for action in ready:
            await act(page, action, way.left_s, str(url))
        return await look_at(page, way.visit, way.watcher)

    async def _unless_it_is_decided(self, way: Way, work: Coroutine[Any, Any, Visited]) -> Visited | None:
        """What the work comes to; None when something was refused or lost meanwhile, so that nothing more can help."""
        assert way.watcher is not None  # set by the caller
        passage, watcher, task = way.passage, way.watcher, asyncio.create_task(work)
        try:
            while True:
                passage.stirred.clear()
                watcher.stirred.clear()
                stirs = [asyncio.create_task(each.stirred.wait()) for each in (passage, watcher)]
                await asyncio.wait([task, *stirs], return_when=asyncio.FIRST_COMPLETED)
                for stir in stirs:
                    stir.cancel()
                if task.done():
                    return task.result()
                if self._refused(way) or self._lost(way):
                    return None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _page(self, room: Room) -> Page:
        from playwright.async_api import Error

        for last in (False, True):
            if room.context is None:
                room.context = await self._browsers.open(room.passage)
            try:
                return await room.context.new_page()
            except Error:  # the browser has ended since the last visit: there is another
                await self._browsers.close(room.context, room.passage)
                room.context = None
                if last:
                    raise
        raise AssertionError("the loop returns")

    def _room(self, site: Site) -> Room:
        name = site.system.name
        if name not in self._rooms:
            self._rooms[name] = Room(Passage(site, self._look_up, self._vault, self._stamped))
        return self._rooms[name]

    async def _picture(self, way: Way, page: Page, ready: list[Sealed]) -> None:
        if not self._takes_pictures or way.visit.picture is Picture.NEVER or len(self.pictures) >= MOST_PICTURES:
            return
        filled = [action.target for action in ready if action.secret]
        taken = await take_picture(page, filled, self._vault.holds, PICTURE_S)
        if taken:
            way.shot = f"{self._run_id}-{len(self.pictures) + 1}.png"
            self.pictures[way.shot] = taken

    def _refused(self, way: Way) -> Trouble | None:
        """What the page asked for and must not have: nobody can say what it would have been with that."""
        refusals = way.passage.refusals()
        if not refusals:
            return None
        first, more = refusals[0], len(refusals) - 1
        host = first.url.host
        said = f"the page asked for {first.method} {first.url.copy_with(query=None)}: {first.refused}"
        said += f" (and {more} more)" if more else ""
        said += f", or `without: [{host}]` if the page need not have it"
        return Trouble(Reason.EGRESS_BLOCKED, self._vault.redact(said), True, self._timing(way))

    def _lost(self, way: Way) -> Trouble | None:
        """Why the last main document did not come, if it did not: then the page is the browser's own."""
        assert way.watcher is not None  # a page was there
        trip = way.passage.trip_to(way.watcher.asked_for) if way.watcher.asked_for else None
        if trip is None or trip.trouble is None:
            return None
        if way.ticket is not None:
            way.ticket.troubled(trip.trouble.reason, trip.trouble.detail)
        return replace(trip.trouble, timing=self._timing(way))

    def _trouble(self, error: Exception, way: Way) -> Trouble:
        reason, said = way.judged(error)
        if way.room is not None and not way.withdrawn and reason is not Reason.BROWSER and (lost := self._lost(way)):
            return lost
        if way.ticket is not None and way.room is None:
            way.ticket.troubled(reason, said)
        return Trouble(reason, self._vault.redact(said), way.sent, self._timing(way))

    def _timing(self, way: Way) -> Timing:
        """Of the document of the first navigation, and until now as its reading."""
        now_ns = time.monotonic_ns()
        ours_ns = (way.ready_ns or now_ns) - way.began_ns
        trips = way.room.passage.trips if way.room is not None else []
        document = next((trip for trip in trips if trip.stamps.began_ns), None)
        if document is None:
            return Timing(ours_ms=ours_ns / 1e6, total_ms=(now_ns - way.ready_ns) / 1e6 if way.ready_ns else 0.0)
        stamps = replace(document.stamps, done_ns=now_ns)
        total_ns = now_ns - way.ready_ns
        lagged = self._lag.stalled_s(stamps.began_ns) * 1e9 > LAG_PART * total_ns
        return replace(timing_of([stamps], ours_ns, lagged), total_ms=total_ns / 1e6)

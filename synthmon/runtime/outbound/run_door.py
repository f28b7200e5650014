"""The door of one run with everything that can leave through it: requests, messages, queries, and what listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from synthmon.core.browsing import Visit, Visited
from synthmon.core.connections import Answers, Connection, ConnectionTrouble, Counts, Publishes
from synthmon.core.door import (
    Dial,
    Envelope,
    Found,
    Hear,
    HttpAnswer,
    HttpRequest,
    Line,
    OpenEar,
    Published,
    Rows,
    Trouble,
)
from synthmon.core.inbound import Address, Call, Crowded, Deaf, Hook, Hooks, NotListening
from synthmon.core.messages import Declined, Message, Publication
from synthmon.core.outcomes import Reason, whose
from synthmon.core.payload import revealed
from synthmon.core.secrets import SecretError, Vault
from synthmon.core.timing import Timing
from synthmon.runtime.outbound.door import HttpDoor
from synthmon.runtime.outbound.ears import bind
from synthmon.runtime.outbound.gate import Withdrawn
from synthmon.runtime.outbound.guard import Refused
from synthmon.runtime.outbound.lines import Lines
from synthmon.runtime.outbound.links import Links
from synthmon.runtime.outbound.opening import opened_content
from synthmon.runtime.outbound.trouble import Scene, classify

MOST_ROWS = 10_000
_DEAF = Deaf()
_FOREIGN = frozenset((Reason.BROKEN,))  # what `classify` says of an exception that it does not know


class Visits(Protocol):
    """Who opens pages (`runtime.browser.visits`)."""

    @property
    def pictures(self) -> Mapping[str, bytes]: ...

    async def visit(self, visit: Visit, envelope: Envelope) -> Visited | Trouble: ...

    def withdraw(self) -> None: ...

    async def aclose(self) -> None: ...


@dataclass(slots=True)
class _Way:
    """One act over a connection: when it began, and whether something of it may have left."""

    began_ns: int
    sent_ns: int = 0
    trouble: Trouble | None = None


class RunDoor:
    """`core.door.Door` of one run. Made by `doors.Doors`."""

    def __init__(
        self,
        http: HttpDoor,
        lines: Lines,
        links: Links,
        vault: Vault,
        hooks: Hooks = _DEAF,
        visits: Visits | None = None,
    ) -> None:
        self._http, self._lines, self._links, self._vault, self._hooks = http, lines, links, vault, hooks
        self._visits = visits
        self._withdrawn = False

    async def http(self, request: HttpRequest, envelope: Envelope) -> HttpAnswer | Trouble:
        return await self._http.http(request, envelope)

    async def publish(self, connection: str, publication: Publication, envelope: Envelope) -> Published | Trouble:
        async with self._way(connection, envelope) as way:
            self._check(envelope)
            known = self._links.connection(connection)
            if not known.writes:
                raise Refused(f"a message may change what listens to {connection}; set `writes: true` for it if meant")
            link = await self._links.get(connection)
            if not isinstance(link, Publishes):
                raise Refused(f"nothing can be sent over {known.word}")
            ready = self._opened(publication, known, envelope)
            self._check(envelope)  # a connection may have taken a while
            way.sent_ns = time.monotonic_ns()
            await link.publish(ready)
            return Published(_timing(way))
        return _trouble_of(way)

    async def listen(self, connection: str, to: Mapping[str, str], hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        async with self._way(connection, envelope) as way:
            known = self._links.connection(connection)
            opened = {word: self._vault.reveal(text) for word, text in to.items()}
            lost = Reason.RESET if known.watches else Reason.CONNECTION
            return await bind(self._links, connection, opened, hear, lost)
        return _trouble_of(way)

    async def hook(self, hook: Hook, hear: Hear, envelope: Envelope) -> OpenEar | Trouble:
        def take(call: Call) -> bool:
            hear(_message(call))
            return True

        def refused(why: str) -> None:
            hear(Declined(Reason.NONE, why))

        try:
            replies = [
                replace(reply, body=opened_content(reply.body, tuple(reply.headers.items()), self._vault))
                for reply in hook.replies
            ]
            address = self._hooks.open(replace(hook, replies=replies), take, refused)
        except NotListening as error:
            return Trouble(Reason.NO_LISTENER, str(error), sent=False)
        except Crowded as error:
            return Trouble(Reason.SATURATED, str(error), sent=False)
        except SecretError as error:
            return Trouble(Reason.MISSING_SECRET, str(error), sent=False)
        return _HookEar(self._hooks, address, hook.method)

    async def query(self, connection: str, sql: str, params: Mapping[str, Any], envelope: Envelope) -> Rows | Trouble:
        async with self._way(connection, envelope) as way:
            self._check(envelope)
            link = await self._links.get(connection)
            if not isinstance(link, Answers):
                raise Refused(f"{self._links.connection(connection).word} cannot be asked with SQL")
            opened = revealed(dict(params), self._vault.reveal)
            way.sent_ns = time.monotonic_ns()
            rows = tuple(await link.query(sql, opened, MOST_ROWS))
            return Rows(rows, _timing(way))
        return _trouble_of(way)

    async def count(self, connection: str, at: Mapping[str, str], envelope: Envelope) -> int | Trouble:
        async with self._way(connection, envelope) as way:
            self._check(envelope)
            link = await self._links.get(connection)
            if not isinstance(link, Counts):
                raise Refused(f"{self._links.connection(connection).word} does not tell how many messages wait")
            return await link.count(at)
        return _trouble_of(way)

    async def pinned(self, host: str, port: int, envelope: Envelope) -> Sequence[str] | Trouble:
        return await self._http.pinned(host, port, envelope)

    async def find(self, url: str, envelope: Envelope) -> Found | Trouble:
        return await self._lines.find(url, envelope)

    async def dial(self, to: Dial, envelope: Envelope) -> Line | Trouble:
        return await self._lines.dial(to, envelope)

    async def visit(self, visit: Visit, envelope: Envelope) -> Visited | Trouble:
        if self._visits is None:
            return Trouble(Reason.BROWSER, "no browser was lent to this door", sent=False)
        return await self._visits.visit(visit, envelope)

    @property
    def pictures(self) -> Mapping[str, bytes]:
        """Name → the picture of a page that was visited, as PNG."""
        return self._visits.pictures if self._visits is not None else {}

    def marks(self, envelope: Envelope) -> tuple[tuple[str, str], ...]:
        return tuple(self._http.stamped((), envelope.key, self._http.propagates(envelope.system)))

    def reveal(self, text: str) -> str:
        return self._vault.reveal(text)

    def redact(self, text: str) -> str:
        return self._http.redact(text)

    def withdraw(self) -> None:
        self._withdrawn = True
        self._http.withdraw()
        self._lines.withdraw()
        if self._visits is not None:
            self._visits.withdraw()

    async def aclose(self) -> None:
        if self._visits is not None:
            await self._visits.aclose()
        await self._lines.aclose()
        await self._http.aclose()

    def _check(self, envelope: Envelope) -> None:
        """Raises `Withdrawn` when nothing but clean-up may leave."""
        if self._withdrawn and not envelope.clean_up:
            raise Withdrawn("everything was told to stop before this had left")

    def _opened(self, publication: Publication, connection: Connection, envelope: Envelope) -> Publication:
        """As it leaves: secrets opened, the run's marks among its headers."""
        reveal = self._vault.reveal
        headers = [(name, reveal(value)) for name, value in publication.headers]
        return Publication(
            {word: reveal(text) for word, text in publication.to.items()},
            tuple(self._http.stamped(headers, envelope.key, connection.propagate)),
            opened_content(publication.content, headers, self._vault),
        )

    @asynccontextmanager
    async def _way(self, connection: str, envelope: Envelope) -> AsyncIterator[_Way]:
        """Whatever goes wrong over a connection becomes a value, within the time of the envelope."""
        way = _Way(time.monotonic_ns())
        try:
            async with asyncio.timeout(envelope.timeout_s):
                yield way
        # a library of a broker may raise anything: it costs one run, not the daemon
        except Exception as error:  # noqa: BLE001
            way.trouble = self._trouble(error, connection, envelope, way)

    def _trouble(self, error: Exception, name: str, envelope: Envelope, way: _Way) -> Trouble:
        """Ours, unless the connection is itself under test."""
        if isinstance(error, ConnectionTrouble):
            reason, detail, sent = error.reason, error.detail, error.sent and bool(way.sent_ns)
        elif isinstance(error, TimeoutError) and not error.errno:  # ours has no number: the kernel's own has one
            reason, sent = Reason.TIMEOUT, bool(way.sent_ns)
            detail = f"{name} gave no answer within {envelope.timeout_s:.3g} s"
        else:
            scene = Scene(where=name, secure=False, timeout_s=envelope.timeout_s, sent=bool(way.sent_ns))
            judged = classify(error, scene)
            reason, detail, sent = judged.reason, judged.detail, judged.sent
            if reason in _FOREIGN:  # an exception of the broker's own library
                reason, detail = Reason.NO_ANSWER, f"{name}: {type(error).__name__}: {error}"
        if whose(reason) == "theirs" and not self._watched(name):
            reason, detail = Reason.CONNECTION, f"{detail} (it is not itself under test: `watches: true` would say so)"
        return Trouble(reason, self._http.redact(detail), sent, _timing(way))

    def _watched(self, name: str) -> bool:
        try:
            return self._links.connection(name).watches
        except ConnectionTrouble:
            return False


class _HookEar:
    """`core.door.Naming` of one open address."""

    def __init__(self, hooks: Hooks, address: Address, method: str) -> None:
        self._hooks, self._address, self._method = hooks, address, method

    @property
    def where(self) -> str:
        return f"{self._method} {self._address.url}"

    @property
    def names(self) -> Mapping[str, Any]:
        return {"url": self._address.url}

    async def aclose(self) -> None:
        self._hooks.close(self._address)


def _message(call: Call) -> Message:
    subject = f"{call.path}?{call.query}" if call.query else call.path
    return Message(subject, tuple(call.headers.items()), call.body, call.at_s)


def _timing(way: _Way) -> Timing:
    now_ns = time.monotonic_ns()
    sent_ns = way.sent_ns or now_ns
    wait_ms = (now_ns - sent_ns) / 1e6
    return Timing(
        wait_ms=wait_ms,
        total_ms=(now_ns - way.began_ns) / 1e6,
        sent_at_s=way.sent_ns / 1e9 if way.sent_ns else None,
        first_byte_at_s=now_ns / 1e9,
    )


def _trouble_of(way: _Way) -> Trouble:
    assert way.trouble is not None  # the way ended without an answer
    return way.trouble

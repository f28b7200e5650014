"""Does what the core asks for and tells it what was seen: the only back-and-forth of a run, and it is the point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from synthmon.core.acts import INTERRUPT, Act, Cancel, Do, Note, Seen, Wake
from synthmon.core.debts import Clean
from synthmon.core.door import Door, Envelope, Trouble
from synthmon.core.kinds import Kind
from synthmon.core.outcomes import Reason
from synthmon.runtime.book import Book
from synthmon.runtime.instants import Clock

_log = structlog.get_logger(__name__)


class Signer(Protocol):
    """The headers that requests carry under a session (`runtime.sessions`)."""

    def wanted(self, auth: str, system: str) -> bool:
        """Whether a request of this session, or to this system, carries any."""
        ...

    async def headers(self, auth: str, system: str) -> tuple[tuple[str, str], ...] | Trouble:
        """The headers, their secrets sealed; logs in if need be."""
        ...

    def drop(self, auth: str, system: str) -> None:
        """The target does not know the login any more."""
        ...


class Performer:
    """Performs the acts of one run until its core is done. One instance a run.

    `watch` is called after every fact; `sign` knows the headers of sessions (without it, acts carry none).
    """

    def __init__(
        self,
        run_id: str,
        journey: str,
        location: str,
        door: Door,
        kinds: Mapping[str, Kind],
        book: Book,
        clock: Clock,
        watch: Callable[[Clean], None] | None = None,
        sign: Signer | None = None,
    ) -> None:
        self._watch, self._sign = watch, sign
        self._run_id, self._journey, self._location = run_id, journey, location
        self._door, self._kinds, self._book, self._clock = door, kinds, book, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._core: Clean | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def drive(self, core: Clean, acts: Sequence[Act]) -> None:
        """Until the core is done and every note is in the journal. Cancelled, it lets go of everything at once."""
        self._core = core
        try:
            self._begin(core, acts)
            await self._over
        finally:
            for timer in self._timers.values():
                timer.cancel()
            if self._tasks:
                tasks = list(self._tasks.values())
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await self._book.flush()

    def interrupt(self) -> None:
        """Ask the run to stop going forward and to clean up."""
        self._feed(Seen(INTERRUPT, self._clock.monotonic_s()))

    def _feed(self, seen: Seen) -> None:
        """Tell the core what was seen, one fact at a time, and begin what it asks for."""
        if self._core is None or self._over.done():
            return
        try:
            self._begin(self._core, self._core.feed(seen))
            if self._watch is not None:
                self._watch(self._core)
        except Exception as error:  # noqa: BLE001  a defect ends this run, by way of whoever drives it
            self._over.set_exception(error)

    def _begin(self, core: Clean, acts: Sequence[Act]) -> None:
        for act in acts:
            match act:
                case Do():
                    self._tasks[act.id] = asyncio.create_task(self._do(act))
                case Wake():
                    delay_s = max(0.0, act.at_s - self._clock.monotonic_s())
                    self._timers[act.id] = asyncio.get_running_loop().call_later(delay_s, self._wake, act)
                case Cancel():
                    if timer := self._timers.pop(act.id, None):
                        timer.cancel()
                    if running := self._tasks.pop(act.id, None):
                        running.cancel()
                case Note():
                    self._book.note(act.entry)
        if core.done and not self._over.done():
            self._over.set_result(None)

    def _wake(self, act: Wake) -> None:
        self._timers.pop(act.id, None)
        self._feed(Seen(act.id, max(act.at_s, self._clock.monotonic_s())))

    async def _do(self, act: Do) -> None:
        answer = await self._answer(act)
        self._tasks.pop(act.id, None)
        self._feed(self._told(act, answer))

    async def _answer(self, act: Do) -> Any | Trouble:
        if act.intent is not None:
            try:
                fenced = await self._book.intend(act.intent)
            except OSError as error:
                return Trouble(Reason.JOURNAL_UNWRITABLE, f"the journal cannot be written: {error}", sent=False)
            if fenced is not None:
                return Trouble(Reason.FENCED, "another process has taken this run over", sent=False)
        envelope = Envelope(self._run_id, self._journey, act.system, self._location, act.key, act.effect, act.timeout_s)
        try:
            return await self._signed(act, envelope)
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one run and not the daemon
            _log.exception("a step could not be performed", journey=self._journey, run=self._run_id, act=act.id)
            return Trouble(Reason.BROKEN, f"{type(error).__name__} in the kind {act.kind}: report this")

    async def _signed(self, act: Do, envelope: Envelope) -> Any | Trouble:
        """Perform it under its session; one that the target no longer knows (401) is logged in anew, once."""
        kind = self._kinds[act.kind]
        if self._sign is None or not self._sign.wanted(act.auth, act.system):
            return await kind.perform(act.request, self._door, envelope)
        for last in (False, True):
            headers = await self._sign.headers(act.auth, act.system)
            if isinstance(headers, Trouble):
                return headers
            request = replace(act.request, headers=(*act.request.headers, *headers))
            answer = await kind.perform(request, self._door, envelope)
            if last or getattr(answer, "status", 0) != 401:
                return answer
            self._sign.drop(act.auth, act.system)
        raise AssertionError("the loop returns")

    def _told(self, act: Do, answer: Any | Trouble) -> Seen:
        """What was seen, at the instant that the answer was complete and not at that of our looking."""
        now_s = self._clock.monotonic_s()
        timing = getattr(answer, "timing", None)
        sent_s = timing.sent_at_s if timing else None
        if isinstance(answer, Trouble):
            return Seen(act.id, now_s, trouble=answer, sent_at_s=sent_s if answer.sent else None)
        if timing is None or sent_s is None:
            return Seen(act.id, now_s, answer, sent_at_s=now_s)
        return Seen(act.id, min(now_s, sent_s + (timing.wait_ms + timing.read_ms) / 1e3), answer, sent_at_s=sent_s)

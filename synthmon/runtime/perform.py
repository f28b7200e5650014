"""Does what the core asks for and tells it what was seen: the only back-and-forth of a run, and it is the point."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

import structlog

from synthmon.core.acts import INTERRUPT, Act, Arm, Cancel, Do, Note, Seen, Wake, Watch, Widen
from synthmon.core.door import Door, Envelope, Hear, Naming, OpenEar, Trouble
from synthmon.core.evidence import Blind, Report
from synthmon.core.kinds import Kind, Listens, Performs
from synthmon.core.messages import Armed, Gap, Message
from synthmon.core.outcomes import Reason
from synthmon.core.undo.debts import Clean
from synthmon.runtime.book import Book
from synthmon.runtime.gathering import Gatherer, Watching
from synthmon.runtime.instants import Clock
from synthmon.runtime.purse import Purse
from synthmon.runtime.signing import Signer, signed

CLOSE_S = 2.0  # for a listener to let go

_log = structlog.get_logger(__name__)


class Performer:
    """Performs the acts of one run until its core is done. One instance a run.

    `watch` is called after every fact; `sign` knows the headers of sessions (without it, acts carry none); `purse` is
    asked before an effect; with `clean_up` everything it does counts as clean-up.
    `inspect` says why a request may not leave; empty if it may. `gatherer` watches sources of evidence.
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
        purse: Purse | None = None,
        clean_up: bool = False,
        inspect: Callable[[Any], str] | None = None,
        gatherer: Gatherer | None = None,
    ) -> None:
        self._inspect, self._gatherer = inspect, gatherer
        self._watch, self._sign, self._purse, self._clean_up = watch, sign, purse, clean_up
        self._interrupted = False
        self._run_id, self._journey, self._location = run_id, journey, location
        self._door, self._kinds, self._book, self._clock = door, kinds, book, clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._watching: dict[str, Watching] = {}
        self._core: Clean | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def drive(self, core: Clean, acts: Sequence[Act]) -> None:
        """Until the core is done and every note is in the journal. Cancelled, it lets go of everything at once."""
        self._core = core
        try:
            self._begin(core, acts)
            if self._interrupted:  # before it began
                self.interrupt()
            await self._over
        finally:
            for timer in self._timers.values():
                timer.cancel()
            if self._tasks or self._ending:
                for task in self._tasks.values():
                    task.cancel()
                await asyncio.gather(*self._tasks.values(), *self._ending, return_exceptions=True)
        await self._book.flush()

    def interrupt(self) -> None:
        """Ask the run to stop going forward and to clean up; what has not left yet does not leave any more."""
        self._interrupted = True
        if not self._clean_up:
            self._door.withdraw()
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
                case Arm():
                    self._tasks[act.id] = asyncio.create_task(self._listen(act))
                case Watch():
                    self._watching[act.id] = watching = Watching(act.source, partial(self._report, act))
                    self._tasks[act.id] = asyncio.create_task(self._gather(act, watching))
                case Widen():
                    self._watching[act.id].widen(act.keys)
                case Wake():
                    delay_s = max(0.0, act.at_s - self._clock.monotonic_s())
                    self._timers[act.id] = asyncio.get_running_loop().call_later(delay_s, self._wake, act)
                case Cancel():
                    if timer := self._timers.pop(act.id, None):
                        timer.cancel()
                    if running := self._tasks.pop(act.id, None):
                        running.cancel()
                        self._ending.add(running)  # a listener takes back what was bound for it
                        running.add_done_callback(self._ending.discard)
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
        # what is taken back was sent before: it is not looked through again
        if self._inspect is not None and "~" not in act.id and (said := self._inspect(act.request)):
            return Trouble(Reason.UNSAFE_VALUE, said, sent=False)
        if self._purse is not None and (refused := await self._purse.pay(act)) is not None:
            return refused
        if act.intent is not None:
            try:
                fenced = await self._book.intend(act.intent)
            except OSError as error:
                return Trouble(Reason.JOURNAL_UNWRITABLE, f"the journal cannot be written: {error}", sent=False)
            if fenced is not None:
                return Trouble(Reason.FENCED, "another process has taken this run over", sent=False)
        envelope = Envelope(
            self._run_id,
            self._journey,
            act.system,
            self._location,
            act.key,
            act.effect,
            act.timeout_s,
            act.again,
            self._clean_up or "~" in act.id,
            act.id,
        )
        try:
            return await self._signed(act, envelope)
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one run and not the daemon
            return self._broken(act, error)

    def _broken(self, act: Do | Arm, error: Exception) -> Trouble:
        _log.exception("a step could not be performed", journey=self._journey, run=self._run_id, act=act.id)
        return Trouble(Reason.BROKEN, f"{type(error).__name__} in the kind {act.kind}: report this")

    async def _listen(self, act: Arm) -> None:
        """Until it is cancelled; what is heard while the arming is not answered yet is told right after."""
        name, place = self._journey, self._location
        envelope = Envelope(self._run_id, name, act.system, place, timeout_s=act.timeout_s, act=act.id)
        early: list[Message | Gap] | None = []

        def hear(what: Message | Gap) -> None:
            if early is not None:
                early.append(what)
            else:
                self._feed(self._heard(act, what))

        ear = await self._ear(act, envelope, hear)
        if isinstance(ear, Trouble):
            self._tasks.pop(act.id, None)
            self._feed(Seen(act.id, self._clock.monotonic_s(), trouble=ear))
            return
        try:
            if _is_cancelled():
                return
            self._feed(Seen(act.id, self._clock.monotonic_s(), Armed(ear.where, _names(ear))))
            came, early = early, None
            for what in came or ():
                self._feed(self._heard(act, what))
            await asyncio.get_running_loop().create_future()
        finally:
            await _closed(ear)

    async def _ear(self, act: Arm, envelope: Envelope, hear: Hear) -> OpenEar | Trouble:
        kind = self._kinds[act.kind]
        assert isinstance(kind, Listens)  # nothing else is armed
        try:
            request = await self._with_session(act)
            if isinstance(request, Trouble):
                return request
            async with asyncio.timeout(act.timeout_s):
                return await kind.listen(request, self._door, envelope, hear)
        except TimeoutError:
            return Trouble(Reason.CONNECTION, f"it did not begin within {act.timeout_s:g}s")
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one run and not the daemon
            return self._broken(act, error)

    async def _with_session(self, act: Arm) -> Any | Trouble:
        if self._sign is None or not self._sign.wanted(act.auth, act.system):
            return act.request
        headers = await self._sign.headers(act.auth, act.system)
        return headers if isinstance(headers, Trouble) else signed(act.request, headers)

    def _report(self, act: Watch, report: Report) -> None:
        self._feed(Seen(act.id, self._clock.monotonic_s(), report))

    async def _gather(self, act: Watch, watching: Watching) -> None:
        """Until it is cancelled; a source with a defect is blind, and costs no run."""
        assert self._gatherer is not None  # whoever runs journeys with sources lends one
        try:
            ear = await self._gatherer.watch(act.source, act.wanted, self._door, self._journey, watching.tell)
        except Exception as error:  # noqa: BLE001  a defect of a kind costs one clause and not the daemon
            _log.exception("evidence could not be gathered", journey=self._journey, run=self._run_id, act=act.id)
            said = f"{type(error).__name__} in the source {act.source.word}"
            watching.tell(Blind(act.source.name, Reason.BROKEN, said))
            return
        try:
            if not _is_cancelled():
                watching.begin(ear)
                await asyncio.get_running_loop().create_future()
        finally:
            await _closed(ear)

    def _heard(self, act: Arm, what: Message | Gap) -> Seen:
        now_s = self._clock.monotonic_s()
        if isinstance(what, Gap):
            return Seen(act.id, now_s, what)
        at_s = what.at_s or now_s
        return Seen(act.id, at_s, what if what.at_s else replace(what, at_s=at_s))

    async def _signed(self, act: Do, envelope: Envelope) -> Any | Trouble:
        """Perform it under its session; one that the target no longer knows (401) is logged in anew, once."""
        kind = cast(Performs, self._kinds[act.kind])  # what listens is armed; to ask a Protocol costs 15 µs
        if self._sign is None or not self._sign.wanted(act.auth, act.system):
            return await kind.perform(act.request, self._door, envelope)
        for last in (False, True):
            headers = await self._sign.headers(act.auth, act.system, envelope.clean_up)
            if isinstance(headers, Trouble):
                return headers
            answer = await kind.perform(signed(act.request, headers), self._door, envelope)
            lost = getattr(answer, "status", 0) == 401
            if last or not lost or not self._sign.renew(act.auth, act.system, headers):
                return answer
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


def _names(ear: OpenEar) -> Mapping[str, Any]:
    return ear.names if isinstance(ear, Naming) else {}


def _is_cancelled() -> bool:
    """Whether this task was cancelled and somebody swallowed it: `asyncio.wait_for` of Python 3.11 does when its answer
    comes in the same turn, and brokers' libraries use it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _closed(ear: OpenEar) -> None:
    """Take back what was bound; a broker that does not answer is not waited for."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_S):
            await ear.aclose()

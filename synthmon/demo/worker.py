"""Runs one function: takes its events off the bus, retries, remembers what is done, says what follows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from synthmon.demo.bus import Bus, BusTrouble, Delivery, Patience, Subscription
from synthmon.demo.correlation import Place, new_place
from synthmon.demo.faults import Board
from synthmon.demo.functions import Again, Event, Following, Function, Skip, read
from synthmon.demo.notes import Note, Notes
from synthmon.demo.rows import Memory, Rows
from synthmon.demo.spans import Kind, Span

_LOOK_S = 5.0
_PAUSE_S = 0.5

Done = Memory[tuple[Following, ...]]


class Worker:
    """A durable consumer. ``run`` until cancelled; a cancelled worker leaves its events to the next one."""

    def __init__(
        self, function: Function, bus: Bus, board: Board, notes: Notes, rows: Rows, patience: Patience
    ) -> None:
        self.function = function
        self._bus = bus
        self._board = board
        self._notes = notes
        self._rows = rows
        self._patience = patience
        self._done: Done = Memory()
        self._in_hand: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                subscription = await self._bus.subscribe(self.function.service, self.function.listens, self._patience)
            except BusTrouble:
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                await self._consume(subscription)
            finally:
                await subscription.close()

    async def _consume(self, subscription: Subscription) -> None:
        free = asyncio.Semaphore(self.function.at_once)
        async with asyncio.TaskGroup() as at_work:
            while True:
                await free.acquire()
                await self._until_up()
                delivery = await self._next(subscription)
                if delivery is None:
                    free.release()
                    continue
                at_work.create_task(self._handle(delivery, free))

    async def _until_up(self) -> None:
        if self._board.down(self.function.service):
            self._board.strikes("dead-worker", self.function.service)
            await self._board.up.wait()

    async def _next(self, subscription: Subscription) -> Delivery | None:
        try:
            return await subscription.next(_LOOK_S)
        except BusTrouble:
            await asyncio.sleep(_PAUSE_S)
            return None

    async def _handle(self, delivery: Delivery, free: asyncio.Semaphore) -> None:
        try:
            if self._board.down(self.function.service):  # it was fetched before the worker died
                await delivery.nak()
                return
            async with self._held(delivery):
                await self._attempt(delivery)
        except BusTrouble:
            return  # neither acked nor nacked: it comes again after the ack wait
        finally:
            free.release()

    async def _attempt(self, delivery: Delivery) -> None:
        function = self.function
        try:
            event = read(delivery)
        except ValueError as exc:
            self._rows.dead.write({"service": function.service, "eventId": delivery.message_id, "reason": str(exc)})
            await delivery.ack()
            return
        if event.id in self._in_hand:  # redelivered although the earlier attempt is alive: the loop was stalled
            await delivery.nak(_PAUSE_S)
            return
        self._in_hand.add(event.id)
        try:
            await self._step(event, delivery)
        finally:
            self._in_hand.discard(event.id)

    async def _step(self, event: Event, delivery: Delivery) -> None:
        hold_ms = event.correlation.hold_ms(event.subject, self.function.step)
        await asyncio.sleep(hold_ms / 1000)
        started_ns, place = time.time_ns(), new_place()
        try:
            following = self._done.get(event.id)
            if following is None:
                following = await self.function.work(event)
                self._done.put(event.id, following)  # no await since the effect: done and remembered are one
            self._write(event, place, started_ns, "ok")
        except Skip as skip:
            following = ()
            self._write(event, place, started_ns, "skipped", str(skip))
        except Again as again:
            self._write(event, place, started_ns, "retry", str(again))
            await self._give_back(event, delivery, str(again))
            return
        except Exception as exc:  # noqa: BLE001  one bad event must not stop the worker
            self._write(event, place, started_ns, "error", repr(exc))
            await self._give_back(event, delivery, repr(exc))
            return
        try:
            for what in following:
                await self._publish(event, place, what)
        except BusTrouble as trouble:
            self._note(event, place, started_ns, time.time_ns(), "retry", str(trouble))
            await self._give_back(event, delivery, str(trouble))
            return
        await delivery.ack()

    async def _publish(self, event: Event, place: Place, what: Following) -> None:
        service = self.function.service
        if self._board.strikes("lose-event", service):
            return
        copies = 2 if self._board.strikes("duplicate-event", service) else 1
        forgotten = self._board.strikes("lose-correlation", service)
        for copy in range(copies):
            sender = place.inside()
            message_id = following_id(event.id, what.subject, copy)
            headers = {} if forgotten else event.correlation.headers(sender)
            started_ns = time.time_ns()
            await self._bus.publish(what.subject, json.dumps(what.payload).encode(), headers, message_id)
            self._notes.trace(
                Span(
                    service,
                    f"send {what.subject}",
                    Kind.PRODUCER,
                    sender,
                    started_ns,
                    time.time_ns(),
                    parent_span_id=place.span_id,
                    tracestate=event.correlation.tracestate,
                    attributes=messaging("send", what.subject, message_id, event.correlation.id),
                )
            )

    def _write(self, event: Event, place: Place, started_ns: int, status: str, reason: str = "") -> None:
        ended_ns = time.time_ns()
        self._note(event, place, started_ns, ended_ns, status, reason)
        self._trace(event, place, started_ns, ended_ns, status)

    def _note(self, event: Event, place: Place, started_ns: int, ended_ns: int, status: str, reason: str) -> None:
        function = self.function
        self._notes.write(
            Note(
                function.service,
                function.workflow,
                function.step,
                status,
                event.correlation,
                place,
                event.id,
                started_ns,
                ended_ns,
                attempt=event.attempt,
                dependency=function.dependency,
                reference=event.reference,
                reason=reason,
            )
        )

    def _trace(self, event: Event, place: Place, started_ns: int, ended_ns: int, status: str) -> None:
        function = self.function
        self._notes.trace(
            Span(
                function.service,
                f"process {event.subject}",
                Kind.CONSUMER,
                place,
                started_ns,
                ended_ns,
                link=event.correlation.sender,
                tracestate=event.correlation.tracestate,
                ok=status != "error",
                attributes={
                    **messaging("process", event.subject, event.id, event.correlation.id),
                    "step": function.step,
                    "attempt": event.attempt,
                    "status": status,
                },
            ),
            *(
                Span(
                    function.service,
                    f"call {call.dependency}",
                    Kind.CLIENT,
                    place.inside(),
                    call.started_ns,
                    call.ended_ns,
                    parent_span_id=place.span_id,
                    tracestate=event.correlation.tracestate,
                    ok=call.ok,
                    attributes={
                        "peer.service": call.dependency,
                        "messaging.message.conversation_id": event.correlation.id,
                    },
                )
                for call in event.calls
            ),
        )

    async def _give_back(self, event: Event, delivery: Delivery, reason: str) -> None:
        """Once more a little later (50 ms doubling to 2 s), or to the dead letters after the last attempt."""
        if event.attempt >= self._patience.max_deliver:
            self._rows.dead.write(
                {
                    "service": self.function.service,
                    "eventId": event.id,
                    "reference": event.reference,
                    "correlationId": event.correlation.id,
                    "reason": reason,
                }
            )
            await delivery.ack()
            return
        await delivery.nak(min(0.05 * 2 ** min(event.attempt - 1, 6), 2.0))

    @asynccontextmanager
    async def _held(self, delivery: Delivery) -> AsyncIterator[None]:
        """While this lasts, the bus is told in time that the message is being worked on."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._patience.ack_wait_s / 3)
                with suppress(BusTrouble):
                    await delivery.still_working()

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait({beating})


def following_id(parent_id: str, subject: str, copy: int = 0) -> str:
    """The id of an event is settled by what caused it, so publishing it again stores nothing new."""
    return hashlib.sha256(f"{parent_id} {subject} {copy}".encode()).hexdigest()[:32]


def messaging(operation: str, subject: str, message_id: str, correlation_id: str) -> dict[str, str | int]:
    """Attribute names of the OpenTelemetry semantic conventions for messaging."""
    return {
        "messaging.system": "nats",
        "messaging.operation.type": operation,
        "messaging.destination.name": subject,
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": correlation_id,
    }

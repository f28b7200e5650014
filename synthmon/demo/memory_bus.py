"""The bus inside this process: for places where no NATS server runs."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from synthmon.demo.bus import MAX_AGE_S, MAX_MESSAGES, Delivery, Patience, Subscription

_REMEMBER_IDS_S = 120.0


@dataclass(frozen=True, slots=True)
class _Message:
    subject: str
    body: bytes
    headers: Mapping[str, str]
    message_id: str
    stored_s: float


@dataclass(slots=True)
class _Copy:
    """A message as one consumer knows it."""

    message: _Message
    due_s: float = 0.0
    attempts: int = 0


@dataclass(slots=True)
class _Consumer:
    subject: str
    patience: Patience
    waiting: list[_Copy] = field(default_factory=list)
    held: dict[int, _Copy] = field(default_factory=dict)  # by id(copy); due_s is the end of its ack wait
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, copy: _Copy) -> None:
        self.waiting.append(copy)
        self.news.set()

    def take(self, now_s: float) -> _Copy | None:
        """The first copy that is due; a copy whose ack wait is over is due again, until it came too often."""
        for key, copy in list(self.held.items()):
            if copy.due_s <= now_s:
                del self.held[key]
                self.waiting.append(copy)
        self.waiting = [copy for copy in self.waiting if copy.attempts < self.patience.max_deliver]
        for place, copy in enumerate(self.waiting):
            if copy.due_s <= now_s:
                del self.waiting[place]
                copy.attempts += 1
                copy.due_s = now_s + self.patience.ack_wait_s
                self.held[id(copy)] = copy
                return copy
        return None

    def next_due_s(self) -> float | None:
        return min((copy.due_s for copy in (*self.waiting, *self.held.values())), default=None)


class MemoryBus:
    """Keeps an hour or 50,000 messages; one event loop; nothing survives the process."""

    name = "memory"

    def __init__(self) -> None:
        self._stored: deque[_Message] = deque(maxlen=MAX_MESSAGES)
        self._ids: OrderedDict[str, float] = OrderedDict()
        self._consumers: dict[str, _Consumer] = {}

    def alive(self) -> bool:
        return True

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str], message_id: str) -> bool:
        now_s = time.monotonic()
        self._forget(now_s)
        if message_id in self._ids:
            return False
        self._ids[message_id] = now_s
        message = _Message(subject, body, dict(headers), message_id, now_s)
        self._stored.append(message)
        for consumer in self._consumers.values():
            if consumer.subject == subject:
                consumer.offer(_Copy(message))
        return True

    async def subscribe(self, durable: str, subject: str, patience: Patience) -> Subscription:
        consumer = self._consumers.get(durable)
        if consumer is None:
            consumer = self._consumers[durable] = _Consumer(subject, patience)
            for message in self._stored:
                if message.subject == subject:
                    consumer.offer(_Copy(message))
        return _MemorySubscription(consumer)

    def _forget(self, now_s: float) -> None:
        while self._stored and self._stored[0].stored_s < now_s - MAX_AGE_S:
            self._stored.popleft()
        while self._ids and next(iter(self._ids.values())) < now_s - _REMEMBER_IDS_S:
            self._ids.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _MemorySubscription:
    consumer: _Consumer

    async def next(self, limit_s: float) -> Delivery | None:
        until_s = time.monotonic() + limit_s
        while True:
            now_s = time.monotonic()
            copy = self.consumer.take(now_s)
            if copy is not None:
                return _MemoryDelivery(self.consumer, copy, copy.attempts)
            if now_s >= until_s:
                return None
            self.consumer.news.clear()
            due_s = self.consumer.next_due_s()
            pause_s = min(until_s, until_s if due_s is None else due_s) - now_s
            with suppress(TimeoutError):
                async with asyncio.timeout(max(pause_s, 0.001)):
                    await self.consumer.news.wait()

    async def close(self) -> None:
        """Nothing to give back: what was not acknowledged comes again after its ack wait."""


@dataclass(frozen=True, slots=True)
class _MemoryDelivery:
    consumer: _Consumer
    copy: _Copy
    attempt: int

    @property
    def subject(self) -> str:
        return self.copy.message.subject

    @property
    def body(self) -> bytes:
        return self.copy.message.body

    @property
    def headers(self) -> Mapping[str, str]:
        return self.copy.message.headers

    @property
    def message_id(self) -> str:
        return self.copy.message.message_id

    async def ack(self) -> None:
        if self._mine():
            del self.consumer.held[id(self.copy)]

    async def nak(self, delay_s: float = 0.0) -> None:
        if self._mine():
            del self.consumer.held[id(self.copy)]
            self.copy.due_s = time.monotonic() + delay_s
            self.consumer.offer(self.copy)

    async def still_working(self) -> None:
        if self._mine():
            self.copy.due_s = time.monotonic() + self.consumer.patience.ack_wait_s

    def _mine(self) -> bool:
        """Whether this attempt still holds the message: an answer that comes too late changes nothing."""
        return self.consumer.held.get(id(self.copy)) is self.copy and self.copy.attempts == self.attempt

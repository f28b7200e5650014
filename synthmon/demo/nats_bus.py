"""The bus on a NATS JetStream server: one stream, a durable pull consumer a function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from synthmon.demo.bus import MAX_AGE_S, MAX_MESSAGES, SUBJECTS, BusTrouble, Delivery, Patience, Subscription

_STREAM = "SHOP"
_MAX_BYTES = 64 * 1024 * 1024
_LIMIT_S = 3.0
_MESSAGE_ID = "Nats-Msg-Id"


@asynccontextmanager
async def nats_bus(url: str) -> AsyncIterator[NatsBus]:
    """Connect to the server at ``url`` (nats://host:port), create the stream, close at the end."""

    async def quiet(_: Exception) -> None:
        """The client would print; whoever waits for a message learns of trouble by itself."""

    client = await nats.connect(url, error_cb=quiet, max_reconnect_attempts=-1, reconnect_time_wait=1)
    try:
        jetstream = client.jetstream(timeout=_LIMIT_S)
        await jetstream.add_stream(
            StreamConfig(
                name=_STREAM,
                subjects=list(SUBJECTS),
                storage=StorageType.FILE,
                max_age=MAX_AGE_S,
                max_msgs=MAX_MESSAGES,
                max_bytes=_MAX_BYTES,
                duplicate_window=120.0,
            )
        )
        yield NatsBus(client, jetstream)
    finally:
        with suppress(NatsError, OSError, TimeoutError):
            await asyncio.wait_for(client.close(), _LIMIT_S)


class NatsBus:
    """A connection and its stream; see ``nats_bus``."""

    name = "nats"

    def __init__(self, client: Client, jetstream: JetStreamContext) -> None:
        self._client = client
        self._jetstream = jetstream

    def alive(self) -> bool:
        return self._client.is_connected

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str], message_id: str) -> bool:
        try:
            stored = await self._jetstream.publish(
                subject, body, timeout=_LIMIT_S, headers={**headers, _MESSAGE_ID: message_id}
            )
        except (NatsError, OSError, TimeoutError) as exc:
            raise BusTrouble(f"{subject} could not be published: {exc or type(exc).__name__}") from exc
        return not stored.duplicate

    async def subscribe(self, durable: str, subject: str, patience: Patience) -> Subscription:
        wanted = ConsumerConfig(
            durable_name=durable,
            filter_subject=subject,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=patience.ack_wait_s,
            max_deliver=patience.max_deliver,
            max_ack_pending=256,
        )
        try:
            with suppress(NotFoundError):
                await self._jetstream.consumer_info(_STREAM, durable)
                return _NatsSubscription(await self._jetstream.pull_subscribe_bind(consumer=durable, stream=_STREAM))
            await self._jetstream.add_consumer(_STREAM, wanted)
            return _NatsSubscription(await self._jetstream.pull_subscribe_bind(consumer=durable, stream=_STREAM))
        except (NatsError, OSError, TimeoutError) as exc:
            raise BusTrouble(f"consumer {durable} could not be opened: {exc or type(exc).__name__}") from exc


@dataclass(frozen=True, slots=True)
class _NatsSubscription:
    pull: JetStreamContext.PullSubscription

    async def next(self, limit_s: float) -> Delivery | None:
        try:
            (message,) = await self.pull.fetch(1, timeout=limit_s)
            return _NatsDelivery(message)
        except TimeoutError:
            return None
        except (NatsError, OSError) as exc:
            raise BusTrouble(f"no message could be fetched: {exc or type(exc).__name__}") from exc
        finally:
            _be_cancelled_if_so()

    async def close(self) -> None:
        with suppress(NatsError, OSError):
            await self.pull.unsubscribe()


def _be_cancelled_if_so() -> None:
    """The client uses ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that meets a message."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@dataclass(frozen=True, slots=True)
class _NatsDelivery:
    message: Msg

    @property
    def subject(self) -> str:
        return self.message.subject

    @property
    def body(self) -> bytes:
        return self.message.data

    @property
    def headers(self) -> Mapping[str, str]:
        return {name: value for name, value in (self.message.headers or {}).items() if name != _MESSAGE_ID}

    @property
    def message_id(self) -> str:
        return str((self.message.headers or {}).get(_MESSAGE_ID, ""))

    @property
    def attempt(self) -> int:
        return self.message.metadata.num_delivered or 1

    async def ack(self) -> None:
        await self._answer(self.message.ack())

    async def nak(self, delay_s: float = 0.0) -> None:
        await self._answer(self.message.nak(delay_s or None))

    async def still_working(self) -> None:
        await self._answer(self.message.in_progress())

    async def _answer(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            await sending
        except (NatsError, OSError) as exc:
            raise BusTrouble(f"{self.subject} could not be answered: {exc or type(exc).__name__}") from exc

"""`amqp` is an AMQP 0-9-1 broker such as RabbitMQ.

```yaml
connections:
  bus: {amqp: "amqp://127.0.0.1:5672/shop", user: probe, password: "env:BUS_PASSWORD", heartbeat: 10, writes: true}
```

A message goes to an `exchange` with a routing `key`, or straight into a `queue`. It is persistent; the step holds once
the broker has confirmed it, and fails where no queue takes it. The run's marks are headers, and the properties
`correlation_id` and `message_id` too; `Content-Type`, `Content-Encoding` and `Reply-To` are properties.

To `receive`, name an `exchange` and a binding `key` (`orders.*`, `orders.#`; without one all of a topic, fanout or
headers exchange). It gets an exclusive queue of its own there, which is deleted after the run and by the broker as soon
as the connection is gone. It never reads from a queue that is there already: each message that it got would be missing
for its owner. Bind to the exchange that feeds the queue; the default exchange cannot be bound to. The account needs the
rights to configure, write and read `amq.gen-.*`, and to read the exchange.

What a listener changes while it listens: a message that no other queue takes counts as routed, so it goes to no
alternate exchange and does not come back to its sender; and an auto-delete exchange goes when its last binding goes,
which may be ours. To count the messages of a queue touches none of them, but it prolongs the life of a queue that has
`x-expires`.

`amqps://` asks for TLS. The path is the virtual host, `/` without one; write a slash inside as `%2F`. `heartbeat` is in
seconds: a connection that is silent three times as long is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from synthmon.connections.amqp_messages import message_of, properties_of
from synthmon.connections.amqp_words import in_words
from synthmon.connections.breaking import Breakable
from synthmon.connections.opening import opened
from synthmon.core.connections import ConnectionTrouble, Objection, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage

PORTS = {"amqp": 5672, "amqps": 5671}
DIAL_S, LISTEN_S, LEAVE_S = 5.0, 10.0, 5.0  # for one address; to be bound; to take leave of the broker
MOST_IDLE = 8  # channels kept for the next publication


class AmqpKeys(BaseModel):
    """The keys of an `amqp` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amqp: str = Field(description="Its address: `amqp://host:5672/vhost`, or `amqps://host:5671/vhost`.")
    user: str = Field("guest", description="The user to log in as. Default `guest`.")
    password: str | None = Field(None, description="Its password, by reference: `env:BUS_PASSWORD`. Default `guest`.")
    heartbeat: StrictInt = Field(10, ge=1, le=600, description="Seconds between signs of life. Default 10.")


class AmqpLink(Breakable):
    """One connection to a broker (`core.connections.Publishes`, `Hears`, `Counts`)."""

    def __init__(self) -> None:
        super().__init__()
        self._connection: AbstractConnection | None = None
        self._idle: list[AbstractChannel] = []  # a channel of its own for each publication under way: one that fails
        self._leaving: set[asyncio.Task[None]] = set()  # takes no other with it
        self._number = 0  # of the channel that was opened last

    async def connect(self, keys: AmqpKeys, outlet: Outlet) -> None:
        """To the first address that answers. Raises `ConnectionTrouble`, or what the library raises."""
        parts = urlsplit(keys.amqp)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        password = outlet.secret("password") if keys.password else "guest"
        secure = {"context": outlet.tls(), "server_hostname": host} if parts.scheme == "amqps" else {}
        failed: Exception = ConnectionTrouble(Reason.RESOLVER, f"there is no address for {host}", sent=False)
        for address in await outlet.pinned(host, port):
            try:
                async with asyncio.timeout(DIAL_S):
                    with in_words(f"the broker at {host} did not let `{keys.user}` in"):
                        await self._dial(keys, parts.scheme, address, port, password, secure)
                return
            except TimeoutError:
                failed = ConnectionTrouble(
                    Reason.TIMEOUT, f"{host} ({address}) was silent for {DIAL_S:g} s", sent=False
                )
            except OSError as error:
                failed = error
        raise failed

    async def publish(self, publication: Publication) -> None:
        to = publication.to
        queue, exchange = to.get("queue"), to.get("exchange", "")
        key = queue if queue is not None else to.get("key", "")
        place = f"the queue {queue}" if queue is not None else f"the exchange {exchange or '(default)'} with {key!r}"
        channel = await self._channel()
        sound = False
        try:
            with in_words(f"nothing was left at {place}"):
                properties = properties_of(publication.headers)
                await channel.basic_publish(
                    publication.content, exchange=exchange, routing_key=key, properties=properties, mandatory=True
                )
            sound = True
        finally:
            self._give_back(channel, sound)

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        exchange, key = to["exchange"], to.get("key", "#")
        if not exchange:
            raise ConnectionTrouble(Reason.EXPRESSION, f"{_DEFAULT.fault} {_DEFAULT.remedy}", sent=False)
        async with asyncio.timeout(LISTEN_S):
            channel = await self._new_channel(confirms=False)
            try:
                with in_words(f"the exchange {exchange} could not be listened to"):
                    return await self._bound(channel, exchange, key, hear)
            except BaseException:
                self._give_back(channel, sound=False)
                raise

    async def count(self, at: Mapping[str, str]) -> int:
        """The messages of `queue` that are ready for a consumer; those given to one and not settled do not count."""
        channel = await self._new_channel(confirms=False)
        try:
            with in_words(f"the messages in {at['queue']} could not be counted"):
                declared = await channel.queue_declare(at["queue"], passive=True)
            return declared.message_count or 0
        finally:
            self._give_back(channel, sound=False)

    async def aclose(self) -> None:
        if self._connection is not None:
            await asyncio.gather(*self._leaving, return_exceptions=True)
            with suppress(Exception):  # it is let go of, whatever it says
                async with asyncio.timeout(LEAVE_S):
                    await self._connection.close()
        self.break_off("it was closed")

    async def _dial(
        self, keys: AmqpKeys, scheme: str, address: str, port: int, password: str, secure: Mapping[str, Any]
    ) -> None:
        from aiormq.connection import Connection
        from yarl import URL

        url = URL.build(scheme=scheme, user=keys.user, password=password, host=address, port=port, path="/")
        connection = Connection(
            url.with_query(heartbeat=keys.heartbeat), client_properties={"connection_name": "synthmon"}, **secure
        )
        connection.vhost = _vhost(keys.amqp)  # the library's own reading of the path knows no `%`
        connection.closing.add_done_callback(self._closed)
        await connection.connect()
        self._connection = connection

    async def _bound(self, channel: AbstractChannel, exchange: str, key: str, hear: Hear) -> AmqpEar:
        async def heard(message: DeliveredMessage) -> None:
            hear(message_of(message))

        declared = await channel.queue_declare(exclusive=True, auto_delete=True)
        queue = declared.queue or ""
        await channel.queue_bind(queue, exchange, key)
        consuming = await channel.basic_consume(queue, heard, no_ack=True, exclusive=True)
        return AmqpEar(f"{exchange}/{key}", queue, consuming.consumer_tag or "", channel, self)

    def _opened(self) -> AbstractConnection:
        if self._connection is None or self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to the broker was lost", sent=False)
        return self._connection

    async def _channel(self) -> AbstractChannel:
        self._opened()
        while self._idle:
            if not (channel := self._idle.pop()).is_closed:
                return channel
        return await self._new_channel(confirms=True)

    async def _new_channel(self, confirms: bool) -> AbstractChannel:
        """With the number that was free longest: the library frees one before it has told the broker that it saw it
        closed, and a broker that hears it opened in between ends the connection with all that is under way."""
        connection = self._opened()
        most = connection.connection_tune.channel_max or 65535  # where the broker sets no limit
        for number in chain(range(self._number + 1, most + 1), range(1, self._number + 1)):
            if number not in connection.channels:
                self._number = number
                return await connection.channel(number, publisher_confirms=confirms)
        raise ConnectionTrouble(Reason.SATURATED, f"all {most} channels of the connection are in use", sent=False)

    def _give_back(self, channel: AbstractChannel, sound: bool) -> None:
        """Keep a channel for the next, or let it go in the background: it may have been closed for our fault."""
        if sound and len(self._idle) < MOST_IDLE:
            self._idle.append(channel)
        elif not channel.is_closed and not self.broken:
            task = asyncio.create_task(_leave(channel))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _closed(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        if self._connection is not None:  # while it is opened, `connect` tells it
            self.break_off(f"the broker closed it: {error}" if error else "the broker closed it")


class AmqpEar:
    """`core.door.OpenEar` of one queue of our own. Where the broker takes that away, the link is of no more use."""

    def __init__(self, where: str, queue: str, tag: str, channel: AbstractChannel, link: AmqpLink) -> None:
        self._where, self._queue, self._tag, self._channel, self._link = where, queue, tag, channel, link
        self._closing = False
        channel.on_consumer_cancel_callbacks.add(self._cancelled)
        channel.closing.add_done_callback(self._gone)

    @property
    def where(self) -> str:
        return self._where

    async def aclose(self) -> None:
        self._closing = True
        with suppress(Exception):  # the connection may be gone, and the queue with it
            async with asyncio.timeout(LEAVE_S):
                await self._channel.basic_cancel(self._tag)
                await self._channel.queue_delete(self._queue)
        await _leave(self._channel)

    def _cancelled(self, frame: object) -> None:
        self._lost("the broker deleted the queue of a listener")

    def _gone(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self._lost(f"the channel of a listener was closed: {error}")

    def _lost(self, why: str) -> None:
        if not self._closing:
            self._link.break_off(why)


_MANUAL = __doc__
_DEFAULT = Objection("exchange", "The default exchange cannot be bound to.", "Name the exchange that the sender uses.")
_QUEUE = Objection(
    "queue",
    "Reading from a queue takes its messages away from their owner.",
    "Name the `exchange` that feeds it and the `key` that it is bound with, for a queue of the run's own.",
)
_TWICE = Objection("queue", "A message goes to one place, not to a queue and an exchange.", "Keep one of them.")
_NO_EXCHANGE = Objection("key", "A routing key alone is no place.", "Add `exchange:`, or write `queue:` instead.")


class AmqpConnection:
    """The kind of connection that `amqp:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "amqp"
    manual: str = _MANUAL
    extra: str = "amqp"
    library: str = "aiormq"
    keys: type[BaseModel] = AmqpKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({"exchange": False, "key": False, "queue": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"exchange": True, "key": False})

    def hosts(self, keys: AmqpKeys) -> Sequence[str]:
        """The host of its address."""
        parts = urlsplit(keys.amqp)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"{keys.amqp!r} is not an address such as amqp://host:5672/vhost")
        if parts.username is not None:
            raise ValueError("the address holds a user; write `user:` and `password: env:NAME`")
        if parts.query or parts.fragment or parts.path.count("/") > 1:
            raise ValueError("after the host an address holds a virtual host and no more; write a slash in it as %2F")
        return (parts.hostname,)

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What cannot be a place (`core.connections.Particular`)."""
        if heard:
            return [_QUEUE] if "queue" in place else [_DEFAULT] if place.get("exchange") == "" else []
        if "queue" in place:
            return [_TWICE] if place.keys() & {"exchange", "key"} else []
        return [_NO_EXCHANGE] if "key" in place and "exchange" not in place else []

    async def open(self, keys: AmqpKeys, outlet: Outlet) -> AmqpLink:
        """Connect to it."""
        link = AmqpLink()
        return await opened(link, link.connect(keys, outlet))


CONNECTION = AmqpConnection()


async def _leave(channel: AbstractChannel) -> None:
    with suppress(Exception):  # the connection may be gone, and the channel with it
        async with asyncio.timeout(LEAVE_S):
            await channel.close()


def _vhost(address: str) -> str:
    return unquote(urlsplit(address).path[1:]) or "/"

"""`nats` is a NATS server, with or without JetStream.

```yaml
connections:
  bus: {nats: "nats://127.0.0.1:4222", user: probe, password: "env:BUS_PASSWORD", writes: true}
```

A message goes to a `subject`; with `stream` it is acknowledged by JetStream once it is stored, without by the server
once it was passed on. To `receive`, a `subject` (`orders.*` and `orders.>` too) hears a copy of every message, those
that go to a stream included; with `stream` a consumer of its own reads the stream from now on, and is removed after
the run. `tls://` asks for TLS. Servers that a cluster announces are not dialled: they were not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.connections.opening import opened
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Message, Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.js import JetStreamContext

PORT = 4222


class NatsKeys(BaseModel):
    """The keys of a `nats` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nats: str = Field(description="Its address: `nats://host:4222`, or `tls://host:4222`.")
    user: str = Field("", description="The user to log in as.")
    password: str | None = Field(None, description="Its password, by reference: `env:BUS_PASSWORD`.")
    token: str | None = Field(None, description="A token instead, by reference: `env:BUS_TOKEN`.")


class NatsLink(Breakable):
    """One connection to a server (`core.connections.Publishes`, `Hears`)."""

    def __init__(self) -> None:
        super().__init__()
        self._client: Client | None = None

    async def connect(self, keys: NatsKeys, outlet: Outlet) -> None:
        """To the first address that answers. Raises what the library raises."""
        from nats.aio.client import Client

        parts = urlsplit(keys.nats)
        host, port = parts.hostname or "", parts.port or PORT
        secure = parts.scheme == "tls"
        addresses = await outlet.pinned(host, port)
        options: dict[str, Any] = {"tls": outlet.tls(), "tls_hostname": host} if secure else {}
        if keys.user:
            options |= {"user": keys.user, "password": outlet.secret("password")}
        if keys.token:
            options["token"] = outlet.secret("token")
        self._client = Client()
        await self._client.connect(
            servers=[f"nats://[{a}]:{port}" if ":" in a else f"nats://{a}:{port}" for a in addresses],
            name="synthmon",
            allow_reconnect=False,  # what broke is opened anew, through the guard
            connect_timeout=5,
            max_reconnect_attempts=1,
            dont_randomize=True,
            closed_cb=self._closed,
            error_cb=self._complained,
            **options,
        )

    async def publish(self, publication: Publication) -> None:
        client = self._open()
        headers = dict(publication.headers)
        subject, stream = publication.to["subject"], publication.to.get("stream")
        if stream:
            await client.jetstream().publish(subject, publication.content, stream=stream, headers=headers)
            return
        await client.publish(subject, publication.content, headers=headers)
        await client.flush()

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        client = self._open()
        subject, stream = to["subject"], to.get("stream")

        async def heard(message: Msg) -> None:
            hear(_message(message))

        if stream:
            from nats.js.api import ConsumerConfig, DeliverPolicy

            pushed = await client.jetstream().subscribe(
                subject,
                stream=stream,
                cb=heard,
                ordered_consumer=True,
                config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW, inactive_threshold=30),
            )
            return StreamEar(f"{subject} in {stream}", pushed, client)
        subscription = await client.subscribe(subject, cb=heard)
        await client.flush()  # the server has it now, and not only our buffer
        return NatsEar(subject, subscription)

    async def count(self, at: Mapping[str, str]) -> int:
        """The messages of the stream `at["stream"]`, or those that its consumer `at["consumer"]` has still to deliver
        or to have acknowledged."""
        streams = self._open().jetstream()
        if consumer := at.get("consumer"):
            about = await streams.consumer_info(at["stream"], consumer)
            return (about.num_pending or 0) + (about.num_ack_pending or 0)
        return (await streams.stream_info(at["stream"])).state.messages

    async def aclose(self) -> None:
        if self._client is not None:
            with suppress(Exception):  # it is let go of, whatever it says
                await self._client.close()
        self.break_off("it was closed")

    def _open(self) -> Client:
        if self._client is None or self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to NATS was lost", sent=False)
        return self._client

    async def _closed(self) -> None:
        self.break_off("the server closed it")

    async def _complained(self, error: Exception) -> None:
        """What the library would write to the log; the next use of the link tells it."""


class NatsEar:
    """`core.door.OpenEar` of one subscription."""

    def __init__(self, where: str, subscription: Subscription) -> None:
        self._where, self._subscription = where, subscription

    @property
    def where(self) -> str:
        return self._where

    async def aclose(self) -> None:
        with suppress(Exception):  # the connection may be gone, and the subscription with it
            await self._subscription.unsubscribe()


class StreamEar(NatsEar):
    """One consumer of a stream; nothing is left of it afterwards."""

    def __init__(self, where: str, pushed: JetStreamContext.PushSubscription, client: Client) -> None:
        super().__init__(where, pushed)
        self._pushed, self._client = pushed, client

    async def aclose(self) -> None:
        with suppress(Exception):  # the connection may be gone; an idle consumer removes itself
            consumer = await self._pushed.consumer_info()
            await self._client.jetstream().delete_consumer(consumer.stream_name, consumer.name)
        await super().aclose()


_MANUAL = __doc__


class NatsConnection:
    """The kind of connection that `nats:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "nats"
    manual: str = _MANUAL
    extra: str = ""
    library: str = ""
    keys: type[BaseModel] = NatsKeys
    secrets: frozenset[str] = frozenset(("password", "token"))
    sends_to: Mapping[str, bool] = MappingProxyType({"subject": True, "stream": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"subject": True, "stream": False})

    def hosts(self, keys: NatsKeys) -> Sequence[str]:
        """The host of its address."""
        parts = urlsplit(keys.nats)
        if parts.scheme not in ("nats", "tls") or not parts.hostname:
            raise ValueError(f"{keys.nats!r} is not an address such as nats://host:4222")
        if parts.username is not None:
            raise ValueError("the address holds a user; write `user:` and `password: env:NAME`")
        return (parts.hostname,)

    async def open(self, keys: NatsKeys, outlet: Outlet) -> NatsLink:
        """Connect to it."""
        link = NatsLink()
        return await opened(link, link.connect(keys, outlet))


CONNECTION = NatsConnection()


def _message(message: Msg) -> Message:
    headers = tuple((name.lower(), value) for name, value in (message.headers or {}).items())
    return Message(message.subject, headers, message.data, 0.0, _sequence(message))


def _sequence(message: Msg) -> str:
    """Stream and sequence of a message that JetStream delivers; empty for any other."""
    if not message.reply.startswith("$JS.ACK."):
        return ""
    sequence = message.metadata.sequence
    return f"{message.metadata.stream}:{sequence.stream if sequence else ''}"

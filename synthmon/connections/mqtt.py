"""`mqtt` is an MQTT 5 broker such as Mosquitto, EMQX or HiveMQ.

```yaml
connections:
  bus: {mqtt: "mqtt://127.0.0.1:1883", user: probe, password: "env:BUS_PASSWORD", client: shop-probe, writes: true}
```

A message goes to a `topic` with QoS 1, and the step holds once the broker has acknowledged it, whether or not anybody
has subscribed to the topic. The run's marks are user properties; the content type is one of MQTT's own properties, and
the correlation id is its correlation data as well.

To `receive`, name a topic or a filter (`orders/+/paid`, `orders/#`). Each listener is a client of its own, with an id
that nobody else has, a clean start and QoS 1: no session of anybody else is touched, and nothing of it is kept. A
shared subscription (`$share/…`) is refused: it would take messages away from its group. A retained message that was
there before is not one of now, and is not heard; one that is published with the retain flag while the run listens is.
Nothing is ever sent with the retain flag: it would stay.

`mqtts://` asks for TLS. Client ids begin with `client`, for brokers whose rules go by them. MQTT 3.1.1 is not spoken:
it has no place for the marks. A server that another one refers to is not dialled: it was not looked at.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.connections.mqtt_session import Heard, Session, dial
from synthmon.connections.opening import opened
from synthmon.core.connections import ConnectionTrouble, Objection, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Message, Publication
from synthmon.core.outcomes import Reason

PORTS = {"mqtt": 1883, "mqtts": 8883}
LISTEN_S = 10.0


class MqttKeys(BaseModel):
    """The keys of an `mqtt` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mqtt: str = Field(description="Its address: `mqtt://host:1883`, or `mqtts://host:8883`.")
    user: str = Field("", description="The user to log in as.")
    password: str | None = Field(None, description="Its password, by reference: `env:BUS_PASSWORD`.")
    client: str = Field("synthmon", description="What its client ids begin with. Default `synthmon`.")


class MqttLink(Breakable):
    """A session to publish with, and one for each listener (`core.connections.Publishes`, `Hears`)."""

    def __init__(self, keys: MqttKeys, outlet: Outlet) -> None:
        super().__init__()
        self._keys, self._outlet = keys, outlet
        self._sessions: set[Session] = set()
        self._speaks: Session | None = None

    async def connect(self) -> None:
        """To the first address that answers. Raises `ConnectionTrouble` or `OSError`."""
        self._speaks = await self._session(_nobody)
        self._speaks.lost = self.break_off

    async def publish(self, publication: Publication) -> None:
        topic = publication.to["topic"]
        _refuse(topic, heard=False)
        if self._speaks is None or self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to the broker was lost", sent=False)
        await self._speaks.publish(topic, publication.headers, publication.content)

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        pattern = to["topic"]
        _refuse(pattern, heard=True)
        async with asyncio.timeout(LISTEN_S):
            session = await self._session(hear)
            try:
                await session.subscribe(pattern)
            except BaseException:
                await self.let_go(session)
                raise
        session.lost = self.break_off
        return MqttEar(pattern, session, self)

    async def let_go(self, session: Session) -> None:
        """End one of its sessions. Never raises."""
        self._sessions.discard(session)
        await session.aclose()

    async def aclose(self) -> None:
        while self._sessions:
            await self._sessions.pop().aclose()
        self.break_off("it was closed")

    async def _session(self, heard: Heard) -> Session:
        parts = urlsplit(self._keys.mqtt)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        context = self._outlet.tls() if parts.scheme == "mqtts" else None
        wire = await dial(await self._outlet.pinned(host, port), port, host, context)
        session = Session(wire, f"{self._keys.client}-{secrets.token_hex(8)}", heard)
        self._sessions.add(session)
        try:
            await session.begin(host, port, self._keys.user, self._outlet.secret("password"))
        except BaseException:
            await self.let_go(session)
            raise
        return session


class MqttEar:
    """`core.door.OpenEar` of one session."""

    def __init__(self, where: str, session: Session, link: MqttLink) -> None:
        self._where, self._session, self._link = where, session, link

    @property
    def where(self) -> str:
        return self._where

    async def aclose(self) -> None:
        await self._link.let_go(self._session)


_MANUAL = __doc__
_EMPTY = Objection("topic", "An empty topic is none.", "Write the topic in full.")
_PATTERN = Objection("topic", "A message goes to one topic, and `+` and `#` mean many.", "Write the topic in full.")
_SHARED = Objection(
    "topic",
    "A shared subscription takes messages away from the others of its group.",
    "Subscribe to what follows `$share/<group>/`: that brings a copy of every message.",
)


class MqttConnection:
    """The kind of connection that `mqtt:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "mqtt"
    manual: str = _MANUAL
    extra: str = "mqtt"
    library: str = "paho"
    keys: type[BaseModel] = MqttKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({"topic": True})
    hears_at: Mapping[str, bool] = MappingProxyType({"topic": True})

    def hosts(self, keys: MqttKeys) -> Sequence[str]:
        """The host of its address."""
        parts = urlsplit(keys.mqtt)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError(f"{keys.mqtt!r} is not an address such as mqtt://host:1883")
        if parts.username is not None:
            raise ValueError("the address holds a user; write `user:` and `password: env:NAME`")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("an address ends with its port; write the topic into the step")
        return (parts.hostname,)

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What cannot be a place (`core.connections.Particular`)."""
        topic = place.get("topic")
        if not topic:
            return [] if topic is None else [_EMPTY]
        if heard:
            return [_SHARED] if topic.startswith("$share/") else []
        written = topic.partition("${")[0]  # a `+` in an expression adds
        return [_PATTERN] if "#" in written or "+" in written else []

    async def open(self, keys: MqttKeys, outlet: Outlet) -> MqttLink:
        """Connect to it."""
        link = MqttLink(keys, outlet)
        return await opened(link, link.connect())


CONNECTION = MqttConnection()


def _nobody(message: Message) -> None:
    """A session that subscribed to nothing hears nothing."""


def _refuse(topic: str, heard: bool) -> None:
    """A place whose values were not known before. Raises `ConnectionTrouble`."""
    for objection in CONNECTION.objections({"topic": topic}, heard):
        raise ConnectionTrouble(Reason.EXPRESSION, f"{topic}: {objection.fault} {objection.remedy}", sent=False)

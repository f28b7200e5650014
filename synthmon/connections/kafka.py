"""`kafka` is a Kafka cluster, or whatever speaks its protocol.

```yaml
connections:
  bus:
    kafka: ["tls://kafka-1.example.com:9093", "tls://kafka-2.example.com:9093"]
    allow: ["*.example.com"]
    user: probe
    password: "env:BUS_PASSWORD"
    mechanism: SCRAM-SHA-512
    writes: true
```

`kafka` is one address or a list, `host:9092`, or `tls://host:9093` for TLS. A cluster tells its clients where its
brokers are: each of those must stand in `allow` as well (which without a word of yours holds the hosts of the
addresses), or nothing is connected to.

A message goes to a `topic`, with a `key` if you give one, and counts as sent when all replicas in sync have it. It is
sent once: a broker that did not answer in time may have it all the same. No topic is made by sending or listening.

To `receive`, a `topic`: every partition is read from where it ended when the listener began, new partitions from their
start, without a consumer group, so that nobody's offsets move. After a lost connection it reads on from where it was.
What a transaction took back is not heard. The key of a record stands among its headers as `kafka.key`; each of
`messages` has `partition` and `offset` as well.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from synthmon.connections.breaking import Breakable
from synthmon.connections.opening import opened
from synthmon.core.connections import ConnectionTrouble, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from aiokafka.cluster import ClusterMetadata

    from synthmon.connections.pinned.kafka import PinnedClient
    from synthmon.connections.pinned.kafka_ear import KafkaEar

PORT = 9092
FRESH_S = 60.0  # how long the leaders of a topic are taken as known, while they do not say otherwise
MOST_TOPICS = 1000


class KafkaKeys(BaseModel):
    """The keys of a `kafka` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: str | list[str] = Field(description="Its address, or several: `host:9092`, or `tls://host:9093`.")
    user: str = Field("", description="The user to log in as.")
    password: str | None = Field(None, description="Its password, by reference: `env:BUS_PASSWORD`.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="How to log in. `PLAIN` sends the password as it is: use TLS."
    )


class KafkaLink(Breakable):
    """What is known of a cluster, and its connections (`core.connections.Publishes`, `Resumes`, `Counts`)."""

    def __init__(self, keys: KafkaKeys, outlet: Outlet) -> None:
        super().__init__()
        self._servers, secure = _servers(keys)
        self._outlet = outlet
        self._options: dict[str, Any] = {"security_protocol": "SSL" if secure else "PLAINTEXT"}
        if secure:
            self._options["ssl_context"] = outlet.tls()
        if keys.user:
            self._options |= {
                "security_protocol": "SASL_SSL" if secure else "SASL_PLAINTEXT",
                "sasl_mechanism": keys.mechanism,
                "sasl_plain_username": keys.user,
                "sasl_plain_password": outlet.secret("password"),
            }
        self._client = self._made(fresh_s=FRESH_S)
        self._topics: dict[str, tuple[float, ClusterMetadata]] = {}
        self._ears: set[KafkaEar] = set()

    async def connect(self) -> None:
        """Learn of the cluster. Raises what the library raises."""
        await self._client.bootstrap()

    async def publish(self, publication: Publication) -> None:
        from synthmon.connections.pinned.kafka_calls import NotThere, partition_for, produce, record

        topic, key = publication.to["topic"], publication.to.get("key")
        batch = record(publication, key)
        client = self._open()
        for again in (True, False):
            known = await self._known(topic)
            partition = partition_for(known, topic, key)
            try:
                await produce(client, known, topic, partition, batch)
                return
            except NotThere:  # it has not been written: the partition has moved
                self._topics.pop(topic, None)
                if not again:
                    raise

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        return await self._bound(to["topic"], hear, {})

    async def resume(self, to: Mapping[str, str], hear: Hear, stopped: OpenEar) -> OpenEar:
        from synthmon.connections.pinned.kafka_ear import KafkaEar

        return await self._bound(to["topic"], hear, stopped.after if isinstance(stopped, KafkaEar) else {})

    async def count(self, at: Mapping[str, str]) -> int:
        """How far the group `at["group"]` is behind on the topic `at["topic"]`, over all partitions."""
        from synthmon.connections.pinned.kafka_calls import behind

        client, topic = self._open(), at["topic"]
        return await behind(client, await client.about(topic), topic, at["group"])

    async def aclose(self) -> None:
        self.break_off("it was closed")
        await asyncio.gather(*(ear.aclose() for ear in list(self._ears)))
        with suppress(Exception):  # it is let go of, whatever it says
            await self._client.close()

    async def _bound(self, topic: str, hear: Hear, after: Mapping[int, int]) -> KafkaEar:
        from synthmon.connections.pinned.kafka_ear import FRESH_S, KafkaEar

        self._open()
        ear = KafkaEar(topic, hear, self._made(FRESH_S), self.break_off, self._ears.discard)
        self._ears.add(ear)
        try:
            await ear.begin(after)
        except BaseException:
            await ear.aclose()
            raise
        return ear

    def _made(self, fresh_s: float) -> PinnedClient:
        from synthmon.connections.pinned.kafka import PinnedClient

        return PinnedClient(self._servers, self._outlet.pinned, self.break_off, self._options, int(fresh_s * 1000))

    async def _known(self, topic: str) -> ClusterMetadata:
        """The partitions of a topic and their leaders; asked again after a while."""
        until_s, known = self._topics.get(topic, (0.0, None))
        if known is None or time.monotonic() > until_s:
            if len(self._topics) >= MOST_TOPICS:  # names with an id in them
                self._topics.clear()
            known = await self._open().about(topic)
            self._topics[topic] = (time.monotonic() + FRESH_S, known)
        return known

    def _open(self) -> PinnedClient:
        if self.broken:
            raise ConnectionTrouble(Reason.RESET, "the connection to Kafka was lost", sent=False)
        return self._client


_MANUAL = __doc__


class KafkaConnection:
    """The kind of connection that `kafka:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "kafka"
    manual: str = _MANUAL
    extra: str = "kafka"
    library: str = "aiokafka"
    keys: type[BaseModel] = KafkaKeys
    secrets: frozenset[str] = frozenset(("password",))
    sends_to: Mapping[str, bool] = MappingProxyType({"topic": True, "key": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"topic": True})

    def hosts(self, keys: KafkaKeys) -> Sequence[str]:
        """The hosts of its addresses."""
        if bool(keys.user) != bool(keys.password):
            raise ValueError("`user` and `password` belong together")
        _servers(keys)
        return [urlsplit(_with_scheme(address)).hostname or "" for address in _addresses(keys)]

    async def open(self, keys: KafkaKeys, outlet: Outlet) -> KafkaLink:
        """Connect to it."""
        link = KafkaLink(keys, outlet)
        return await opened(link, link.connect())


CONNECTION = KafkaConnection()


def _servers(keys: KafkaKeys) -> tuple[list[str], bool]:
    """`host:port` of each address, and whether they speak TLS. Raises `ValueError` with the words for a person."""
    found, schemes = [], set()
    for address in _addresses(keys):
        parts = urlsplit(_with_scheme(address))
        if parts.username is not None:
            raise ValueError("the address holds a user; write `user:` and `password: env:NAME`")
        if parts.scheme not in ("kafka", "tls") or not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError(f"{address!r} is not an address such as host:9092 or tls://host:9093")
        schemes.add(parts.scheme)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        found.append(f"{host}:{parts.port or PORT}")
    if len(schemes) != 1:
        raise ValueError(
            "all addresses of one cluster are with tls:// or without" if schemes else "there is no address"
        )
    return found, schemes == {"tls"}


def _addresses(keys: KafkaKeys) -> list[str]:
    return [keys.kafka] if isinstance(keys.kafka, str) else keys.kafka


def _with_scheme(address: str) -> str:
    return address if "://" in address else f"kafka://{address}"

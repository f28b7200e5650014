"""A client of a Kafka cluster that dials no broker, advertised or not, before the guard has looked at its address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext, SSLError
from typing import Any

from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from synthmon.core.connections import ConnectionTrouble
from synthmon.core.outcomes import Reason

REQUEST_MS = 8_000
IDLE_MS = 60_000  # before brokers (10 min) and the balancers before them (from 4 min on) drop an idle connection

Pinned = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → the numeric addresses that may be dialled; raises when none may."""


class PinnedClient(AIOKafkaClient):  # type: ignore[misc]  # the library says nothing of its types
    """`AIOKafkaClient` with connections of ours. `lost` is told when one breaks; what is known of the topics is at most
    `fresh_ms` old; `options` are the library's own for TLS and the login."""

    _sync_task: Any

    def __init__(
        self,
        servers: Sequence[str],
        pinned: Pinned,
        lost: Callable[[str], None],
        options: Mapping[str, Any],
        fresh_ms: int,
    ) -> None:
        super().__init__(
            bootstrap_servers=list(servers),
            client_id="synthmon",
            request_timeout_ms=REQUEST_MS,
            metadata_max_age_ms=fresh_ms,
            connections_max_idle_ms=IDLE_MS,
            **options,
        )
        self._pinned, self._lost, self._options = pinned, lost, options

    async def bootstrap(self) -> None:
        """Ask the first server that answers for the cluster, all of whose brokers must be allowed. Raises what the last
        server failed with."""
        failed: Exception | None = None
        for host, port, _ in self.hosts:
            try:
                connection = await self._dialled(host, port)
                try:
                    metadata = await connection.send(MetadataRequest([]))
                finally:
                    connection.close()
            except (OSError, KafkaError) as error:  # TimeoutError is an OSError
                failed = error
                continue
            self.cluster.update_metadata(metadata)
            break
        else:
            assert failed is not None  # there is at least one server
            raise failed
        await self._check_brokers()
        if self._sync_task is None:
            self._sync_task = asyncio.create_task(self._md_synchronizer())

    async def about(self, topic: str) -> ClusterMetadata:
        """What the cluster says of one topic now. It is not made by asking. Raises `ConnectionTrouble`."""
        seen = ClusterMetadata()
        if not await self._metadata_update(seen, [topic]):
            raise ConnectionTrouble(Reason.NO_ANSWER, "no broker of the Kafka cluster answers", sent=False)
        if topic in seen.unauthorized_topics:
            raise ConnectionTrouble(Reason.NO_ANSWER, f"this user may not see the topic {topic}", sent=False)
        if not seen.partitions_for_topic(topic):
            raise ConnectionTrouble(Reason.NO_ANSWER, f"the Kafka cluster has no topic {topic}", sent=False)
        return seen

    async def _check_brokers(self) -> None:
        """Raises `ConnectionTrouble` when the cluster calls a stranger its broker: told now, not in some later run."""
        if not self.cluster.brokers():
            raise ConnectionTrouble(Reason.BAD_ANSWER, "the Kafka cluster names no broker of its own", sent=False)
        for broker in self.cluster.brokers():
            try:
                await self._pinned(broker.host, broker.port)
            except OSError:  # no address for it just now; others may do
                continue
            except Exception as error:
                told = f"the Kafka cluster says that its broker {broker.nodeId} is {broker.host}:{broker.port}; {error}"
                raise ConnectionTrouble(Reason.EGRESS_BLOCKED, told, sent=False) from error

    async def _get_conn(
        self, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> AIOKafkaConnection | None:
        """The one place where the library connects to what a cluster advertises; None when that is not possible."""
        async with self._get_conn_lock:
            known = self._conns.get((node_id, group))
            if known is not None and known.connected():
                return known
            self._conns.pop((node_id, group), None)
            broker = self.cluster.broker_metadata(node_id)
            if broker is None:
                self.force_metadata_update()
                return None
            try:
                made = await self._dialled(broker.host, broker.port, self._on_connection_closed)
            except (OSError, KafkaError) as error:
                self.force_metadata_update()
                if not any(connection.connected() for connection in self._conns.values()):
                    self._lost(f"no broker can be reached: {error}")
                return None
            except Exception as error:  # noqa: BLE001  the guard's, whatever it is: it is told when the link is opened anew
                self._lost(str(error))
                return None
            self._conns[(node_id, group)] = made
            return made

    def _on_connection_closed(self, connection: AIOKafkaConnection, reason: CloseReason) -> None:
        super()._on_connection_closed(connection, reason)
        if reason in (CloseReason.CONNECTION_BROKEN, CloseReason.CONNECTION_TIMEOUT, CloseReason.OUT_OF_SYNC):
            self._lost(f"the connection to the broker {connection.host}:{connection.port} was lost")

    async def _dialled(
        self, host: str, port: int, closed: Callable[[AIOKafkaConnection, CloseReason], None] | None = None
    ) -> AIOKafkaConnection:
        addresses = await self._pinned(host, port)
        connection = _Connection(
            host,
            port,
            client_id="synthmon",
            request_timeout_ms=REQUEST_MS,
            max_idle_ms=IDLE_MS,
            on_close=closed,
            **self._options,
        )
        connection.dial(addresses)
        try:
            await connection.connect()
        except KeyError as error:  # the library looks for the proof in an answer of SCRAM that is a refusal
            refused = f"the broker {host}:{port} refused the login"
            raise ConnectionTrouble(Reason.NO_ANSWER, refused, sent=False) from error
        return connection


class _Connection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection to one of the addresses that were looked at, which makes no topics by asking for them."""

    _loop: Any

    def dial(self, addresses: Sequence[str]) -> None:
        """To these and no others."""
        self._loop = _Dialler(self._loop, addresses, self.host)

    def send(self, request: Any, expect_response: bool = True) -> Any:
        if isinstance(request, MetadataRequest):  # without topics the library would ask for all, and may make one
            request = MetadataRequest(request._topics or [], allow_auto_topic_creation=False)
        return super().send(request, expect_response)


class _Dialler:
    """The loop as the library's connection sees it: a socket goes to given addresses, TLS is with the host's name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, addresses: Sequence[str], host: str) -> None:
        self._loop, self._addresses, self._host = loop, addresses, host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, protocol: Any, host: str, port: int, *, ssl: SSLContext | None) -> Any:
        failed: OSError | None = None
        for address in self._addresses:
            try:
                return await self._loop.create_connection(
                    protocol, address, port, ssl=ssl, server_hostname=self._host if ssl else None
                )
            except SSLError:
                raise
            except OSError as error:
                failed = error
        raise failed or OSError(f"there is no address to dial for {host}")

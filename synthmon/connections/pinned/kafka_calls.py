"""Single requests to a Kafka cluster: one record written once, and how far a consumer group is behind."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

from aiokafka import TopicPartition, errors
from aiokafka.client import CoordinationType
from aiokafka.cluster import ClusterMetadata
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from synthmon.connections.pinned.kafka import REQUEST_MS, PinnedClient
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.messages import Publication
from synthmon.core.outcomes import Reason

LATEST, EARLIEST = -1, -2  # ListOffsets: https://kafka.apache.org/protocol#The_Messages_ListOffsets
NO_OFFSET = -1
ALL_REPLICAS = -1

_MOVED = (errors.NotLeaderForPartitionError, errors.UnknownTopicOrPartitionError, errors.LeaderNotAvailableError)


class NotThere(ConnectionTrouble):
    """The partition is not where it was: nothing was written."""


def record(publication: Publication, key: str | None) -> bytes:
    """A batch of one record, not compressed."""
    headers = [(name, value.encode()) for name, value in publication.headers]
    # magic 2; no codec, no transaction, no producer (https://kafka.apache.org/documentation/#recordbatch); the first
    # record of a batch may be longer than the batch
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 0)
    batch.append(0, int(time.time() * 1000), _encoded(key), publication.content, headers)
    return bytes(batch.build())


def partition_for(known: ClusterMetadata, topic: str, key: str | None) -> int:
    """By the hash of the key, as other clients do; without one any that has a leader."""
    available = sorted(known.available_partitions_for_topic(topic) or ())
    chosen: int = DefaultPartitioner()(_encoded(key), sorted(known.partitions_for_topic(topic)), available)
    return chosen


async def produce(client: PinnedClient, known: ClusterMetadata, topic: str, partition: int, batch: bytes) -> None:
    """Until all replicas in sync have it; asked once. Raises `NotThere`, `ConnectionTrouble`."""
    request = ProduceRequest(None, ALL_REPLICAS, REQUEST_MS, [(topic, [(partition, batch)])])
    response = await _asked(client, _leader(known, topic, partition), request)
    for _, partitions in response.topics:
        for _, code, *_ in partitions:
            error = errors.for_code(code)
            if error in _MOVED:
                raise NotThere(Reason.NO_ANSWER, f"partition {partition} of {topic} has moved", sent=False)
            if error is not errors.NoError:
                told = f"the broker did not take the message for {topic}: {error.__name__}: {error.description}"
                raise ConnectionTrouble(Reason.NO_ANSWER, told)


async def behind(client: PinnedClient, known: ClusterMetadata, topic: str, group: str) -> int:
    """End offsets minus the offsets that a group has committed; the group is not joined. A partition without a
    committed offset counts from its start. Raises `ConnectionTrouble` when the group has committed none at all."""
    committed = await _committed(client, topic, group, sorted(known.partitions_for_topic(topic)))
    if all(offset == NO_OFFSET for offset in committed.values()):
        told = f"the consumer group {group} has committed no offset of {topic}"
        raise ConnectionTrouble(Reason.NO_ANSWER, told, sent=False)
    ends = await _offsets(client, known, topic, list(committed), LATEST)
    fresh = [partition for partition, offset in committed.items() if offset == NO_OFFSET]
    starts = await _offsets(client, known, topic, fresh, EARLIEST)
    return sum(max(0, end - starts.get(partition, committed[partition])) for partition, end in ends.items())


async def _committed(client: PinnedClient, topic: str, group: str, partitions: list[int]) -> dict[int, int]:
    try:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
    except errors.KafkaError as error:
        told = f"the cluster names no coordinator of the consumer group {group}: {error}"
        raise ConnectionTrouble(Reason.NO_ANSWER, told, sent=False) from error
    response = await _asked(client, coordinator, OffsetFetchRequest(group, [(topic, partitions)]))
    found = {}
    for _, told in response.topics:
        for partition, offset, _, code in told:
            _check(code, f"the offsets of the consumer group {group}")
            found[partition] = offset
    return found


async def _offsets(
    client: PinnedClient, known: ClusterMetadata, topic: str, partitions: list[int], at: int
) -> dict[int, int]:
    by_leader: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for partition in partitions:
        by_leader[_leader(known, topic, partition)].append((partition, at))
    found = {}
    for leader, wanted in by_leader.items():
        response = await _asked(client, leader, OffsetRequest(-1, 0, [(topic, wanted)]))
        for _, told in response.topics:
            for partition, code, _, offset in told:
                _check(code, f"the offsets of {topic}")
                found[partition] = offset
    return found


def _leader(known: ClusterMetadata, topic: str, partition: int) -> int:
    leader: int | None = known.leader_for_partition(TopicPartition(topic, partition))
    if leader is None or leader < 0:
        raise NotThere(Reason.NO_ANSWER, f"partition {partition} of {topic} has no leader just now", sent=False)
    return leader


async def _asked(client: PinnedClient, node: int, request: Any) -> Any:
    try:
        return await client.send(node, request)
    except errors.NodeNotReadyError as error:
        raise NotThere(Reason.NO_ANSWER, f"broker {node} of the Kafka cluster cannot be reached", sent=False) from error
    except errors.RequestTimedOutError as error:
        told = f"broker {node} of the Kafka cluster did not answer within {REQUEST_MS / 1000:g} s"
        raise ConnectionTrouble(Reason.TIMEOUT, told) from error


def _check(code: int, what: str) -> None:
    error = errors.for_code(code)
    if error is not errors.NoError:
        raise ConnectionTrouble(Reason.NO_ANSWER, f"the broker does not tell {what}: {error.__name__}", sent=False)


def _encoded(key: str | None) -> bytes | None:
    return None if key is None else key.encode()

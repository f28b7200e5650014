"""Hears what is written to one topic of Kafka from now on, without a consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from synthmon.connections.pinned.kafka import REQUEST_MS, PinnedClient
from synthmon.connections.reading import ReadingEar
from synthmon.core.door import Hear
from synthmon.core.messages import Message

FRESH_S = 2.0  # how old what is known of the partitions may be
KEY = "kafka.key"  # the header that shows the key of a record


class KafkaEar(ReadingEar):
    """`core.door.OpenEar` of one topic, with connections of its own. `after` is partition → the next offset to hear."""

    def __init__(
        self,
        topic: str,
        hear: Hear,
        client: PinnedClient,
        lost: Callable[[str], None],
        closed: Callable[[Any], None],
    ) -> None:
        super().__init__(topic, hear, lost, closed)
        self._topic, self._client = topic, client
        self._consumer = AIOKafkaConsumer(
            client_id="synthmon",
            group_id=None,
            request_timeout_ms=REQUEST_MS,
            auto_offset_reset="earliest",  # where the log no longer has what comes next: it was cut, or begun anew
            isolation_level="read_committed",
        )
        self._consumer._client = client  # the library takes no client; its own has not connected to anything
        self.after: dict[int, int] = {}

    async def begin(self, after: Mapping[int, int]) -> None:
        """Everything from now on is heard, or from the offsets in `after`. Raises what the library raises."""
        await self._consumer.start()
        known = await self._client.about(self._topic)
        await self._client.set_topics([self._topic])
        partitions = [TopicPartition(self._topic, each) for each in sorted(known.partitions_for_topic(self._topic))]
        if after:
            ends = {partition.partition: after.get(partition.partition, 0) for partition in partitions}
        else:
            found = await self._consumer.end_offsets(partitions)
            ends = {partition.partition: offset for partition, offset in found.items()}
        self._assign(ends)
        self.read_on()

    def _assign(self, after: Mapping[int, int]) -> None:
        """All at once: no record is fetched between the two."""
        self.after = dict(after)
        self._consumer.assign([TopicPartition(self._topic, partition) for partition in after])
        for partition, offset in after.items():
            self._consumer.seek(TopicPartition(self._topic, partition), offset)

    async def _next(self) -> None:
        found = await self._consumer.getmany(timeout_ms=int(FRESH_S * 1000))
        for partition, records in found.items():
            for record in records:
                self.after[partition.partition] = record.offset + 1
                self._hear(_message(record))
        new = (self._consumer.partitions_for_topic(self._topic) or set()) - self.after.keys()
        if new:  # made while it listened: all that is in them came after it began
            self._assign({**self.after, **dict.fromkeys(new, 0)})

    async def _let_go(self) -> None:
        # The connections may be gone. Stopped in the middle of a pause the library says that it was cancelled itself:
        # gathered, so that this is not taken for our own end.
        await asyncio.gather(self._consumer.stop(), return_exceptions=True)
        await asyncio.gather(self._client.close(), return_exceptions=True)


def _message(record: ConsumerRecord) -> Message:
    headers = [(name.lower(), (value or b"").decode("utf-8", "replace")) for name, value in record.headers]
    if record.key is not None:
        headers.append((KEY, record.key.decode("utf-8", "replace")))
    return Message(
        subject=record.topic,
        headers=tuple(headers),
        content=record.value or b"",  # without a value it says that its key is gone
        at_s=0.0,
        id=f"{record.topic}:{record.partition}:{record.offset}",
        facts={"partition": record.partition, "offset": record.offset},
    )

"""`sqs` is Amazon SQS: queues of one region, or of what speaks its protocol.

```yaml
connections:
  queues:
    sqs: "https://sqs.eu-west-1.amazonaws.com"
    access_key: "env:PROBE_KEY_ID"
    secret_key: "env:PROBE_KEY"
    writes: true
```

A message goes into a `queue`, by its name or its ARN. The run's marks and the writer's headers are attributes of the
message, at most 10 in all; `user-agent` and `tracestate` stay behind where there are more. The run's trace goes along
as `AWSTraceHeader` too, which a function that SQS calls has as its trace. `key` is the message group; in a FIFO each
run is a group of its own without one, and the idempotency key is its deduplication id.

SQS has no copies: who reads a message takes it from everybody else. So a `receive` reads only from a queue that is its
own and says so by the tag `synthmon` with the value `own`
(`aws sqs tag-queue --queue-url URL --tags synthmon=own`); any other is refused. It takes all that is in it: never tag a
queue that a part of the system reads. To hear what such a queue is fed with, subscribe a queue for synthmon to the same
topic, or name the topic or the bus itself: `sns` and `eventbridge` make a queue for each run. The runs of one daemon
share a queue; another daemon or location needs another.

Evidence of kind `sqs` counts the messages of any queue, and touches none.

The region is that of the address, or `region`. Keys come from `access_key`, `secret_key` and `session_token`, by
reference, and from nowhere else: no environment, no `~/.aws`, no role of the machine. They are looked up for each
request, so those that change are followed. They need `sqs:GetQueueUrl`, and `sqs:SendMessage` to send;
`sqs:ListQueueTags`, `sqs:ReceiveMessage` and `sqs:DeleteMessage` to receive; `sqs:GetQueueAttributes` to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from synthmon.connections.aws.attributes import attributes_of, fifo_of, headers_of, text_of, trace_of
from synthmon.connections.aws.endpoints import endpoint_of, hosts_of
from synthmon.connections.aws.opening import open_service
from synthmon.connections.aws.queues import QueueEar, count_of, objection_to, url_of
from synthmon.connections.breaking import Breakable
from synthmon.core.aws import SECRETS, AwsKeys
from synthmon.core.connections import ConnectionTrouble, Objection, Outlet
from synthmon.core.door import Hear, OpenEar
from synthmon.core.messages import Gap, Message, Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service

TAG, OWN = "synthmon", "own"


class SqsKeys(AwsKeys):
    """The keys of an `sqs` connection."""

    sqs: str = Field(description="Its address: `https://sqs.eu-west-1.amazonaws.com`.")


class SqsLink(Breakable):
    """The queues of one region (`core.connections.Publishes`, `Hears`, `Counts`)."""

    def __init__(self, sqs: Service) -> None:
        super().__init__()
        self._sqs = sqs
        self._audiences: dict[str, Audience] = {}

    async def publish(self, publication: Publication) -> None:
        queue = publication.to["queue"]
        more: dict[str, Any] = fifo_of(publication.headers, publication.to.get("key"), queue)
        if trace := trace_of(publication.headers):
            more["MessageSystemAttributes"] = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace}}
        body, attributes = text_of(publication.content, "SQS"), attributes_of(publication.headers)
        url = await url_of(self._sqs, queue)
        await self._sqs.ask(
            "send_message",
            f"{queue} did not take the message ({_size(body, attributes)} bytes with its attributes)",
            QueueUrl=url,
            MessageBody=body,
            MessageAttributes=attributes,
            **more,
        )

    async def listen(self, to: Mapping[str, str], hear: Hear) -> OpenEar:
        queue = to["queue"]
        url = await url_of(self._sqs, queue)
        tags = await self._sqs.ask("list_queue_tags", f"the tags of {queue} could not be read", QueueUrl=url)
        if tags.get("Tags", {}).get(TAG) != OWN:
            said = f"whoever reads from {queue} takes its messages away from their owner, and it has no tag {TAG}={OWN}"
            remedy = "subscribe a queue for synthmon alone to what feeds it, and tag that"
            raise ConnectionTrouble(Reason.EGRESS_BLOCKED, f"{said}; {remedy}", sent=False)
        if url not in self._audiences:
            ear = QueueEar(queue, self._sqs, url, partial(_message, queue), self._told(url), self.break_off, _nothing)
            self._audiences[url] = Audience(ear, lambda: self._audiences.pop(url, None))
            ear.read_on()
        return self._audiences[url].join(hear)

    async def count(self, at: Mapping[str, str]) -> int:
        """The messages in `queue`: those that wait, that somebody works on, that are delayed."""
        return await count_of(self._sqs, at["queue"])

    async def aclose(self) -> None:
        for audience in tuple(self._audiences.values()):
            await audience.ear.halt()
        await self._sqs.aclose()
        self.break_off("it was closed")

    def _told(self, url: str) -> Hear:
        def hear(heard: Message | Gap) -> None:
            if url in self._audiences:
                self._audiences[url].tell(heard)

        return hear


class Audience:
    """All who listen to one queue: one reads for them, since what is read is gone."""

    def __init__(self, ear: QueueEar, left: Any) -> None:
        self.ear, self._left = ear, left
        self._seats: list[SqsEar] = []

    def join(self, hear: Hear) -> SqsEar:
        """One more."""
        seat = SqsEar(self, hear)
        self._seats.append(seat)
        return seat

    def tell(self, heard: Message | Gap) -> None:
        """To all of them."""
        for seat in tuple(self._seats):
            seat.hear(heard)

    async def leave(self, seat: SqsEar) -> None:
        """One fewer; the last one ends the reading."""
        if seat in self._seats:
            self._seats.remove(seat)
            if not self._seats:
                self._left()
                await self.ear.aclose()


class SqsEar:
    """`core.door.OpenEar` of one who listens."""

    def __init__(self, audience: Audience, hear: Hear) -> None:
        self._audience, self.hear = audience, hear

    @property
    def where(self) -> str:
        return self._audience.ear.where

    async def aclose(self) -> None:
        await self._audience.leave(self)


_MANUAL = __doc__


class SqsConnection:
    """The kind of connection that `sqs:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "sqs"
    manual: str = _MANUAL
    extra: str = "aws"
    library: str = "aiobotocore"
    keys: type[BaseModel] = SqsKeys
    secrets: frozenset[str] = SECRETS
    sends_to: Mapping[str, bool] = MappingProxyType({"queue": True, "key": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"queue": True})

    def hosts(self, keys: SqsKeys) -> Sequence[str]:
        """The host of its address."""
        return hosts_of(endpoint_of(keys.sqs, keys.region))

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What cannot be a place (`core.connections.Particular`)."""
        return objection_to(place["queue"]) if "queue" in place else ()

    async def open(self, keys: SqsKeys, outlet: Outlet) -> SqsLink:
        """Ready to be asked."""
        return SqsLink(await open_service("sqs", endpoint_of(keys.sqs, keys.region), outlet))


CONNECTION = SqsConnection()


def _message(queue: str, taken: Mapping[str, Any]) -> Message:
    trace = taken.get("Attributes", {}).get("AWSTraceHeader", "")
    headers = headers_of(taken.get("MessageAttributes", {}), trace)
    return Message(queue, headers, taken.get("Body", "").encode(), 0.0, taken["MessageId"])


def _size(body: str, attributes: Mapping[str, Mapping[str, str]]) -> int:
    named = (f"{name}{one['DataType']}{one['StringValue']}" for name, one in attributes.items())
    return len(body.encode()) + sum(len(text.encode()) for text in named)


def _nothing(ear: QueueEar) -> None:
    """The audience knows who is there."""

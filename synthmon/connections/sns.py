"""`sns` is Amazon SNS: topics of one region, or of what speaks its protocol.

```yaml
connections:
  topics:
    sns: "https://sns.eu-west-1.amazonaws.com"
    account: "123456789012"
    access_key: "env:PROBE_KEY_ID"
    secret_key: "env:PROBE_KEY"
    writes: true
```

A message goes to a `topic`: an ARN, or the name of a topic of `account`. The run's marks and the writer's headers are
message attributes, at most 10 in all, since SNS drops a message with more on its way into a queue with raw delivery;
`user-agent` and `tracestate` stay behind where there are more. The run's trace goes along as `X-Amzn-Trace-Id`, which
SNS hands on to queues and functions. `key` is the message group; on a FIFO each run is a group of its own without one,
and the idempotency key is its deduplication id.

To `receive`, each run makes a queue `synthmon-ear-…`, subscribes it to the topic and removes both afterwards; everybody
else's copies are untouched. It gets SNS's envelope, not raw delivery: with that a message of more than 10 attributes
would be missing here alone, and nothing would tell a message that SNS delivers twice from two. What a killed process
left is removed by the next one that listens once it is an hour old: queues by their name and their tags, and their
subscriptions. Where a connection was lost meanwhile, the queue is read on from where it was. `wait` is how many seconds
a new subscription is given before it counts as listening.

Queues are made in the same region (`sqs.` instead of `sns.`), or at `queues`. Keys and the region are as for `sqs`. To
send needs `sns:Publish`. To receive needs `sns:Subscribe`, `sns:Unsubscribe` and `sns:ListSubscriptionsByTopic`; on
`arn:aws:sqs:*:*:synthmon-ear-*` `sqs:CreateQueue`, `sqs:TagQueue`, `sqs:GetQueueAttributes`, `sqs:ReceiveMessage`,
`sqs:DeleteMessage`, `sqs:DeleteQueue` and `sqs:ListQueueTags`; and `sqs:ListQueues`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from synthmon.connections.aws.attributes import attributes_of, fifo_of, headers_of, text_of
from synthmon.connections.aws.bound import FedLink
from synthmon.connections.aws.endpoints import Endpoint, endpoint_of, hosts_of, queues_of
from synthmon.connections.aws.opening import open_service
from synthmon.connections.aws.own import Own, made, new_name, quietly, removed
from synthmon.connections.aws.queues import Read
from synthmon.core.aws import SECRETS, AwsKeys
from synthmon.core.connections import ConnectionTrouble, Objection, Outlet
from synthmon.core.messages import Message, Publication
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service

MOST_PAGES = 50  # of subscriptions, a hundred each, that a sweep looks through


class SnsKeys(AwsKeys):
    """The keys of an `sns` connection."""

    sns: str = Field(description="Its address: `https://sns.eu-west-1.amazonaws.com`.")
    queues: str = Field("", description="The address of SQS, to receive. Default: that of the same region.")
    account: str = Field("", description="The account whose topics are named without an ARN: 12 digits.")
    wait: float = Field(1.0, ge=0, le=60, description="Seconds until a new subscription counts. Default 1.")


class SnsLink(FedLink):
    """The topics of one region (`core.connections.Publishes`, `Resumes`)."""

    kind = "sns"

    def __init__(self, topics: Service, queues: Endpoint, outlet: Outlet, keys: SnsKeys, region: str) -> None:
        super().__init__(topics, queues, outlet, keys.wait)
        self._account, self._region = keys.account, region

    async def publish(self, publication: Publication) -> None:
        topic = self._arn(publication.to["topic"])
        text = text_of(publication.content, "SNS")
        await self._feeder.ask(
            "publish",
            f"{topic} did not take the message ({len(publication.content)} bytes and its attributes)",
            TopicArn=topic,
            Message=text,
            MessageAttributes=attributes_of(publication.headers),
            **fifo_of(publication.headers, publication.to.get("key"), topic),
        )

    async def _bind(self, sqs: Service, to: Mapping[str, str]) -> Own:
        topic = self._arn(to["topic"])
        name = new_name(topic.endswith(".fifo"))
        own = await made(sqs, self.kind, name, topic, "sns.amazonaws.com", topic)
        try:
            await self._feeder.ask(
                "subscribe",
                f"{topic} could not be subscribed to",
                TopicArn=topic,
                Protocol="sqs",
                Endpoint=own.arn,
                ReturnSubscriptionArn=True,
            )
        except BaseException:
            await quietly(partial(removed, sqs, own.url))
            raise
        return own

    async def _unbind(self, own: Own) -> None:
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = await self._feeder.ask("list_subscriptions_by_topic", TopicArn=own.of, **token)
            for one in page.get("Subscriptions", ()):
                if one["Endpoint"] == own.arn and one["SubscriptionArn"].startswith("arn:"):
                    await self._feeder.ask("unsubscribe", SubscriptionArn=one["SubscriptionArn"])
                    return
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _reader(self, to: Mapping[str, str]) -> Read:
        return partial(_message, to["topic"].rpartition(":")[2])

    def _arn(self, topic: str) -> str:
        if _ARN.fullmatch(topic):
            return topic
        if not self._account:
            said = f"the topic {topic!r} is no ARN, and the connection has no `account:` whose topic it could be"
            raise ConnectionTrouble(Reason.EXPRESSION, said, sent=False)
        partition = "aws-cn" if self._region.startswith("cn-") else "aws-us-gov" if "-gov-" in self._region else "aws"
        return f"arn:{partition}:sns:{self._region}:{self._account}:{topic}"


_MANUAL = __doc__


class SnsConnection:
    """The kind of connection that `sns:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "sns"
    manual: str = _MANUAL
    extra: str = "aws"
    library: str = "aiobotocore"
    keys: type[BaseModel] = SnsKeys
    secrets: frozenset[str] = SECRETS
    sends_to: Mapping[str, bool] = MappingProxyType({"topic": True, "key": False})
    hears_at: Mapping[str, bool] = MappingProxyType({"topic": True})

    def hosts(self, keys: SnsKeys) -> Sequence[str]:
        """The hosts of its address and of its queues."""
        if keys.account and not _ACCOUNT.fullmatch(keys.account):
            raise ValueError(f"{keys.account!r} is no account: those have 12 digits")
        return hosts_of(*_endpoints(keys))

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What cannot be a place (`core.connections.Particular`)."""
        topic = place.get("topic", "")
        if not topic or "${" in topic or _ARN.fullmatch(topic) or _NAME.fullmatch(topic):
            return ()
        remedy = "Write an ARN, arn:aws:sns:eu-west-1:123456789012:orders, or a name of letters, digits, `-` and `_`."
        return (Objection("topic", f"{topic!r} is not a topic.", remedy),)

    async def open(self, keys: SnsKeys, outlet: Outlet) -> SnsLink:
        """Ready to be asked."""
        topics, queues = _endpoints(keys)
        return SnsLink(await open_service("sns", topics, outlet), queues, outlet, keys, topics.region)


CONNECTION = SnsConnection()


def _endpoints(keys: SnsKeys) -> tuple[Endpoint, Endpoint]:
    topics = endpoint_of(keys.sns, keys.region)
    return topics, queues_of(topics, "sns", keys.queues)


def _message(topic: str, taken: Mapping[str, Any]) -> Message:
    """What SNS wrapped; its own id is the same for each delivery of one publication."""
    trace = taken.get("Attributes", {}).get("AWSTraceHeader", "")
    envelope = json.loads(taken["Body"])
    headers = headers_of(envelope.get("MessageAttributes", {}), trace)
    return Message(topic, headers, envelope["Message"].encode(), 0.0, envelope["MessageId"])


_ACCOUNT = re.compile(r"\d{12}")
_ARN = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo")

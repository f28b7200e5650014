"""`eventbridge` is Amazon EventBridge: event buses of one region, or of what speaks its protocol.

```yaml
connections:
  events:
    eventbridge: "https://events.eu-west-1.amazonaws.com"
    access_key: "env:PROBE_KEY_ID"
    secret_key: "env:PROBE_KEY"
    writes: true
```

An event goes to a `bus` (a name or an ARN; without one, `default`) with its `source` and its `type`. The content is its
`detail`, a JSON object. An event has no headers, so the run's marks and the writer's headers stand in the detail, as
the member `synthmon`: `{"orderId": 7, "synthmon": {"x-correlation-id": …, "traceparent": …}}`; a system that copies it
from event to event is found by it. With `propagate: false` there is no such member, unless the step has
`headers`. The run's trace goes along as `TraceHeader`. EventBridge takes an event whether or not anybody hears it.

To `receive`, each run makes a rule `synthmon-ear-…` for that `source` and, if named, that `type`, with a queue of the
same name as its target, and removes both afterwards; the rules and targets of the system are untouched. A `message` is
the detail; its `subject` is the type, and among its headers are what stands in `synthmon` and the event's `source`,
`detail-type`, `id`, `time`, `account` and `region`. What a killed process left is removed by the next one that listens
once it is an hour old. Where a connection was lost meanwhile, the queue is read on from where it was.

A new rule does not work at once: AWS asks for a short while. `wait` is how many seconds it is given before the step
counts as listening; give the step a `timeout` above it. A bus has room for 100 to 300 rules, and each listener is one.

Queues are made in the same region (`sqs.` instead of `events.`), or at `queues`. Keys and the region are as for `sqs`.
To send needs `events:PutEvents`. To receive needs `events:PutRule`, `events:PutTargets`, `events:RemoveTargets` and
`events:DeleteRule` on `arn:aws:events:*:*:rule/*synthmon-ear-*`, and for the queues what `sns` needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from synthmon.connections.aws.attributes import text_of, trace_of
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

MARKS = "synthmon"
TARGET = "synthmon"
ALONE = ("user-agent", "idempotency-key")  # what the door puts on a message of one who does not propagate
ABOUT = ("source", "detail-type", "id", "time", "account", "region")


class EventBridgeKeys(AwsKeys):
    """The keys of an `eventbridge` connection."""

    eventbridge: str = Field(description="Its address: `https://events.eu-west-1.amazonaws.com`.")
    queues: str = Field("", description="The address of SQS, to receive. Default: that of the same region.")
    wait: float = Field(5.0, ge=0, le=120, description="Seconds until a new rule counts. Default 5.")


class EventBridgeLink(FedLink):
    """The buses of one region (`core.connections.Publishes`, `Resumes`)."""

    kind = "eventbridge"

    async def publish(self, publication: Publication) -> None:
        to = publication.to
        bus = to.get("bus", "default")
        entry = {
            "EventBusName": bus,
            "Source": to["source"],
            "DetailType": to["type"],
            "Detail": _detail(publication),
        }
        if trace := trace_of(publication.headers):
            entry["TraceHeader"] = trace
        what = f"the bus {bus} did not take the event ({len(entry['Detail'].encode())} bytes)"
        answer = await self._feeder.ask("put_events", what, Entries=[entry])
        if answer.get("FailedEntryCount"):
            (failed,) = answer["Entries"]
            said = f"{what}: {failed.get('ErrorMessage', '')} ({failed.get('ErrorCode', '')})"
            raise ConnectionTrouble(Reason.CONNECTION, said)

    async def _bind(self, sqs: Service, to: Mapping[str, str]) -> Own:
        bus, name = to.get("bus", "default"), new_name()
        pattern = {"source": [to["source"]]} | ({"detail-type": [to["type"]]} if to.get("type") else {})
        own = await made(sqs, self.kind, name, bus, "events.amazonaws.com", f"arn:*:events:*:*:rule/*{name}")
        try:
            await self._feeder.ask(
                "put_rule",
                f"no rule could be made on the bus {bus}",
                Name=name,
                EventBusName=bus,
                EventPattern=json.dumps(pattern),
                State="ENABLED",
                Description="What a synthetic run listens to; gone with it.",
            )
            targets = [{"Id": TARGET, "Arn": own.arn}]
            await self._feeder.ask("put_targets", Rule=name, EventBusName=bus, Targets=targets)
        except BaseException:
            await quietly(partial(self._unbind, own))
            await quietly(partial(removed, sqs, own.url))
            raise
        return own

    async def _unbind(self, own: Own) -> None:
        await self._feeder.ask("remove_targets", Rule=own.name, EventBusName=own.of, Ids=[TARGET])
        await self._feeder.ask("delete_rule", Name=own.name, EventBusName=own.of)

    def _reader(self, to: Mapping[str, str]) -> Read:
        return _message


_MANUAL = __doc__


class EventBridgeConnection:
    """The kind of connection that `eventbridge:` chooses (`core.connections.ConnectionKind`)."""

    word: str = "eventbridge"
    manual: str = _MANUAL
    extra: str = "aws"
    library: str = "aiobotocore"
    keys: type[BaseModel] = EventBridgeKeys
    secrets: frozenset[str] = SECRETS
    sends_to: Mapping[str, bool] = MappingProxyType({"bus": False, "source": True, "type": True})
    hears_at: Mapping[str, bool] = MappingProxyType({"bus": False, "source": True, "type": False})

    def hosts(self, keys: EventBridgeKeys) -> Sequence[str]:
        """The hosts of its address and of its queues."""
        return hosts_of(*_endpoints(keys))

    def objections(self, place: Mapping[str, str], heard: bool) -> Sequence[Objection]:
        """What cannot be a place (`core.connections.Particular`)."""
        if not heard and place.get("source", "").startswith("aws."):
            return (Objection("source", "Only AWS itself sends as `aws.…`.", "Write the source of your own events."),)
        return ()

    async def open(self, keys: EventBridgeKeys, outlet: Outlet) -> EventBridgeLink:
        """Ready to be asked."""
        buses, queues = _endpoints(keys)
        return EventBridgeLink(await open_service("events", buses, outlet), queues, outlet, keys.wait)


CONNECTION = EventBridgeConnection()


def _endpoints(keys: EventBridgeKeys) -> tuple[Endpoint, Endpoint]:
    buses = endpoint_of(keys.eventbridge, keys.region)
    return buses, queues_of(buses, "events", keys.queues)


def _detail(publication: Publication) -> str:
    """The content with the headers in it. Raises `ConnectionTrouble`."""
    text = text_of(publication.content, "EventBridge")
    try:
        detail = json.loads(text)
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        said = "EventBridge takes a JSON object, and this content is none; write `json: {…}`"
        raise ConnectionTrouble(Reason.EXPRESSION, said, sent=False)
    marks = {name.lower(): value for name, value in publication.headers if name.lower() != "content-type"}
    if "x-correlation-id" not in marks:  # nothing of the run goes out
        marks = {name: value for name, value in marks.items() if name not in ALONE}
    if not marks:
        return text
    if MARKS in detail:
        said = f"the content has a member `{MARKS}` already, where the marks of the run go"
        raise ConnectionTrouble(Reason.EXPRESSION, f"{said}; set `propagate: false`, or rename it", sent=False)
    return json.dumps({**detail, MARKS: marks}, ensure_ascii=False)


def _message(taken: Mapping[str, Any]) -> Message:
    event = json.loads(taken["Body"])
    detail = event.get("detail", {})
    marks = detail.get(MARKS) if isinstance(detail, dict) else None
    headers = [(name.lower(), str(value)) for name, value in marks.items()] if isinstance(marks, dict) else []
    headers += [(name, str(event[name])) for name in ABOUT if name in event]
    content = json.dumps(detail, ensure_ascii=False).encode()
    return Message(str(event.get("detail-type", "")), tuple(headers), content, 0.0, str(event.get("id", "")))

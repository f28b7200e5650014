"""Where a message goes to or comes from: the words of its broker, checked against what the connection knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from synthmon.core.connections import ConnectionKind, Particular
from synthmon.core.kinds import Maker, Path
from synthmon.core.templates import Template


class PlaceKeys(BaseModel):
    """The words for a place; which of them are meant depends on the connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str | None = Field(None, description="NATS: the subject, `orders.placed`; to hear, `orders.*` too.")
    topic: str | None = Field(None, description="Kafka, MQTT and SNS: the topic.")
    queue: str | None = Field(None, description="AMQP and SQS: the queue.")
    exchange: str | None = Field(None, description="AMQP: the exchange.")
    key: str | None = Field(
        None, description="AMQP: the routing key. Kafka: the record's key. SQS, SNS: the message group."
    )
    stream: str | None = Field(None, description="Redis: the stream. NATS: the JetStream stream.")
    channel: str | None = Field(None, description="Redis: the channel of pub/sub.")
    bus: str | None = Field(None, description="EventBridge: the bus.")
    source: str | None = Field(None, description="EventBridge: the source of the event.")
    type: str | None = Field(None, description="EventBridge: the detail type.")


Place = tuple[tuple[str, Template], ...]
"""Words with their values still to be filled in."""


def compile_place(
    keys: PlaceKeys, words: Mapping[str, bool], kind: ConnectionKind, make: Maker, path: Path, heard: bool = False
) -> Place:
    """The place of a message; `words` are those that the connection takes → whether they must be there."""
    given = {word: text for word in PlaceKeys.model_fields if (text := getattr(keys, word)) is not None}
    listed = ", ".join(f"`{word}`" for word in words)
    objections = kind.objections(given, heard) if isinstance(kind, Particular) else ()
    for objection in objections:
        make.fault((objection.word,), "message-place", objection.fault, objection.remedy)
    for word in given.keys() - words.keys() - {objection.word for objection in objections}:
        fault = f"`{word}` says nothing to {kind.word}."
        make.fault((word,), "message-place", fault, f"Name the place with {listed}.")
    for word in (word for word, needed in words.items() if needed and word not in given):
        make.fault(path, "message-place", f"`{word}` is missing: where is the message?", f"Add `{word}:`.")
    if words and not any(words.values()) and not given:
        make.fault(path, "message-place", "Nothing says where the message is.", f"Name the place with {listed}.")
    return tuple((word, make.template(text, (word,))) for word, text in given.items() if word in words)


def shown(to: Mapping[str, Any]) -> str:
    """A place for a person: `invoices.closed`, `orders/placed`."""
    return "/".join(str(text) for text in to.values() if text)

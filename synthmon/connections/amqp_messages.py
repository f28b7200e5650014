"""An AMQP message and ours: headers are its header table, and a few of them its properties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from synthmon.core.messages import Message

if TYPE_CHECKING:
    from aiormq import spec
    from aiormq.abc import DeliveredMessage

PERSISTENT = 2
_INSTEAD = {"content-type": "content_type", "content-encoding": "content_encoding", "reply-to": "reply_to"}
_BESIDE = {"x-correlation-id": "correlation_id", "idempotency-key": "message_id"}
_READ = ("content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "message_type", "app_id")


def properties_of(headers: Sequence[tuple[str, str]]) -> spec.Basic.Properties:
    """The properties of a message on its way out; the marks stand in the header table and beside it."""
    from aiormq import spec

    table: dict[str, Any] = {name: value for name, value in headers if name.lower() not in _INSTEAD}
    own = {**_INSTEAD, **_BESIDE}
    named: dict[str, Any] = {own[name.lower()]: value for name, value in headers if name.lower() in own}
    return spec.Basic.Properties(headers=table, delivery_mode=PERSISTENT, **named)


def message_of(delivered: DeliveredMessage) -> Message:
    """A message that came: its routing key is its subject; properties are headers too (`correlation-id`)."""
    properties = delivered.header.properties
    headers = [(str(name).lower(), _text(value)) for name, value in (properties.headers or {}).items()]
    there = {name for name, _ in headers}
    for name in _READ:
        value, header = getattr(properties, name), name.replace("_", "-").replace("message-type", "type")
        if value and header not in there:
            headers.append((header, _text(value)))
    subject = str(getattr(delivered.delivery, "routing_key", None) or "")
    return Message(subject, tuple(headers), bytes(delivered.body), 0.0)


def _text(value: Any) -> str:
    """A field value as text: texts as they are, everything else as JSON would have it."""
    match value:
        case str():
            return value
        case bytes() | bytearray():
            return bytes(value).decode("utf-8", "replace")
    return orjson.dumps(value, default=_text_inside, option=orjson.OPT_NON_STR_KEYS).decode()


def _text_inside(value: Any) -> str:
    return _text(value) if isinstance(value, bytes | bytearray) else str(value)

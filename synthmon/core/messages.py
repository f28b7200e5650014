"""What a listener hears: messages, hooks, mails and frames are one noun, with the instant of its own arrival."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from synthmon.core.answers import headers_map
from synthmon.core.foreign import InvalidJson, decode, disarm, parse_json
from synthmon.core.outcomes import Reason
from synthmon.core.secrets import masked

OFFERS: Mapping[str, str] = MappingProxyType(
    {
        "message.json": "dyn",
        "message.text": "string",
        "message.headers": "text_map",
        "message.subject": "string",
        "messages": "list",
        "count": "int",
    }
)
"""The names that every listening step offers: the first message of this run, all of them, how many."""

EXCERPT_BYTES = 2048  # of a message, in what is kept of a step that failed
EXCERPT_MESSAGES = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One arrival. `at_s` is when it came, on the run's monotonic clock; header names are in lower case.

    `id` tells one publication from another for the broker itself (stream and sequence, partition and offset); empty
    where it has none. What a sender put into the message is never an id: a duplicate effect bears the same.
    """

    subject: str
    headers: tuple[tuple[str, str], ...]
    content: bytes
    at_s: float
    id: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # what its kind offers beside the common names
    seen: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)  # `as_map`, made once


@dataclass(frozen=True, slots=True)
class Armed:
    """From now on everything is heard. `where` says at what, for a person: `invoices.closed on bus`.

    `names` are what the run learns by it: `url` of a hook becomes `hook.<step>.url`.
    """

    where: str = ""
    names: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """For a time nothing was heard, and what came then may be lost; the listener hears again, or never will."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Declined(Gap):
    """One arrival that was not let in, which is a gap of which everything is known: nothing else is lost by it.

    `detail` says why: `unsigned (bad signature)`; its reason is none.
    """


@dataclass(frozen=True, slots=True)
class Publication:
    """A message as a journey means it, on its way out.

    `to` is where it goes, by the words of its broker (`subject`; `exchange` and `key`); secrets stand in it as sealed
    handles, which only the connection opens.
    """

    to: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""


def carries(message: Message, marks: Sequence[str]) -> bool:
    """Whether one of a run's own marks (its id, its namespace) stands anywhere in a message.

    They are random: where one stands, in whatever header, baggage or field, the message is of that run.
    """
    if any(mark in value for _, value in message.headers for mark in marks):
        return True
    return any(mark.encode() in message.content for mark in marks)


def names_of(messages: Sequence[Message]) -> Mapping[str, Any]:
    """The names of `OFFERS`, from the messages of this run in order of arrival; of none, there is no `message.*`."""
    seen: dict[str, Any] = {"messages": [as_map(message) for message in messages], "count": len(messages)}
    if messages:
        seen.update((f"message.{name}", value) for name, value in as_map(messages[0]).items())
    return seen


def as_map(message: Message) -> dict[str, Any]:
    """A message as an expression sees it: `json` is missing where its content is no valid JSON."""
    seen = message.seen
    if not seen:
        seen["text"] = decode(message.content, "utf-8")
        seen["headers"] = headers_map(message.headers)
        seen["subject"] = disarm(message.subject)
        seen.update(message.facts)
        with suppress(InvalidJson):
            seen["json"] = parse_json(message.content)
    return seen


def complaint(messages: Sequence[Message]) -> str:
    """What is wrong with the first message, if it is not JSON."""
    if not messages:
        return "no message of this run came"
    try:
        parse_json(messages[0].content)
    except InvalidJson as error:
        return f"the message is not valid JSON: {error}"
    return ""


def excerpt(messages: Sequence[Message]) -> str:
    """Messages as a person reads them, cut, secrets masked."""
    parts = []
    for message in messages[:EXCERPT_MESSAGES]:
        lines = [message.subject, *(f"{name}: {value}" for name, value in message.headers), ""]
        text = decode(message.content[:EXCERPT_BYTES], "utf-8")
        more = f"\n… {len(message.content)} bytes in all" if len(message.content) > EXCERPT_BYTES else ""
        parts.append("\n".join(lines) + text + more)
    if len(messages) > EXCERPT_MESSAGES:
        parts.append(f"… {len(messages)} messages in all")
    return masked("\n\n".join(parts))

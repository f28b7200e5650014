"""Hears what comes to a stream or a channel of Redis, and leaves no trace there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from synthmon.connections.reading import ReadingEar
from synthmon.core.connections import ConnectionTrouble
from synthmon.core.door import Hear
from synthmon.core.foreign import InvalidJson, parse_json
from synthmon.core.messages import Message
from synthmon.core.outcomes import Reason

BLOCK_S = 4.0  # the server is silent so long at most; the time for an answer is longer than that
MOST_ENTRIES = 100  # of a stream, at once
BODIES = frozenset(("body", "data", "payload", "message"))
FIRST = "0-0"


class StreamEar(ReadingEar):
    """Reads a stream from an entry on, in no consumer group. `after` is the id of the last entry that was heard."""

    def __init__(
        self, stream: str, client: Redis, hear: Hear, lost: Callable[[str], None], closed: Callable[[Any], None]
    ) -> None:
        super().__init__(stream, hear, lost, closed)
        self._client = client
        self.after = FIRST

    async def begin(self, after: str = "") -> None:
        """Everything from now on is heard, or what came after an entry. Raises what the library raises."""
        self.after = after
        if not after:
            newest: Any = await self._client.xrevrange(self._where, count=1)
            self.after = _text(newest[0][0]) if newest else FIRST
        else:
            await self._client.xlen(self._where)  # it still is a stream, and may be read
        self.read_on()

    async def _next(self) -> None:
        block_ms = int(BLOCK_S * 1000)
        found: Any = await self._client.xread({self._where: self.after}, count=MOST_ENTRIES, block=block_ms)
        for _, entries in found or ():
            for id, fields in entries:
                self.after = _text(id)
                if fields is not None:  # an entry that was deleted meanwhile
                    self._hear(_entry(self._where, self.after, fields))


class ChannelEar(ReadingEar):
    """Subscribes to a channel, or to all that a pattern fits."""

    def __init__(
        self, channel: str, pubsub: PubSub, hear: Hear, lost: Callable[[str], None], closed: Callable[[Any], None]
    ) -> None:
        super().__init__(channel, hear, lost, closed)
        self._pubsub = pubsub
        self._pinged = False

    async def begin(self) -> None:
        """Answers when the server has the subscription. Raises what the library raises."""
        if any(sign in self._where for sign in "*?["):
            await self._pubsub.psubscribe(self._where)
        else:
            await self._pubsub.subscribe(self._where)
        told: Any = await self._pubsub.get_message(timeout=BLOCK_S)
        if told is None or told["type"] not in ("subscribe", "psubscribe"):
            silent = f"the server did not confirm the subscription to {self._where}"
            raise ConnectionTrouble(Reason.NO_ANSWER, silent, sent=False)
        self.read_on()

    async def _next(self) -> None:
        told: Any = await self._pubsub.get_message(timeout=BLOCK_S)
        if told is None and self._pinged:
            raise TimeoutError(f"the server was silent for {2 * BLOCK_S:g} s")
        if told is None:
            await self._pubsub.ping()
        self._pinged = told is None
        if told is not None and told["type"] in ("message", "pmessage"):
            self._hear(Message(_text(told["channel"]), (), told["data"], 0.0))

    async def _let_go(self) -> None:
        with suppress(Exception):  # the connection may be gone, and the subscription with it
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]


def _entry(stream: str, id: str, fields: Mapping[bytes, bytes]) -> Message:
    """Of the fields one is the content, if it is JSON; else all of them are. The others are headers."""
    named = {_text(name): value for name, value in fields.items()}
    bodies = [name for name in named if name.lower() in BODIES]
    body = bodies[0] if len(bodies) == 1 and _is_json(named[bodies[0]]) else None
    headers = tuple((name.lower(), _text(value)) for name, value in named.items() if name != body)
    if body is not None:
        content = named[body]
    else:
        content = json.dumps({name: _text(value) for name, value in named.items()}, ensure_ascii=False).encode()
    return Message(stream, headers, content, 0.0, f"{stream}:{id}")


def _is_json(value: bytes) -> bool:
    """An object or a list: a bare number or word may be a field like any other."""
    try:
        return isinstance(parse_json(value), dict | list)
    except InvalidJson:
        return False


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")

"""Queues that are made for one listener and go with it; what a killed process left behind goes an hour later."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthmon.core.connections import ConnectionTrouble

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service

PREFIX = "synthmon-ear-"
KIND, OF, SEEN = "synthmon", "synthmon-of", "synthmon-seen"  # tags: who made it, what it hears, when it was last read
LEFT_S, SIGN_S = 3600.0, 900.0  # without a sign of life it was left; how often it gives one
LEAVE_S = 10.0


@dataclass(frozen=True, slots=True)
class Own:
    """A queue of one listener: `of` is the topic or the bus that it hears."""

    name: str
    url: str
    arn: str
    of: str


def new_name(fifo: bool = False) -> str:
    """One that nobody has: with the second when it was made, so that a sweep need not ask about young ones."""
    return f"{PREFIX}{int(time.time()):x}-{secrets.token_hex(12)}{'.fifo' if fifo else ''}"


async def made(sqs: Service, kind: str, name: str, of: str, service: str, source: str) -> Own:
    """A queue into which `service` (`sns.amazonaws.com`) may put what comes from `source`, an ARN with `*` in it."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnLike": {"aws:SourceArn": source}},
    }
    attributes = {
        "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        "MessageRetentionPeriod": str(int(LEFT_S)),
    }
    if name.endswith(".fifo"):
        attributes["FifoQueue"] = "true"
    tags = {KIND: kind, OF: of, SEEN: str(int(time.time()))}
    what = f"no queue could be made to hear {of}"
    url = (await sqs.ask("create_queue", what, QueueName=name, Attributes=attributes, tags=tags))["QueueUrl"]
    try:
        return Own(name, url, await _arn(sqs, url), of)
    except BaseException:
        await quietly(lambda: removed(sqs, url))
        raise


async def there(sqs: Service, own: Own) -> bool:
    """Whether it is still there, and what came since is in it."""
    with suppress(ConnectionTrouble):
        return await _arn(sqs, own.url) == own.arn
    return False


async def removed(sqs: Service, url: str) -> None:
    """The queue and what is in it. Raises what the service raises."""
    await sqs.ask("delete_queue", QueueUrl=url)


async def quietly(do: Callable[[], Awaitable[None]]) -> None:
    """Take something back that may be gone; what cannot be reached is left for a later sweep."""
    with suppress(Exception):
        async with asyncio.timeout(LEAVE_S):
            await do()


class SignOfLife:
    """Says now and then that a queue is still read: a run may take longer than what is swept is old."""

    def __init__(self, sqs: Service, url: str) -> None:
        self._sqs, self._url, self._said_s = sqs, url, time.monotonic()

    async def __call__(self) -> None:
        if time.monotonic() - self._said_s >= SIGN_S:
            self._said_s = time.monotonic()
            await self._sqs.ask("tag_queue", QueueUrl=self._url, Tags={SEEN: str(int(time.time()))})


class Sweep:
    """Removes what listeners of this kind left behind, at most once in an hour."""

    def __init__(self, sqs: Service, kind: str, unbind: Callable[[Own], Awaitable[None]]) -> None:
        self._sqs, self._kind, self._unbind = sqs, kind, unbind
        self._again_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """In the background: nobody waits for it."""
        if time.monotonic() >= self._again_s and (self._task is None or self._task.done()):
            self._again_s = time.monotonic() + LEFT_S
            self._task = asyncio.create_task(self._swept())

    async def aclose(self) -> None:
        """Stop; what is left is for the next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def done(self) -> None:
        """Wait for the one that has begun."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _swept(self) -> None:
        """Needs the right to list queues and their tags; without, nothing is swept and nothing is said."""
        with suppress(Exception):
            answer = await self._sqs.ask("list_queues", QueueNamePrefix=PREFIX, MaxResults=1000)
            for url in answer.get("QueueUrls", ()):
                if _made_s(url) < time.time() - LEFT_S:
                    with suppress(Exception):  # another may be sweeping it
                        await self._look_at(url)

    async def _look_at(self, url: str) -> None:
        tags: Mapping[str, str] = (await self._sqs.ask("list_queue_tags", QueueUrl=url)).get("Tags", {})
        seen_s = float(tags.get(SEEN, "inf"))
        if tags.get(KIND) != self._kind or seen_s >= time.time() - LEFT_S:
            return
        await self._unbind(Own(url.rpartition("/")[2], url, await _arn(self._sqs, url), tags[OF]))
        await removed(self._sqs, url)


async def _arn(sqs: Service, url: str) -> str:
    asked = await sqs.ask("get_queue_attributes", QueueUrl=url, AttributeNames=["QueueArn"])
    return str(asked["Attributes"]["QueueArn"])


def _made_s(url: str) -> float:
    found = _MADE.fullmatch(url.rpartition("/")[2])
    return int(found[1], 16) if found else float("inf")


_MADE = re.compile(re.escape(PREFIX) + r"([0-9a-f]{8})-[0-9a-f]{24}(?:\.fifo)?")

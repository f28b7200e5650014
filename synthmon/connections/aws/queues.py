"""A queue of SQS: found by its name, counted without touching it, read by taking what is in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synthmon.connections.reading import ReadingEar
from synthmon.core.connections import ConnectionTrouble, Objection
from synthmon.core.door import Hear
from synthmon.core.messages import Message
from synthmon.core.outcomes import Reason

if TYPE_CHECKING:
    from synthmon.connections.aws.client import Service

WAIT_S = 5  # that SQS keeps a question open while there is no message
HIDDEN_S = 2  # a message that was given to a reader who is gone; one that was read is deleted at once
MOST = 10  # messages of one answer
AGAIN_S = 0.5
COUNTED = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")

Read = Callable[[Mapping[str, Any]], Message]
"""A message as boto has it → ours."""


async def url_of(sqs: Service, queue: str) -> str:
    """The address of a queue by its name, or its ARN where it is another account's. Raises `ConnectionTrouble`."""
    found = _ARN.fullmatch(queue)
    params = {"QueueName": found["name"], "QueueOwnerAWSAccountId": found["account"]} if found else {"QueueName": queue}
    return str((await sqs.ask("get_queue_url", f"the queue {queue} was not found", **params))["QueueUrl"])


async def count_of(sqs: Service, queue: str) -> int:
    """How many messages wait, are being worked on or are delayed: by its attributes, which take none."""
    answer = await sqs.ask(
        "get_queue_attributes",
        f"the messages in {queue} could not be counted",
        QueueUrl=await url_of(sqs, queue),
        AttributeNames=list(COUNTED),
    )
    told = answer.get("Attributes", {})
    return sum(int(told.get(name, 0)) for name in COUNTED)


def objection_to(queue: str) -> Sequence[Objection]:
    """Why a text cannot name a queue; one with `${…}` in it is not known yet."""
    if "${" in queue or _ARN.fullmatch(queue) or _NAME.fullmatch(queue):
        return ()
    if "://" in queue:
        return (Objection("queue", "This is the address of a queue.", "Write its name, or its ARN."),)
    remedy = "Write at most 80 letters, digits, `-` and `_`, with `.fifo` at the end of a FIFO; or an ARN."
    return (Objection("queue", f"{queue!r} is not the name of a queue.", remedy),)


class QueueEar(ReadingEar):
    """Takes what comes into a queue that is read by nobody else, and tells it. `let_go` is done when it is closed,
    `live` before each question."""

    def __init__(
        self,
        where: str,
        sqs: Service,
        url: str,
        read: Read,
        hear: Hear,
        lost: Callable[[str], None],
        closed: Callable[[Any], None],
        live: Callable[[], Awaitable[None]] | None = None,
        let_go: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(where, hear, lost, closed)
        self._sqs, self._url, self._read_as = sqs, url, read
        self._live, self._gone = live, let_go

    async def _next(self) -> None:
        if self._live is not None:
            await self._live()
        messages = await self._taken()
        for message in messages:
            self._hear(self._read_as(message))
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            await self._sqs.ask("delete_message_batch", QueueUrl=self._url, Entries=entries)

    async def _taken(self) -> Sequence[Mapping[str, Any]]:
        """Asked once more if there is no answer: an idle connection may have been closed meanwhile."""
        try:
            return await self._asked()
        except (OSError, ConnectionTrouble) as error:
            if isinstance(error, ConnectionTrouble) and error.reason is not Reason.NO_ANSWER:
                raise
            await asyncio.sleep(AGAIN_S)
            return await self._asked()

    async def _asked(self) -> Sequence[Mapping[str, Any]]:
        answer = await self._sqs.ask(
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=MOST,
            WaitTimeSeconds=WAIT_S,
            VisibilityTimeout=HIDDEN_S,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["AWSTraceHeader", "SentTimestamp"],
        )
        messages: Sequence[Mapping[str, Any]] = answer.get("Messages", ())
        return messages

    async def _let_go(self) -> None:
        if self._gone is not None:
            await self._gone()


_ARN = re.compile(r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:(?P<account>\d{12}):(?P<name>[A-Za-z0-9_-]{1,80}(?:\.fifo)?)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo")

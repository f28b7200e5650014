"""`sqs` counts the messages of a queue of Amazon SQS.

```yaml
connections:
  queues: {sqs: "https://sqs.eu-west-1.amazonaws.com", access_key: "env:PROBE_KEY_ID", secret_key: "env:PROBE_KEY"}
evidence:
  dlq: {sqs: queues, queue: billing-dlq, lag: 60s, exclusive: true}
```

By the attributes of the queue, which takes no message out of it and hides none: those that wait, that a consumer works
on, and that are delayed. SQS calls these numbers approximate, and right about a minute after the last change: say
`lag: 60s`. For `empty: dlq`; `exclusive: true` says that nobody else's messages go there.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from synthmon.evidence.counting import CountSource


class SqsCountKeys(BaseModel):
    """The keys of a count over a `sqs` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sqs: str = Field(description="A connection of the settings of kind `sqs`.", min_length=1)
    queue: str = Field(description="The queue, by name or ARN.", min_length=1)


SOURCE = CountSource("sqs", __doc__, SqsCountKeys, ("queue",))

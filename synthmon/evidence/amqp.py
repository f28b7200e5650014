"""`amqp` counts the messages that wait in a queue of an AMQP broker.

```yaml
connections:
  bus: {amqp: "amqp://127.0.0.1:5672"}
evidence:
  dlq: {amqp: bus, queue: billing.dlq, exclusive: true}
```

Asked with a passive declare, which changes nothing and takes no message. Those given to a consumer and not settled do
not count. For `empty: dlq`; `exclusive: true` says that nobody else's messages go there.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from synthmon.evidence.counting import CountSource


class AmqpCountKeys(BaseModel):
    """The keys of a count over a `amqp` connection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amqp: str = Field(description="A connection of the settings of kind `amqp`.", min_length=1)
    queue: str = Field(description="The queue.", min_length=1)


SOURCE = CountSource("amqp", __doc__, AmqpCountKeys, ("queue",))
